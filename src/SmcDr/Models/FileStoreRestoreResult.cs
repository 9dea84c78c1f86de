namespace SmcDr;

/// <summary>What a restore of a file store did.</summary>
public sealed record FileStoreRestoreResult
{
    /// <summary>The backup that was restored.</summary>
    public required string BackupId { get; init; }

    /// <summary>The file store's name.</summary>
    public required string Name { get; init; }

    /// <summary>The directory that it was restored to.</summary>
    public required string TargetPath { get; init; }

    /// <summary><c>Complete</c>; <c>Partial</c> where something of a file, such as its owner, could not be restored.</summary>
    public required string State { get; init; }

    /// <summary>The number of files that were written.</summary>
    public required long FileCount { get; init; }

    /// <summary>The number of files that were there already, with the right content.</summary>
    public required long KeptFileCount { get; init; }

    /// <summary>The size of the files that were written, in bytes.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>The number of directories.</summary>
    public required long DirectoryCount { get; init; }

    /// <summary>The number of links and special files that were made.</summary>
    public required long LinkCount { get; init; }

    /// <summary>How often something of a file could not be restored.</summary>
    public required long ProblemCount { get; init; }

    /// <summary>The first of these problems.</summary>
    public required IReadOnlyList<string> Problems { get; init => field = ResultList.Of(value); }

    /// <summary>How long it took.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>How long it took, in seconds.</summary>
    public double DurationSeconds => Duration.TotalSeconds;
}
