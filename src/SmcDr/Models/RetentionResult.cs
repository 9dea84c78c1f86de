namespace SmcDr;

/// <summary>What retention does, or would do, with one thing in a repository, and why.</summary>
public sealed record RetentionResult
{
    /// <summary>The backup's id; for WAL the segments, such as <c>000000010000000000000001-000000010000000000000007</c>.</summary>
    public required string Id { get; init; }

    /// <summary>The component that it belongs to.</summary>
    public required string Component { get; init; }

    /// <summary>
    /// <c>Backup</c>; <c>Incomplete</c> for one that was never completed; <c>Remnant</c> for what is left of one; <c>Wal</c>,
    /// or <c>WalPieces</c> for pieces of segments that are stored whole.
    /// </summary>
    public required string Kind { get; init; }

    /// <summary>The system identifier of the database cluster, or the name of the file store.</summary>
    public string? Subject { get; init; }

    /// <summary><c>Keep</c>; <c>Remove</c> in a plan; <c>Removed</c> when that was done.</summary>
    public required string Action { get; init; }

    /// <summary>Why: every rule that keeps it, or what it goes for.</summary>
    public required IReadOnlyList<string> Reasons { get; init => field = ResultList.Of(value); }

    /// <summary>When the backup began, in UTC.</summary>
    public DateTimeOffset? StartTime { get; init; }

    /// <summary>The number of objects that go.</summary>
    public int ObjectCount { get; init; }

    /// <summary>What goes with it, in bytes.</summary>
    public long FreedBytes { get; init; }

    /// <summary>What would go and stays because other backups use it, in bytes.</summary>
    public long SharedBytes { get; init; }

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }
}
