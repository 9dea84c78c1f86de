using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>A file to restore: where, and which of its extents are still to be written.</summary>
internal sealed class RestoreFile(ManifestEntry entry, string path)
{
    private bool[]? _right;

    public ManifestEntry Entry => entry;

    public string Path => path;

    /// <summary>Whether an extent need not be written: it is there, or it is a hole of a new file.</summary>
    public bool IsRight(int extent) => _right?[extent] ?? entry.Extents[extent].Block is null;

    /// <summary>Says what an earlier run has left: for each extent whether it is right.</summary>
    public void SetFound(bool[] right) => _right = right;

    /// <summary>Whether an earlier run has left nothing to do.</summary>
    public bool IsKept => _right is not null && Array.TrueForAll(_right, static right => right);

    /// <summary>The bytes that an earlier run has written and that are right.</summary>
    public long KeptBytes => _right is null
        ? 0
        : entry.Extents.Where((_, index) => _right[index]).Sum(static extent => (long)extent.Length);

    /// <summary>The disk space that a new file takes; holes take none.</summary>
    public long Allocation => entry.Extents.Sum(static extent => extent.Block is null ? 0L : extent.Length);
}
