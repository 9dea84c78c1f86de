namespace SmcDr.Core.Repositories;

/// <summary>A file, directory or symbolic link of a backup.</summary>
public sealed record ManifestEntry
{
    public required ManifestEntryKind Kind { get; init; }

    /// <summary>The path below the backup's root, parts separated by <c>/</c>. Never rooted, never with <c>.</c> or <c>..</c>.</summary>
    public required string Path { get; init; }

    /// <summary>The length of a file.</summary>
    public long Size { get; init; }

    /// <summary>The permission bits.</summary>
    public int Mode { get; init; }

    public DateTimeOffset? ModifiedTime { get; init; }

    /// <summary>Where a link points to; for a hard link, the path of the file in the same backup.</summary>
    public string? LinkTarget { get; init; }

    /// <summary>The content of a file, from its beginning to its end.</summary>
    public IReadOnlyList<FileExtent> Extents { get; init; } = [];

    /// <summary>The SHA-256 of a small file that shares its block with others; larger ones are covered by their blocks' digests.</summary>
    public Hash256? Hash { get; init; }

    /// <summary>What else the file system knows of it, in file stores.</summary>
    public FileNode? Node { get; init; }

    /// <summary>Throws where the path could lead out of the root that it is restored to.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ManifestInvalid"/>.</exception>
    public void ValidatePath()
    {
        bool valid = Path.Length > 0 && !Path.Contains('\0') && !Path.Contains('\\');
        foreach (Range part in Path.AsSpan().Split('/'))
        {
            valid &= Path.AsSpan()[part] is not ("" or "." or "..");
        }

        if (!valid)
        {
            throw new SmcException(
                SmcErrorCode.ManifestInvalid, $"The manifest holds the path '{Path}', which leads out of the backup.", target: Path);
        }
    }
}
