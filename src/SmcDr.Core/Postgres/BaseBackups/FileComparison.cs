using System.Buffers;
using Microsoft.Win32.SafeHandles;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// Finds out what of the files that lie at a target already is what the backup holds: page by page where the backup knows the hashes of
/// pages, else by the digests of blocks and files. Nothing counts as right because of its name, length or time.
/// </summary>
/// <param name="hashes">Knows the hashes of the backup's pages.</param>
/// <param name="pageSize">The size of a page.</param>
/// <param name="parallelism">How many ranges are compared at a time.</param>
internal sealed class FileComparison(PageHashCache hashes, int pageSize, int parallelism)
{
    private const int ReadSize = 1 << 20;

    // One file of a large relation keeps all workers busy.
    private const long RangeSize = 32 << 20;

    /// <summary>Compares all files and says to each what of it is missing. Of one that is not there nothing is said.</summary>
    /// <param name="files">The files.</param>
    /// <param name="compared">Is told of each range that is done: its file and length. Called from several threads at a time.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/>: one of them is a link.</exception>
    public async Task RunAsync(IEnumerable<RestoreFile> files, Action<RestoreFile, long> compared, CancellationToken cancellationToken) =>
        await Parallel.ForEachAsync(
            files.SelectMany(Divide),
            new ParallelOptions { MaxDegreeOfParallelism = parallelism, CancellationToken = cancellationToken },
            async (range, token) =>
            {
                range.File.SetMissing(
                    range.Number,
                    range.Known is { } known
                        ? await ComparePagesAsync(range, known, token).ConfigureAwait(false)
                        : CompareExtents(range.File));
                compared(range.File, range.Length);
            }).ConfigureAwait(false);

    private static IEnumerable<FileRange> Divide(RestoreFile file)
    {
        FileInfo info = new(file.Path);
        if (info.LinkTarget is not null)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable, $"'{file.Path}' is a link, which would lead the restore out of its target.", target: file.Path);
        }

        if (!info.Exists)
        {
            yield break;
        }

        const UnixFileMode Needed = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        if (!OperatingSystem.IsWindows() && (info.UnixFileMode & Needed) != Needed)
        {
            File.SetUnixFileMode(file.Path, info.UnixFileMode | Needed);
        }

        // A part of a block that files share is only known by its file's own digest.
        long size = file.Entry.Size;
        if (file.Entry.Hash is not null || file.Entry.Extents.Any(static extent => extent.Block is { PageHashes: null }))
        {
            file.SetFound(info.Length, 1);
            yield return new FileRange(file, 0, 0, size, null);
            yield break;
        }

        KnownPages known = new(file.Entry, new HashSet<long>());
        file.SetFound(info.Length, (int)((size + RangeSize - 1) / RangeSize));
        for (long offset = 0; offset < size; offset += RangeSize)
        {
            yield return new FileRange(file, (int)(offset / RangeSize), offset, Math.Min(RangeSize, size - offset), known);
        }
    }

    private async Task<List<FilePart>> ComparePagesAsync(FileRange range, KnownPages known, CancellationToken cancellationToken)
    {
        List<FilePart> missing = [];
        byte[] buffer = ArrayPool<byte>.Shared.Rent(ReadSize);
        try
        {
            using SafeFileHandle handle = File.OpenHandle(range.File.Path, options: FileOptions.SequentialScan);
            for (long at = range.Offset; at < range.Offset + range.Length; at += ReadSize)
            {
                cancellationToken.ThrowIfCancellationRequested();
                int length = (int)Math.Min(ReadSize, range.Offset + range.Length - at);
                int read = Read(handle, buffer.AsSpan(0, length), at);
                (FileExtent[] pages, byte[] expected, _) = await known.FindAsync(at, length, pageSize, hashes, cancellationToken).ConfigureAwait(false);
                for (int page = 0; page < pages.Length; page++)
                {
                    int begin = page * pageSize;
                    int end = Math.Min(begin + pageSize, length);
                    if (end <= read && IsRight(buffer.AsSpan(begin..end), pages[page], expected.AsSpan(page * PageHashes.HashSize, PageHashes.HashSize)))
                    {
                        continue;
                    }

                    foreach (FilePart part in range.File.Parts(at + begin, end - begin))
                    {
                        FilePart.Add(missing, part);
                    }
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return missing;
    }

    private static bool IsRight(ReadOnlySpan<byte> content, FileExtent page, ReadOnlySpan<byte> hash)
    {
        if (page.Length != content.Length)
        {
            // Its hash is not known.
            return false;
        }

        return page.Block is null ? !content.ContainsAnyExcept((byte)0) : PageHashes.Matches(content, hash);
    }

    private static List<FilePart> CompareExtents(RestoreFile file)
    {
        List<FilePart> missing = [];
        FilePart[] parts = [.. file.Parts(0, file.Entry.Size)];
        byte[] buffer = ArrayPool<byte>.Shared.Rent(parts.Select(static part => part.Extent.Length).DefaultIfEmpty(0).Max());
        try
        {
            using SafeFileHandle handle = File.OpenHandle(file.Path);
            foreach (FilePart part in parts)
            {
                FileExtent extent = part.Extent;
                Span<byte> content = buffer.AsSpan(0, extent.Length);
                bool right = Read(handle, content, part.Offset) == content.Length &&
                    (extent.Block is null ? !content.ContainsAnyExcept((byte)0)
                    : parts.Length == 1 && file.Entry.Hash is { } hash ? Hash256.Compute(content) == hash
                    : extent.Start == 0 && extent.Length == extent.Block.Length && extent.Block.Matches(content));
                if (!right)
                {
                    FilePart.Add(missing, part);
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return missing;
    }

    /// <summary>Reads as much as there is. Not by the asynchronous call, which on Unix only hands the read to another thread.</summary>
    private static int Read(SafeFileHandle handle, Span<byte> content, long offset)
    {
        int total = 0;
        while (total < content.Length && RandomAccess.Read(handle, content[total..], offset + total) is > 0 and int read)
        {
            total += read;
        }

        return total;
    }

    /// <summary>A range of a file, or all of one whose pages are not known.</summary>
    private readonly record struct FileRange(RestoreFile File, int Number, long Offset, long Length, KnownPages? Known);
}
