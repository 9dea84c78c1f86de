using SmcDr.Core.Platform;

namespace SmcDr.Core.Repositories;

/// <summary>What is true of a file store's backup as a whole.</summary>
public sealed record FileStoreBackupDetails
{
    /// <summary>The lists of names in a header are no longer; the counts are right in any case.</summary>
    public const int MaximumNames = 1000;

    /// <summary>The file store's name. The next backup looks for what has not changed in the newest backup of this name.</summary>
    public required string Name { get; init; }

    /// <summary>The directory that was backed up, in the form of manifest paths but absolute.</summary>
    public required string Path { get; init; }

    /// <summary>The directory's own mode, in octal digits.</summary>
    public required string RootMode { get; init; }

    /// <summary>The directory itself, which has no line in the manifest.</summary>
    public required FileNode Root { get; init; }

    /// <summary>
    /// When the scan began. A file whose times are not clearly older may have been changed after it was read without any time showing it,
    /// so the next backup reads it again.
    /// </summary>
    public required FileTime ScanStart { get; init; }

    public required bool OneFileSystem { get; init; }

    public IReadOnlyList<string> Exclude { get; init; } = [];

    /// <summary>How many files were taken over from the parent without being read.</summary>
    public long UnchangedFiles { get; init; }

    /// <summary>How many files' content was read.</summary>
    public long ReadFiles { get; init; }

    public long ReadBytes { get; init; }

    /// <summary>How many files and directories could not be read and are missing. Zero is the only good number.</summary>
    public long UnreadableCount { get; init; }

    /// <summary>Which could not be read, each with the reason.</summary>
    public IReadOnlyList<UnreadableFile> Unreadable { get; init; } = [];

    /// <summary>How many files were being changed each time that they were read.</summary>
    public long TornCount { get; init; }

    public IReadOnlyList<string> Torn { get; init; } = [];

    /// <summary>How many were left out by their nature: sockets, and directories on other file systems.</summary>
    public long SkippedCount { get; init; }

    public IReadOnlyList<string> Skipped { get; init; } = [];
}
