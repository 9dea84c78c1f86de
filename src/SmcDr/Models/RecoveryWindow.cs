namespace SmcDr;

/// <summary>An interval of a database that can truly be restored: a base backup and the unbroken WAL behind it.</summary>
public sealed record RecoveryWindow
{
    /// <summary>The base backup with which the window begins.</summary>
    public required string BackupId { get; init; }

    /// <summary>PostgreSQL's system identifier of the database cluster.</summary>
    public required string SystemId { get; init; }

    /// <summary>The timeline on which the window ends.</summary>
    public required int Timeline { get; init; }

    /// <summary>The earliest instant in the window, in UTC: the base backup's stop.</summary>
    public required DateTimeOffset EarliestTime { get; init; }

    /// <summary>The commit time of the last transaction in the window, in UTC; none where no transaction was committed.</summary>
    public DateTimeOffset? LatestTime { get; init; }

    /// <summary>The earliest LSN in the window: the base backup's stop.</summary>
    public required string EarliestLsn { get; init; }

    /// <summary>The LSN at which the unbroken WAL ends.</summary>
    public required string LatestLsn { get; init; }

    /// <summary>The WAL that a recovery to the end would replay, in bytes.</summary>
    public required long WalBytes { get; init; }

    /// <summary>Where the window ends before the archive does: the first missing segment.</summary>
    public string? Gap { get; init; }

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }
}
