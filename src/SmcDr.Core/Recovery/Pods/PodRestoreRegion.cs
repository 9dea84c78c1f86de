using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>What is put together and sent to a pod as one: a stretch of a large file, or several small files.</summary>
/// <param name="Pieces">What it is made of; one piece that is not a whole small file is a stretch.</param>
/// <param name="Length">How long it is.</param>
internal sealed record PodRestoreRegion(IReadOnlyList<PodRestorePiece> Pieces, int Length)
{
    /// <summary>The stretches are about this long.</summary>
    public const int Size = 16 << 20;

    private const int SmallFileSize = 1 << 20;
    private const int BundleSize = 8 << 20;
    private const int BundleCount = 256;

    /// <summary>Whether it is a stretch of one file, which is written where it belongs at once.</summary>
    public bool IsStretch => Pieces.Count == 1;

    /// <summary>
    /// Divides the files of a backup, always in the same way: a later run knows by its number what an earlier one has sent. Holes of large files are left
    /// out.
    /// </summary>
    public static IReadOnlyList<PodRestoreRegion> Divide(IReadOnlyList<RestoreFile> files)
    {
        List<PodRestoreRegion> regions = [];
        foreach (RestoreFile file in files.Where(static file => file.Entry.Size > SmallFileSize))
        {
            List<FileExtent> extents = [];
            long begin = 0;
            long at = 0;
            int length = 0;
            foreach (FileExtent extent in file.Entry.Extents)
            {
                if (extent.Block is null || length >= Size)
                {
                    Flush();
                }

                if (extent.Block is not null)
                {
                    begin = length == 0 ? at : begin;
                    extents.Add(extent);
                    length += extent.Length;
                }

                at += extent.Length;
            }

            Flush();

            void Flush()
            {
                if (length > 0)
                {
                    regions.Add(new PodRestoreRegion([new PodRestorePiece(file, begin, length, [.. extents])], length));
                }

                extents.Clear();
                length = 0;
            }
        }

        // Files that share a block go together, so that it is read once.
        List<PodRestorePiece> bundle = [];
        int size = 0;
        foreach (RestoreFile file in files
            .Where(static file => file.Entry.Size <= SmallFileSize)
            .OrderBy(static file => FirstBlock(file)?.Pack.BackupId, StringComparer.Ordinal)
            .ThenBy(static file => FirstBlock(file)?.Pack.Number)
            .ThenBy(static file => FirstBlock(file)?.Offset)
            .ThenBy(static file => file.Entry.Path, StringComparer.Ordinal))
        {
            if (bundle.Count == BundleCount || size + file.Entry.Size > BundleSize)
            {
                FlushBundle();
            }

            bundle.Add(new PodRestorePiece(file, 0, (int)file.Entry.Size, file.Entry.Extents));
            size += (int)file.Entry.Size;
        }

        FlushBundle();
        return regions;

        void FlushBundle()
        {
            if (bundle.Count > 0)
            {
                regions.Add(new PodRestoreRegion([.. bundle], size));
            }

            bundle.Clear();
            size = 0;
        }
    }

    private static BlockReference? FirstBlock(RestoreFile file) => file.Entry.Extents.Select(static extent => extent.Block).FirstOrDefault();
}
