using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>Reads one file of a backup from its beginning to its end. Every byte was checked.</summary>
internal static class DumpReader
{
    private const int ExtentsAtOnce = 2;
    private const int Parallelism = 2;

    /// <summary>Hands out the file's content in order, the next part being fetched meanwhile.</summary>
    /// <param name="backup">The backup.</param>
    /// <param name="entry">The file.</param>
    /// <param name="consume">Takes a part, which holds until it returns; false where no more is wanted.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task ReadAsync(
        BackupReader backup,
        ManifestEntry entry,
        Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask<bool>> consume,
        CancellationToken cancellationToken)
    {
        FileExtent[][] batches = [.. entry.Extents.Chunk(ExtentsAtOnce)];
        // Two sets of buffers by turns, one being filled while the other is handed out: blocks of megabytes would else be garbage at once, and
        // memory would grow with the speed.
        byte[][][] buffers = [new byte[ExtentsAtOnce][], new byte[ExtentsAtOnce][]];
        Task<ReadOnlyMemory<byte>[]>? next = batches.Length > 0 ? FetchAsync(backup, batches[0], buffers[0], cancellationToken) : null;
        try
        {
            for (int i = 0; i < batches.Length; i++)
            {
                ReadOnlyMemory<byte>[] contents = await next!.ConfigureAwait(false);
                next = i + 1 < batches.Length ? FetchAsync(backup, batches[i + 1], buffers[(i + 1) % 2], cancellationToken) : null;
                foreach (ReadOnlyMemory<byte> content in contents)
                {
                    if (!await consume(content, cancellationToken).ConfigureAwait(false))
                    {
                        return;
                    }
                }
            }
        }
        finally
        {
            if (next is not null)
            {
                await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>The whole of a small file.</summary>
    public static async Task<byte[]> ReadAllAsync(BackupReader backup, ManifestEntry entry, CancellationToken cancellationToken)
    {
        using MemoryStream content = new();
        await ReadAsync(
            backup,
            entry,
            (part, _) =>
            {
                content.Write(part.Span);
                return ValueTask.FromResult(true);
            },
            cancellationToken).ConfigureAwait(false);
        return content.ToArray();
    }

    /// <summary>The table of contents of an archive.</summary>
    public static async Task<ArchiveContents> ReadContentsAsync(BackupReader backup, ManifestEntry entry, CancellationToken cancellationToken)
    {
        using MemoryStream head = new();
        ArchiveContents? contents = null;
        await ReadAsync(
            backup,
            entry,
            (part, _) =>
            {
                head.Write(part.Span);
                return ValueTask.FromResult(!ArchiveContents.TryRead(head.GetBuffer().AsSpan(0, (int)head.Length), out contents, out int _));
            },
            cancellationToken).ConfigureAwait(false);
        return contents ?? throw new SmcException(
            SmcErrorCode.VerificationFailed, $"The file '{entry.Path}' of the backup '{backup.Header.Id}' ends within its table of contents.", target: backup.Header.Id);
    }

    private static async Task<ReadOnlyMemory<byte>[]> FetchAsync(
        BackupReader backup, FileExtent[] extents, byte[][] buffers, CancellationToken cancellationToken)
    {
        for (int i = 0; i < extents.Length; i++)
        {
            if (buffers[i] is not { } buffer || buffer.Length < extents[i].Length)
            {
                buffers[i] = new byte[extents[i].Length];
            }
            else if (extents[i].Block is null)
            {
                Array.Clear(buffer, 0, extents[i].Length);
            }
        }

        int[] stored = [.. Enumerable.Range(0, extents.Length).Where(i => extents[i].Block is not null)];
        await backup.ReadBlocksAsync(
            [.. stored.Select(i => extents[i].Block!)],
            Parallelism,
            (index, block, _) =>
            {
                FileExtent extent = extents[stored[index]];
                block.Slice(extent.Start, extent.Length).CopyTo(buffers[stored[index]]);
                return ValueTask.CompletedTask;
            },
            cancellationToken).ConfigureAwait(false);
        return [.. extents.Select((extent, i) => buffers[i].AsMemory(0, extent.Length))];
    }
}
