namespace SmcDr;

/// <summary>An entry of the WAL archive: a whole segment, a segment that is still growing, or a timeline's history.</summary>
public sealed record WalSegmentInfo
{
    /// <summary>The name as PostgreSQL gives it, such as <c>000000010000000000000003</c> or <c>00000002.history</c>.</summary>
    public required string Name { get; init; }

    /// <summary><c>Segment</c>, <c>Partial</c> or <c>History</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>PostgreSQL's system identifier of the database cluster.</summary>
    public required string SystemId { get; init; }

    /// <summary>The timeline.</summary>
    public required int Timeline { get; init; }

    /// <summary>The first LSN of it.</summary>
    public string? StartLsn { get; init; }

    /// <summary>The LSN at which it ends.</summary>
    public string? EndLsn { get; init; }

    /// <summary>The commit time of the first transaction in it, in UTC.</summary>
    public DateTimeOffset? FirstCommitTime { get; init; }

    /// <summary>The commit time of the last transaction in it, in UTC.</summary>
    public DateTimeOffset? LastCommitTime { get; init; }

    /// <summary>The number of committed transactions in it.</summary>
    public long CommitCount { get; init; }

    /// <summary>The bytes of WAL in it.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>What it takes in the repository, in bytes.</summary>
    public required long StoredBytes { get; init; }

    /// <summary>When it was stored, in UTC.</summary>
    public DateTimeOffset? StoredTime { get; init; }

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }
}
