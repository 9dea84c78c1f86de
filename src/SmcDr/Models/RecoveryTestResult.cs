namespace SmcDr;

/// <summary>What a test of recovery came to. It is kept in the repository as a certificate that nothing overwrites.</summary>
public sealed record RecoveryTestResult
{
    /// <summary>The test's id, such as <c>20261129T101500Z-3f9a61c2</c>; the certificate's name.</summary>
    public required string TestId { get; init; }

    /// <summary>The site.</summary>
    public required string Site { get; init; }

    /// <summary>What was recovered: <c>Database</c>.</summary>
    public required string Component { get; init; }

    /// <summary>The worst outcome of <see cref="Checks"/>: <c>Passed</c>, <c>Warning</c> or <c>Failed</c>.</summary>
    public required string Outcome { get; init; }

    /// <summary>The base backup; none where the test did not come so far as to choose one.</summary>
    public string? BackupId { get; init; }

    /// <summary>PostgreSQL's system identifier of the database cluster, where it is known.</summary>
    public string? SystemId { get; init; }

    /// <summary>What the target was given as: <c>Time</c>, <c>Lsn</c>, <c>Latest</c> or <c>Immediate</c>.</summary>
    public required string TargetKind { get; init; }

    /// <summary>The target; a time is in UTC. None for <c>Latest</c> and <c>Immediate</c>.</summary>
    public string? Target { get; init; }

    /// <summary>The commit time of the last transaction that was there after the recovery, in UTC.</summary>
    public DateTimeOffset? RecoveredTime { get; init; }

    /// <summary>The LSN at which replay ended.</summary>
    public string? RecoveredLsn { get; init; }

    /// <summary>When the test began, in UTC.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>How long the whole test took.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>How long the whole test took, in seconds.</summary>
    public double DurationSeconds => Duration.TotalSeconds;

    /// <summary>Seconds from the beginning until the recovered server was up: the measured recovery time. None where it did not come up.</summary>
    public double? RecoverySeconds { get; init; }

    /// <summary>Of these, seconds for restoring files.</summary>
    public double? RestoreSeconds { get; init; }

    /// <summary>Of these, seconds for replaying WAL and promoting.</summary>
    public double? ReplaySeconds { get; init; }

    /// <summary>Seconds for looking at what was recovered.</summary>
    public double? CheckSeconds { get; init; }

    /// <summary>The site's objective for the recovery time, in seconds.</summary>
    public double? ObjectiveSeconds { get; init; }

    /// <summary>The bytes of the base backup that were restored.</summary>
    public long RestoredBytes { get; init; }

    /// <summary>The WAL that was made available to replay, in bytes.</summary>
    public long WalBytes { get; init; }

    /// <summary>Each thing that was looked at.</summary>
    public required IReadOnlyList<CheckResult> Checks { get; init => field = ResultList.Of(value); }

    /// <summary>The rows of every table of users, counted after the recovery; empty where they were not counted.</summary>
    public IReadOnlyList<TableRowCount> Tables { get; init => field = ResultList.Of(value); } = new ResultList<TableRowCount>([]);

    /// <summary>Where the certificate is.</summary>
    public required string Repository { get; init; }

    /// <summary>Who ran the test, as <c>user@host</c>. Times are this host's.</summary>
    public required string By { get; init; }
}
