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
        BlockCodec codec = BlockCodecs.Parse(_marker.ManifestCodec);
        long length = _marker.ManifestLength;
        ObjectInfo? info = await _repository.Store.GetInfoAsync(key, cancellationToken).ConfigureAwait(false);
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
            if (await FetchAsync(key, length, content, cancellationToken).ConfigureAwait(false) != _marker.ManifestHash)
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
            async (pack, token) =>
            {
                ObjectInfo info = await _repository.Store.GetInfoAsync(pack.Key, token).ConfigureAwait(false)
                    ?? throw new SmcException(
                        SmcErrorCode.ObjectNotFound,
                        $"The object '{pack.Key}', which the backup '{Header.Id}' needs, is missing from {_repository.Location}.",
                        target: pack.Key);
                if (info.Length != pack.Length)
                {
                    throw new SmcException(
                        SmcErrorCode.ChecksumMismatch,
                        $"The object '{pack.Key}' has {info.Length} bytes and should have {pack.Length}.",
                        target: pack.Key);
                }
            }).ConfigureAwait(false);
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
    public async Task ReadBlocksAsync(
        IReadOnlyList<BlockReference> blocks,
        int parallelism,
        Func<int, ReadOnlyMemory<byte>, CancellationToken, ValueTask> consume,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(blocks);
        ArgumentNullException.ThrowIfNull(consume);
        await Parallel.ForEachAsync(
            Runs(blocks),
            new ParallelOptions { MaxDegreeOfParallelism = parallelism, CancellationToken = cancellationToken },
            (run, token) => ReadRunAsync(blocks, run, consume, token)).ConfigureAwait(false);
    }

    private async Task<Hash256> FetchAsync(string key, long length, Stream destination, CancellationToken cancellationToken)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(256 << 10);
        try
        {
            Stream stream = await _repository.Store.OpenReadAsync(key, 0, length, cancellationToken).ConfigureAwait(false);
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
            Stream stream = await _repository.Store.OpenReadAsync(pack.Key, start, end - start, cancellationToken).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                await stream.ReadExactlyAsync(stored.AsMemory(0, (int)(end - start)), cancellationToken).ConfigureAwait(false);
            }

            foreach (int index in run)
            {
                BlockReference block = blocks[index];
                ReadOnlyMemory<byte> bytes = stored.AsMemory((int)(block.Offset - start), block.StoredLength);
                Memory<byte> plain = content.AsMemory(0, block.Length);
                if (Crc32C.Compute(bytes.Span) != block.Crc ||
                    !BlockCodecs.TryDecompress(block.Codec, bytes.Span, plain.Span) ||
                    Hash256.Compute(plain.Span) != block.Hash)
                {
                    throw new SmcException(
                        SmcErrorCode.ChecksumMismatch,
                        $"The object '{pack.Key}' is damaged between bytes {block.Offset} and {block.Offset + block.StoredLength}.",
                        target: pack.Key);
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
}
