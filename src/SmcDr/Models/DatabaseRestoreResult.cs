namespace SmcDr;

/// <summary>What restoring a database from a logical backup did.</summary>
public sealed record DatabaseRestoreResult
{
    /// <summary>The backup that was restored.</summary>
    public required string BackupId { get; init; }

    /// <summary>The database, as it is called in the backup.</summary>
    public required string Database { get; init; }

    /// <summary>The database that was restored to.</summary>
    public required string TargetDatabase { get; init; }

    /// <summary>Host and port of the server.</summary>
    public required string Server { get; init; }

    /// <summary>
    /// <c>Verified</c>: every table has the rows that the backup holds. <c>Different</c>: the report in Tables says where it has not.
    /// <c>Unverified</c>: the backup does not say how many there were.
    /// </summary>
    public required string State { get; init; }

    /// <summary>The number of tables that were compared.</summary>
    public required int TableCount { get; init; }

    /// <summary>The number of rows in them now.</summary>
    public required long RowCount { get; init; }

    /// <summary>The size of the dump, in bytes.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>The moment that the database is back at, by the server's clock, in UTC.</summary>
    public DateTimeOffset? RecoveredTime { get; init; }

    /// <summary>The name of the earlier database, which was kept and takes no connections. Null where there was none, or it was dropped.</summary>
    public string? PreviousDatabase { get; init; }

    /// <summary>The emergency backup of the earlier state.</summary>
    public string? EmergencyBackupId { get; init; }

    /// <summary>When it began, in UTC.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>How long it took.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>How long it took, in seconds.</summary>
    public double DurationSeconds => Duration.TotalSeconds;

    /// <summary>What was done, step by step.</summary>
    public required IReadOnlyList<RestoreStep> Steps { get; init => field = ResultList.Of(value); }

    /// <summary>The integrity report.</summary>
    public required IReadOnlyList<TableIntegrity> Tables { get; init => field = ResultList.Of(value); }
}
