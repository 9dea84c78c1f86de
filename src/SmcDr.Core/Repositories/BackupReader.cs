using System.Buffers;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Repositories;

/// <summary>Reads a complete backup. Every byte that it hands out was checked against the manifest.</summary>
public sealed class BackupReader
{
    // Neighbouring blocks are read in one request up to this size; a gap up to the other is read along and dropped.
    private const long MaximumRun = 16 << 20;
    private const long MaximumGap = 128 << 10;

    private readonly Repository _repository;
    private readonly BackupMarker _marker;

    internal BackupReader(Repository repository, BackupMarker marker)
    {
        _repository = repository;
        _marker = marker;
    }

    /// <summary>What is true of the backup as a whole.</summary>
    public BackupHeader Header => _marker.Header;

    /// <summary>Reads the manifest.</summary>
    /// <exception cref="SmcException">It is missing, damaged or not valid.</exception>
    public async Task<Manifest> ReadManifestAsync(CancellationToken cancellationToken)
    {
        string key = RepositoryKeys.Manifest(Header.Component, Header.Id);
        byte[] content = new byte[checked((int)_marker.ManifestLength)];
        ObjectInfo? info = await _repository.Store.GetInfoAsync(key, cancellationToken).ConfigureAwait(false);
        if (info is not null && info.Length != content.Length)
        {
            throw new SmcException(
                SmcErrorCode.ChecksumMismatch,
                $"The manifest '{key}' has {info.Length} bytes and should have {content.Length}.",
                target: key);
        }

        Stream stream = await _repository.Store.OpenReadAsync(key, 0, content.Length, cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            await stream.ReadExactlyAsync(content, cancellationToken).ConfigureAwait(false);
        }

        if (Hash256.Compute(content) != _marker.ManifestHash)
        {
            throw new SmcException(
                SmcErrorCode.ChecksumMismatch, $"The manifest '{key}' does not match its digest in the marker.", target: key);
        }

        Stream lines = BlockCodecs.OpenDecompressor(BlockCodecs.Parse(_marker.ManifestCodec), new MemoryStream(content));
        await using (lines.ConfigureAwait(false))
        {
            return await new ManifestReader(key, Header.Component).ReadAsync(lines, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Finds out, without reading them, whether all packs are there with the right length.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ObjectNotFound"/> or <see cref="SmcErrorCode.ChecksumMismatch"/>.</exception>
    public async Task CheckPacksAsync(Manifest manifest, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(manifest);
        await Parallel.ForEachAsync(
            manifest.Packs,
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
