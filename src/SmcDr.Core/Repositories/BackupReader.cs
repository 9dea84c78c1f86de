using System.Buffers;
using System.Security.Cryptography;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Repositories;

/// <summary>Reads a complete backup. Every byte that it hands out was checked against the manifest.</summary>
public sealed class BackupReader
{
    // Neighbouring blocks are read in one request up to this size; a gap up to the other is read along and dropped.
    private const long MaximumRun = 16 << 20;
    private const long MaximumGap = 128 << 10;

    // A longer manifest is held in a temporary file.
    private const long MaximumManifestInMemory = 8 << 20;

    private readonly Repository _repository;
    private readonly BackupMarker _marker;

    internal BackupReader(Repository repository, BackupMarker marker)
    {
        _repository = repository;
        _marker = marker;
    }

    /// <summary>What is true of the backup as a whole.</summary>
    public BackupHeader Header => _marker.Header;

    internal BackupMarker Marker => _marker;

    /// <summary>Reads the manifest into memory.</summary>
    /// <exception cref="SmcException">It is missing, damaged or not valid.</exception>
    public async Task<Manifest> ReadManifestAsync(CancellationToken cancellationToken)
    {
        StreamedManifest manifest = await OpenManifestAsync(cancellationToken).ConfigureAwait(false);
        await using (manifest.ConfigureAwait(false))
        {
            List<ManifestEntry> entries = [];
            await foreach (ManifestEntry entry in manifest.ReadEntriesAsync(cancellationToken).ConfigureAwait(false))
            {
                entries.Add(entry);
            }

            return new Manifest(manifest.Header, manifest.Packs, entries);
        }
    }

    /// <summary>Fetches the manifest, checks its digest and reads it entry by entry, for backups with more files than fit into memory.</summary>
    /// <exception cref="SmcException">It is missing, damaged or not valid.</exception>
    public async Task<StreamedManifest> OpenManifestAsync(CancellationToken cancellationToken)
    {
        string key = RepositoryKeys.Manifest(Header.Component, Header.Id);
        return await _repository.ReadAsync(key, (store, token) => OpenManifestAsync(store, key, token), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Finds out, without reading them, whether all packs are there with the right length.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ObjectNotFound"/> or <see cref="SmcErrorCode.ChecksumMismatch"/>.</exception>
    public Task CheckPacksAsync(Manifest manifest, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(manifest);
        return CheckPacksAsync(manifest.Packs, cancellationToken);
    }

    /// <inheritdoc cref="CheckPacksAsync(Manifest, CancellationToken)"/>
    public async Task CheckPacksAsync(IReadOnlyList<PackReference> packs, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(packs);
        await Parallel.ForEachAsync(
            packs,
            new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancellationToken },
            async (pack, cancellation) => await _repository.ReadAsync(
                pack.Key,
                async (store, token) =>
                {
                    ObjectInfo info = await store.GetInfoAsync(pack.Key, token).ConfigureAwait(false)
                        ?? throw new SmcException(
                            SmcErrorCode.ObjectNotFound,
                            $"The object '{pack.Key}', which the backup '{Header.Id}' needs, is missing from {store.Location}.",
                            target: pack.Key);
                    return info.Length == pack.Length
                        ? info
                        : throw new SmcException(
                            SmcErrorCode.ChecksumMismatch,
                            $"The object '{pack.Key}' has {info.Length} bytes and should have {pack.Length}.",
                            target: pack.Key);
                },
                cancellation).ConfigureAwait(false)).ConfigureAwait(false);
    }

    /// <summary>
    /// Reads blocks, each once, neighbours together and several runs at a time, and hands each to <paramref name="consume"/>,
    /// in no particular order. The memory is only valid during the call.
    /// </summary>
    /// <param name="blocks">Which blocks. One that is listed twice is handed out twice.</param>
    /// <param name="parallelism">How many runs are read at a time.</param>
    /// <param name="consume">Takes the index in <paramref name="blocks"/> and the content. Called from several threads at a time.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">A block is missing, cut short or damaged.</exception>
    public Task ReadBlocksAsync(
        IReadOnlyList<BlockReference> blocks,
        int parallelism,
        Func<int, ReadOnlyMemory<byte>, CancellationToken, ValueTask> consume,
        CancellationToken cancellationToken) =>
        ReadBlocksAsync(blocks, parallelism, static (_, _) => ValueTask.FromResult<BlockPart?>(null), consume, cancellationToken);

    /// <param name="blocks">Which blocks.</param>
    /// <param name="parallelism">How many runs are read at a time.</param>
    /// <param name="partOf">Takes an index in <paramref name="blocks"/> and says which part of the block is needed; null = all of it.</param>
    /// <param name="consume">Takes the index and the content, or the part of it.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    internal async Task ReadBlocksAsync(
        IReadOnlyList<BlockReference> blocks,
        int parallelism,
        Func<int, CancellationToken, ValueTask<BlockPart?>> partOf,
        Func<int, ReadOnlyMemory<byte>, CancellationToken, ValueTask> consume,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(blocks);
        ArgumentNullException.ThrowIfNull(consume);
        await Parallel.ForEachAsync(
            Runs(blocks),
            new ParallelOptions { MaxDegreeOfParallelism = parallelism, CancellationToken = cancellationToken },
            (run, token) => ReadRunAsync(blocks, run, partOf, consume, token)).ConfigureAwait(false);
    }

    private async Task<StreamedManifest> OpenManifestAsync(IObjectStore store, string key, CancellationToken cancellationToken)
    {
        BlockCodec codec = BlockCodecs.Parse(_marker.ManifestCodec);
        long length = _marker.ManifestLength;
        ObjectInfo? info = await store.GetInfoAsync(key, cancellationToken).ConfigureAwait(false);
        if (info is not null && info.Length != length)
        {
            throw new SmcException(
                SmcErrorCode.ChecksumMismatch,
                $"The manifest '{key}' has {info.Length} bytes and should have {length}.",
                target: key);
        }

        Stream content = length <= MaximumManifestInMemory ? new MemoryStream((int)length) : TemporaryFile.Create();
        try
        {
            if (await FetchAsync(store, key, length, content, cancellationToken).ConfigureAwait(false) != _marker.ManifestHash)
            {
                throw new SmcException(
                    SmcErrorCode.ChecksumMismatch, $"The manifest '{key}' does not match its digest in the marker.", target: key);
            }

            StreamedManifest manifest = new(key, Header.Component, codec, content);
            content = Stream.Null;
            return manifest;
        }
        finally
        {
            await content.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static async Task<Hash256> FetchAsync(
        IObjectStore store, string key, long length, Stream destination, CancellationToken cancellationToken)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(256 << 10);
        try
        {
            Stream stream = await store.OpenReadAsync(key, 0, length, cancellationToken).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                int read;
                while ((read = await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
                {
                    hash.AppendData(buffer, 0, read);
                    try
                    {
                        await destination.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
                    }
                    catch (IOException e)
                    {
                        throw TemporaryFile.Failure(e);
                    }
                }
            }

            return Hash256.FromBytes(hash.GetHashAndReset());
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static List<int[]> Runs(IReadOnlyList<BlockReference> blocks)
    {
        int[] order = [.. Enumerable.Range(0, blocks.Count)
            .OrderBy(i => blocks[i].Pack.BackupId, StringComparer.Ordinal)
            .ThenBy(i => blocks[i].Pack.Number)
            .ThenBy(i => blocks[i].Offset)];
        List<int[]> runs = [];
        int first = 0;
        for (int i = 1; i <= order.Length; i++)
        {
            if (i < order.Length)
            {
                BlockReference begin = blocks[order[first]];
                BlockReference previous = blocks[order[i - 1]];
                BlockReference next = blocks[order[i]];
                if (next.Pack == begin.Pack &&
                    next.Offset - (previous.Offset + previous.StoredLength) <= MaximumGap &&
                    next.Offset + next.StoredLength - begin.Offset <= MaximumRun)
                {
                    continue;
                }
            }

            runs.Add(order[first..i]);
            first = i;
        }

        return runs;
    }

    private async ValueTask ReadRunAsync(
        IReadOnlyList<BlockReference> blocks,
        int[] run,
        Func<int, CancellationToken, ValueTask<BlockPart?>> partOf,
        Func<int, ReadOnlyMemory<byte>, CancellationToken, ValueTask> consume,
        CancellationToken cancellationToken)
    {
        PackReference pack = blocks[run[0]].Pack;
        long start = blocks[run[0]].Offset;
        long end = run.Max(i => blocks[i].Offset + blocks[i].StoredLength);
        byte[] stored = ArrayPool<byte>.Shared.Rent((int)(end - start));
        byte[] content = ArrayPool<byte>.Shared.Rent(run.Max(i => blocks[i].Length));
        try
        {
            await _repository.ReadAsync(
                pack.Key,
                (store, token) => FetchAsync(store, pack.Key, start, stored.AsMemory(0, (int)(end - start)), token),
                cancellationToken).ConfigureAwait(false);
            foreach (int index in run)
            {
                BlockReference block = blocks[index];
                Memory<byte> bytes = stored.AsMemory((int)(block.Offset - start), block.StoredLength);
                BlockPart? part = await partOf(index, cancellationToken).ConfigureAwait(false);
                Memory<byte> plain = content.AsMemory(0, part?.Length ?? block.Length);
                if (!TryOpen(block, part, bytes.Span, plain.Span))
                {
                    // Changed on its way, it is right the second time; changed where it lies, a copy may have it right.
                    await _repository.ReadAsync(
                        pack.Key, (store, token) => ReadBlockAsync(store, block, part, bytes, plain, token), cancellationToken).ConfigureAwait(false);
                }

                await consume(index, plain, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(stored);
            ArrayPool<byte>.Shared.Return(content);
        }
    }

    private static async Task<bool> ReadBlockAsync(
        IObjectStore store, BlockReference block, BlockPart? part, Memory<byte> bytes, Memory<byte> plain, CancellationToken cancellationToken)
    {
        await FetchAsync(store, block.Pack.Key, block.Offset, bytes, cancellationToken).ConfigureAwait(false);
        return TryOpen(block, part, bytes.Span, plain.Span)
            ? true
            : throw new SmcException(
                SmcErrorCode.ChecksumMismatch,
                $"The object '{block.Pack.Key}' is damaged between bytes {block.Offset} and {block.Offset + block.StoredLength}.",
                target: block.Pack.Key);
    }

    private static bool TryOpen(BlockReference block, BlockPart? part, ReadOnlySpan<byte> bytes, Span<byte> plain) =>
        Crc32C.Compute(bytes) == block.Crc &&
        (part is null
            ? BlockCodecs.TryDecompress(block.Codec, bytes, plain) && block.Matches(plain)
            : BlockCodecs.TryDecompressBeginning(block.Codec, bytes, plain) && part.Matches(plain));

    private static async Task<bool> FetchAsync(
        IObjectStore store, string key, long offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        Stream stream = await store.OpenReadAsync(key, offset, destination.Length, cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            try
            {
                await stream.ReadExactlyAsync(destination, cancellationToken).ConfigureAwait(false);
                return true;
            }
            catch (EndOfStreamException e)
            {
                throw new SmcException(SmcErrorCode.ObjectTruncated, $"The object '{key}' ended before it should.", e, target: key);
            }
        }
    }
}
