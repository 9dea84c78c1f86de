using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>A file to restore: where, and which parts of it are still to be written.</summary>
internal sealed class RestoreFile(ManifestEntry entry, string path)
{
    private bool _rightLength;
    private List<FilePart>[]? _missing;

    public ManifestEntry Entry => entry;

    public string Path => path;

    /// <summary>Whether the file was there already and was compared.</summary>
    public bool IsFound => _missing is not null;

    /// <summary>Whether the file has been created, or opened for the first time, by this restore.</summary>
    public bool IsOpened { get; set; }

    /// <summary>The length of the file that was there.</summary>
    public long FoundLength { get; private set; }

    /// <summary>Whether there is nothing to do.</summary>
    public bool IsKept => _missing is not null && _rightLength && Array.TrueForAll(_missing, static parts => parts.Count == 0);

    /// <summary>The bytes that were there and are right.</summary>
    public long KeptBytes => _missing is null ? 0 : entry.Size - _missing.Sum(static parts => parts.Sum(static part => (long)part.Extent.Length));

    /// <summary>The disk space that a new file takes; holes take none.</summary>
    public long Allocation => entry.Extents.Sum(static extent => extent.Block is null ? 0L : extent.Length);

    /// <summary>What is to be written, in the order of the file. Holes of a new file are not.</summary>
    public IEnumerable<FilePart> Missing => _missing is not null
        ? _missing.SelectMany(static parts => parts)
        : Parts(0, entry.Size).Where(static part => part.Extent.Block is not null);

    /// <summary>Says that the file is there, and will be compared in so many ranges. Until each was, all of it is taken for wrong.</summary>
    public void SetFound(long length, int ranges)
    {
        FoundLength = length;
        _rightLength = length == entry.Size;
        _missing = new List<FilePart>[ranges];
    }

    /// <summary>Says what of a range is wrong.</summary>
    public void SetMissing(int range, List<FilePart> parts) => _missing![range] = parts;

    /// <summary>What belongs into a range of the file.</summary>
    public IEnumerable<FilePart> Parts(long offset, long length)
    {
        long at = 0;
        foreach (FileExtent extent in entry.Extents)
        {
            long begin = Math.Max(at, offset);
            long end = Math.Min(at + extent.Length, offset + length);
            if (begin < end)
            {
                yield return new FilePart(
                    begin, new FileExtent(extent.Block, extent.Block is null ? 0 : extent.Start + (int)(begin - at), (int)(end - begin)));
            }

            at += extent.Length;
            if (at >= offset + length)
            {
                yield break;
            }
        }
    }
}
