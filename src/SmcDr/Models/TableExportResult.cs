namespace SmcDr;

/// <summary>A table that was exported as it was at an instant.</summary>
public sealed record TableExportResult
{
    /// <summary>The database.</summary>
    public required string Database { get; init; }

    /// <summary>The table's schema.</summary>
    public required string Schema { get; init; }

    /// <summary>The table's name.</summary>
    public required string Table { get; init; }

    /// <summary>The rows that it had.</summary>
    public required long RowCount { get; init; }

    /// <summary>The file that they are in.</summary>
    public required string Path { get; init; }

    /// <summary>How they are written there: <c>Csv</c>, <c>Text</c>, <c>Binary</c> or <c>Dump</c>.</summary>
    public required string Format { get; init; }

    /// <summary>The file's length in bytes.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>The base backup that it was recovered from.</summary>
    public required string BackupId { get; init; }

    /// <summary>The kind of target: <c>Time</c>, <c>Lsn</c>, <c>Latest</c> and so on.</summary>
    public required string TargetKind { get; init; }

    /// <summary>The target as it was resolved; a time is in UTC.</summary>
    public string? Target { get; init; }

    /// <summary>The commit time of the last transaction that it shows, in UTC.</summary>
    public DateTimeOffset? RecoveredTime { get; init; }

    /// <summary>The LSN at which replay ended.</summary>
    public string? RecoveredLsn { get; init; }
}
