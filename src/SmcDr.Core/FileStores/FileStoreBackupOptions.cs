using SmcDr.Core.Repositories;

namespace SmcDr.Core.FileStores;

/// <summary>How a file store is backed up.</summary>
public sealed record FileStoreBackupOptions
{
    /// <summary>The operator's label.</summary>
    public string? Label { get; init; }

    /// <summary>The site's name.</summary>
    public string? Site { get; init; }

    /// <summary>What is left out; see <see cref="PathPattern"/>.</summary>
    public IReadOnlyList<string> Exclude { get; init; } = [];

    /// <summary>Whether directories on other file systems are left out, but for their names.</summary>
    public bool OneFileSystem { get; init; } = true;

    /// <summary>Whether all files are read, although an earlier backup has them.</summary>
    public bool Full { get; init; }

    /// <summary>How many files are read at a time.</summary>
    public int Parallelism { get; init; } = Math.Clamp(Environment.ProcessorCount, 1, 4);

    /// <summary>How often a file is read that changes meanwhile.</summary>
    public int ReadAttempts { get; init; } = 3;

    /// <summary>
    /// A file whose times are not older than the parent's start by so much is read again. File systems count in up to two seconds (FAT),
    /// and the clock of a file server may be off.
    /// </summary>
    public TimeSpan TimestampMargin { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How the repository is written.</summary>
    public BackupWriterOptions Writer { get; init; } = new();

    /// <summary>Called when a file's content has been read and before it is looked at again: the moment at which tests change it.</summary>
    internal Action<string>? AfterContentRead { get; init; }
}
