namespace SmcDr;

/// <summary>What a restore or a point-in-time recovery did.</summary>
public sealed record RecoveryResult
{
    /// <summary>The base backup that was restored.</summary>
    public required string BackupId { get; init; }

    /// <summary>The kind of target: <c>Time</c>, <c>Lsn</c>, <c>Name</c>, <c>Xid</c>, <c>Latest</c> or <c>Immediate</c>.</summary>
    public required string TargetKind { get; init; }

    /// <summary>The target as it was resolved; a time is in UTC.</summary>
    public string? Target { get; init; }

    /// <summary>The directory that now holds the database cluster.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Where the earlier content of the directory was moved to.</summary>
    public string? PreviousDataDirectory { get; init; }

    /// <summary>The timeline that the recovered server writes.</summary>
    public int? Timeline { get; init; }

    /// <summary>The LSN at which replay ended.</summary>
    public string? RecoveredLsn { get; init; }

    /// <summary>The commit time of the last transaction that was replayed, in UTC.</summary>
    public DateTimeOffset? RecoveredTime { get; init; }

    /// <summary>The bytes of the base backup that were restored.</summary>
    public required long RestoredBytes { get; init; }

    /// <summary>Of these, the bytes that lay there already and were found right by their digests: after an interruption, or with delta.</summary>
    public long KeptBytes { get; init; }

    /// <summary>Of these, the bytes that were written.</summary>
    public long FetchedBytes { get; init; }

    /// <summary>With delta, the files that were removed because the backup does not hold them.</summary>
    public long RemovedFileCount { get; init; }

    /// <summary>The WAL that was made available to replay, in bytes.</summary>
    public required long WalBytes { get; init; }

    /// <summary>When the recovery began, in UTC.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>How long it took until the server was up and verified.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>How long it took, in seconds.</summary>
    public double DurationSeconds => Duration.TotalSeconds;

    /// <summary>Seconds for restoring files.</summary>
    public required double RestoreSeconds { get; init; }

    /// <summary>Seconds for replaying WAL and promoting.</summary>
    public required double ReplaySeconds { get; init; }

    /// <summary>
    /// Databases and collations whose text the recovered server's libraries may sort otherwise than those that its indexes were built with:
    /// these indexes are to be checked or rebuilt before they are relied on.
    /// </summary>
    public IReadOnlyList<CollationChange> CollationChanges { get; init => field = ResultList.Of(value); } = new ResultList<CollationChange>([]);

    /// <summary>Whether this run continued an interrupted one.</summary>
    public bool Resumed { get; init; }

    /// <summary>Whether the server runs now.</summary>
    public bool ServerRunning { get; init; }

    /// <summary>The workload in Kubernetes on whose volume it was recovered, such as <c>statefulset/postgres</c>; none where that was on this host.</summary>
    public string? Workload { get; init; }

    /// <summary>Of a side instance, the host to connect to, as psql takes it: a directory with its socket, or 127.0.0.1.</summary>
    public string? Host { get; init; }

    /// <summary>Of a side instance, the port.</summary>
    public int? Port { get; init; }
}
