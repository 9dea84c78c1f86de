namespace SmcDr;

/// <summary>What a verification found of a backup.</summary>
public sealed record BackupTestResult
{
    /// <summary>The backup's id; empty where a component has no backup at all.</summary>
    public required string Id { get; init; }

    /// <summary>The component that was backed up.</summary>
    public required string Component { get; init; }

    /// <summary>The system identifier of the database cluster, or the name of the file store.</summary>
    public string? Subject { get; init; }

    /// <summary>
    /// <c>Passed</c>; <c>Partial</c> where it can be restored but lacks something: files that could not be read, or WAL behind it that is
    /// lost; <c>Failed</c> where it cannot be relied on.
    /// </summary>
    public required string Outcome { get; init; }

    /// <summary>What is wrong.</summary>
    public required IReadOnlyList<BackupProblem> Problems { get; init => field = ResultList.Of(value); }

    /// <summary>Whether every byte was read.</summary>
    public bool Deep { get; init; }

    /// <summary>When the backup began, in UTC.</summary>
    public DateTimeOffset? StartTime { get; init; }

    /// <summary>The number of objects that were looked at.</summary>
    public long ObjectCount { get; init; }

    /// <summary>What was read and found right, in bytes. What another backup of the same run needed as well counts there.</summary>
    public long CheckedBytes { get; init; }

    /// <summary>The WAL from the backup's start on, for databases.</summary>
    public IReadOnlyList<WalState> Wal { get; init => field = ResultList.Of(value); } = new ResultList<WalState>([]);

    /// <summary>How long it took.</summary>
    public TimeSpan Duration { get; init; }

    /// <summary>How long it took, in seconds.</summary>
    public double DurationSeconds => Duration.TotalSeconds;

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }
}
