using System.Buffers;

namespace SmcDr.Core.Repositories;

/// <summary>Stores what a program or a server sends as one file of a backup, block by block, without a temporary file.</summary>
internal static class StreamedFileWriter
{
    /// <summary>Large enough to compress well and to make few requests, and small enough to keep two in memory for each database.</summary>
    public const int BlockSize = 4 << 20;

    /// <summary>Stores the stream to its end and returns the file, not yet added to the backup.</summary>
    /// <param name="source">What comes.</param>
    /// <param name="path">The path in the backup.</param>
    /// <param name="lane">Where the blocks go.</param>
    /// <param name="inspect">Sees the bytes in their order as they pass.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<ManifestEntry> WriteAsync(
        Stream source,
        string path,
        PackLane lane,
        Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask> inspect,
        CancellationToken cancellationToken)
    {
        List<FileExtent> extents = [];
        byte[] filling = ArrayPool<byte>.Shared.Rent(BlockSize);
        byte[] storing = ArrayPool<byte>.Shared.Rent(BlockSize);
        Task<FileExtent>? store = null;
        long size = 0;
        try
        {
            while (true)
            {
                int length = await source
                    .ReadAtLeastAsync(filling.AsMemory(0, BlockSize), BlockSize, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
                if (store is not null)
                {
                    extents.Add(await store.ConfigureAwait(false));
                    store = null;
                }

                if (length == 0)
                {
                    break;
                }

                (filling, storing) = (storing, filling);
                ReadOnlyMemory<byte> block = storing.AsMemory(0, length);
                size += length;
                // Compressing is most of the work; the next block comes meanwhile.
                store = Task.Run(
                    async () =>
                    {
                        await inspect(block, cancellationToken).ConfigureAwait(false);
                        return await lane.WriteAsync(block, cancellationToken).ConfigureAwait(false);
                    },
                    cancellationToken);
            }
        }
        finally
        {
            if (store is not null)
            {
                await ((Task)store).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            ArrayPool<byte>.Shared.Return(filling);
            ArrayPool<byte>.Shared.Return(storing);
        }

        return new ManifestEntry { Kind = ManifestEntryKind.File, Path = path, Mode = 0x180, Size = size, Extents = extents };
    }
}
