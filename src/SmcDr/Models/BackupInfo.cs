namespace SmcDr;

/// <summary>A backup as <c>Get-SmcBackup</c> lists it: one restorable point of one component.</summary>
public sealed record BackupInfo
{
    /// <summary>The sortable id, such as <c>20261122T081500Z-full</c>.</summary>
    public required string Id { get; init; }

    /// <summary>The component that was backed up: <c>Database</c>, <c>Redis</c>, <c>Configuration</c> or <c>FileStore</c>.</summary>
    public required string Component { get; init; }

    /// <summary>Which of several of its component was backed up: the file store's name. Null for a database.</summary>
    public string? Name { get; init; }

    /// <summary>The databases that a logical backup holds. Empty for others: a physical one holds the whole cluster.</summary>
    public IReadOnlyList<string> Databases { get; init => field = ResultList.Of(value); } = new ResultList<string>([]);

    /// <summary>The namespaces whose configuration the backup holds. Empty for others.</summary>
    public IReadOnlyList<string> Namespaces { get; init => field = ResultList.Of(value); } = new ResultList<string>([]);

    /// <summary>The releases of Helm in these namespaces, the newest revision of each.</summary>
    public IReadOnlyList<HelmReleaseInfo> HelmReleases { get; init => field = ResultList.Of(value); } = new ResultList<HelmReleaseInfo>([]);

    /// <summary>What of a configuration could not be read and is not in the backup, with the reason. Then <see cref="State"/> is <c>Partial</c>.</summary>
    public IReadOnlyList<string> Missing { get; init => field = ResultList.Of(value); } = new ResultList<string>([]);

    /// <summary><c>Full</c>, <c>Incremental</c>, <c>Logical</c> or <c>Emergency</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>The backup that this one builds on; null for a full one.</summary>
    public string? Parent { get; init; }

    /// <summary>
    /// <c>Complete</c>; <c>Partial</c> for a file store, a configuration or an emergency backup of which something could not be read; <c>Incomplete</c> for one that is running
    /// or was interrupted, and <c>Damaged</c> for one whose marker cannot be believed, neither of which can be restored; <c>Unreadable</c> for one that a newer version
    /// of SmcDr has written or that needs a key which is not given, and that can be restored with it.
    /// </summary>
    public required string State { get; init; }

    /// <summary>When the backup began, in UTC.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>When the backup became consistent, in UTC: the earliest instant that it can be recovered to.</summary>
    public DateTimeOffset? StopTime { get; init; }

    /// <summary>How long the backup took.</summary>
    public TimeSpan? Duration { get; init; }

    /// <summary>How long the backup took, in seconds.</summary>
    public double? DurationSeconds => Duration?.TotalSeconds;

    /// <summary>The size of what was backed up, in bytes.</summary>
    public long? SizeBytes { get; init; }

    /// <summary>How many files were taken over from the parent without being read, since neither size nor time had changed.</summary>
    public long? UnchangedFileCount { get; init; }

    /// <summary>The bytes of files that the database server compared with the parent's.</summary>
    public long? ComparedBytes { get; init; }

    /// <summary>The bytes of files that the database server sent for the backup: of an incremental one, what changed.</summary>
    public long? SentBytes { get; init; }

    /// <summary>What the backup added to the repository, in bytes.</summary>
    public long? StoredBytes { get; init; }

    /// <summary>The number of files in the backup; of a configuration, its objects.</summary>
    public long? FileCount { get; init; }

    /// <summary>PostgreSQL's system identifier of the database cluster.</summary>
    public string? SystemId { get; init; }

    /// <summary>The server's version, such as <c>15.8</c>; of a configuration, that of the cluster's API server.</summary>
    public string? ServerVersion { get; init; }

    /// <summary>PostgreSQL's timeline at the backup's start.</summary>
    public int? Timeline { get; init; }

    /// <summary>The LSN from which recovery replays.</summary>
    public string? StartLsn { get; init; }

    /// <summary>The LSN at which the backup is consistent.</summary>
    public string? StopLsn { get; init; }

    /// <summary>How many pages had a wrong checksum when they were read. Zero is the only good number.</summary>
    public int? PageChecksumErrors { get; init; }

    /// <summary>Host and port of the Redis server that gave the data: the one that was named, or a replica of it. Of a configuration the cluster, as the kubeconfig calls it.</summary>
    public string? Source { get; init; }

    /// <summary>How many keys a Redis backup holds. Null where its format was not known to the version of SmcDr that took it.</summary>
    public long? KeyCount { get; init; }

    /// <summary>How many of the keys expire at some time.</summary>
    public long? ExpiringKeyCount { get; init; }

    /// <summary>The newest backup of the database that there was when Redis was backed up.</summary>
    public string? SkewBackupId { get; init; }

    /// <summary>
    /// How much younger the Redis backup is than that of the database, in seconds. The two are not consistent with each other; a recovery of the database
    /// with WAL can come closer.
    /// </summary>
    public double? SkewSeconds { get; init; }

    /// <summary>Whether the backup is encrypted.</summary>
    public bool Encrypted { get; init; }

    /// <summary>The label that the operator gave.</summary>
    public string? Label { get; init; }

    /// <summary>
    /// Of a backup that was just taken, for a site that has copies: <c>Complete</c> where every copy has it, <c>Incomplete</c> where one does
    /// not. The backup itself is not touched by that.
    /// </summary>
    public string? CopyState { get; init; }

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }

    /// <summary>The component and the id.</summary>
    public override string ToString() => $"{Component} {Id}";
}
