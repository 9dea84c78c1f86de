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

    /// <summary>
    /// Of the newest window, how much WAL the server has flushed that is not in it, in bytes: what would be lost if the server and its disk were gone now. 0 means
    /// nothing. None where no server was asked, or <see cref="LossProblem"/> says why it is not known.
    /// </summary>
    public long? LossBytes { get; init; }

    /// <summary>
    /// The same in seconds: how long ago, by the server's clock, the oldest transaction was committed that is not in the window; 0 where no committed transaction
    /// would be lost, also when <see cref="LossBytes"/> is not 0, since WAL holds more than commits. Where there is too much WAL to be searched for
    /// that transaction, the age of the newest one in the window (of the backup, where there is none): never less than the truth.
    /// </summary>
    public double? LossSeconds { get; init; }

    /// <summary>Why it is not known what would be lost now.</summary>
    public string? LossProblem { get; init; }

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }
}
