using System.Buffers;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Verification;

/// <summary>Reads packs, each once however many backups use it.</summary>
internal sealed class PackVerifier(IObjectStore store, IReadOnlySet<string> verified, VerificationNotes notes, Action<long> onRead)
{
    private readonly ConcurrentDictionary<string, Lazy<Task<Verdict>>> _verdicts = new(StringComparer.Ordinal);

    /// <summary>Whether a pack was found right before, so that it is not read again.</summary>
    public bool WasVerified(PackReference pack) => verified.Contains(pack.Key);

    /// <summary>Finds out whether a pack is right, and the blocks that a manifest says lie in it.</summary>
    public async Task<IReadOnlyList<BackupProblem>> VerifyAsync(
        PackReference pack, IReadOnlyList<VerifiedBlock> blocks, CancellationToken cancellationToken)
    {
        if (WasVerified(pack))
        {
            return [];
        }

        bool isFirst = false;
        Verdict verdict = await _verdicts.GetOrAdd(
            $"{pack.Key} {pack.Length} {pack.Hash}",
            _ => new Lazy<Task<Verdict>>(() =>
            {
                isFirst = true;
                return ReadAsync(pack, blocks, cancellationToken);
            })).Value.ConfigureAwait(false);
        List<BackupProblem> problems = [.. verdict.Problems];
        VerifiedBlock[] others = [];
        if (!isFirst)
        {
            lock (verdict.Blocks)
            {
                others = [.. blocks.Where(block => !verdict.Blocks.Contains(block.Identity) || block.Files.Count > 0)];
            }
        }

        if (others.Length > 0 && problems.Count == 0)
        {
            // Another manifest was first, with other blocks or files in the pack.
            Verdict rest = await ReadAsync(pack, others, cancellationToken).ConfigureAwait(false);
            problems.AddRange(rest.Problems);
            lock (verdict.Blocks)
            {
                verdict.Blocks.UnionWith(rest.Blocks);
            }
        }

        return problems;
    }

    private async Task<Verdict> ReadAsync(PackReference pack, IReadOnlyList<VerifiedBlock> blocks, CancellationToken cancellationToken)
    {
        Verdict verdict = new([], []);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(1 << 20);
        byte[] content = [];
        List<VerifiedBlock> again = [];
        try
        {
            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            Stream stream = await store.OpenReadAsync(pack.Key, 0, pack.Length, cancellationToken).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                long position = 0;
                foreach (VerifiedBlock block in blocks.OrderBy(static block => block.Offset))
                {
                    if (block.Offset < position)
                    {
                        // A manifest may name the same block twice.
                        again.Add(block);
                        continue;
                    }

                    await SkipAsync(block.Offset - position).ConfigureAwait(false);
                    if (buffer.Length < block.StoredLength)
                    {
                        ArrayPool<byte>.Shared.Return(buffer);
                        buffer = ArrayPool<byte>.Shared.Rent(block.StoredLength);
                    }

                    await stream.ReadExactlyAsync(buffer.AsMemory(0, block.StoredLength), cancellationToken).ConfigureAwait(false);
                    hash.AppendData(buffer, 0, block.StoredLength);
                    onRead(block.StoredLength);
                    position = block.Offset + block.StoredLength;
                    if (content.Length < block.Length)
                    {
                        content = GC.AllocateUninitializedArray<byte>(block.Length);
                    }

                    if (block.FindProblem(buffer.AsSpan(0, block.StoredLength), content.AsSpan(0, block.Length)) is { } problem)
                    {
                        verdict.Problems.Add(Problem(
                            pack, SmcErrorCode.ChecksumMismatch, $"is damaged between bytes {block.Offset} and {position}: {problem}"));
                    }

                    verdict.Blocks.Add(block.Identity);
                }

                await SkipAsync(pack.Length - position).ConfigureAwait(false);

                async Task SkipAsync(long length)
                {
                    while (length > 0)
                    {
                        int count = (int)Math.Min(length, buffer.Length);
                        await stream.ReadExactlyAsync(buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
                        hash.AppendData(buffer, 0, count);
                        onRead(count);
                        length -= count;
                    }
                }
            }

            if (Hash256.FromBytes(hash.GetHashAndReset()) != pack.Hash && verdict.Problems.Count == 0)
            {
                verdict.Problems.Add(Problem(pack, SmcErrorCode.ChecksumMismatch, "does not match its digest"));
            }
        }
        catch (EndOfStreamException)
        {
            verdict.Problems.Add(Problem(pack, SmcErrorCode.ObjectTruncated, "ends before it should"));
        }
        catch (SmcException e) when (BackupVerification.IsFinding(e))
        {
            verdict.Problems.Add(BackupVerification.Problem(e, pack.Key));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        if (again.Count > 0 && verdict.Problems.Count == 0)
        {
            Verdict second = await ReadAsync(pack, again, cancellationToken).ConfigureAwait(false);
            verdict.Problems.AddRange(second.Problems);
            return verdict;
        }

        if (verdict.Problems.Count == 0)
        {
            await notes.AddAsync(pack, cancellationToken).ConfigureAwait(false);
        }

        return verdict;
    }

    private static BackupProblem Problem(PackReference pack, SmcErrorCode code, string what) =>
        new(pack.Key, SmcErrors.Get(code).ErrorId, $"The object '{pack.Key}' {what}.");

    private sealed record Verdict(List<BackupProblem> Problems, HashSet<(long, Hash256)> Blocks);
}
