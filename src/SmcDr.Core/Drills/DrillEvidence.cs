namespace SmcDr.Core.Drills;

/// <summary>What a drill observed beyond its result: the material of the report.</summary>
public sealed record DrillEvidence
{
    /// <summary>Acknowledged against recovered rows, one per disaster.</summary>
    public IReadOnlyList<DrillComparison> Comparisons { get; init; } = [];

    /// <summary>All that was compared, in order.</summary>
    public IReadOnlyList<DrillCheck> Checks { get; init; } = [];

    /// <summary>What took time, for the chart.</summary>
    public IReadOnlyList<DrillSpan> Spans { get; init; } = [];

    /// <summary>Instants, for the chart.</summary>
    public IReadOnlyList<DrillMark> Marks { get; init; } = [];

    /// <summary>Acknowledged commits per second.</summary>
    public IReadOnlyList<DrillSample> CommitRate { get; init; } = [];

    /// <summary>How old the oldest WAL was that the server had and the repository did not, in seconds.</summary>
    public IReadOnlyList<DrillSample> WalLag { get; init; } = [];

    /// <summary>Acknowledged writes to Redis per second; none where Redis had no part.</summary>
    public IReadOnlyList<DrillSample> RedisWriteRate { get; init; } = [];

    /// <summary>What came back of Redis; null where it had no part, or was not restored.</summary>
    public DrillComparison? RedisComparison { get; init; }

    /// <summary>What the repository took in the end, in bytes.</summary>
    public long RepositoryBytes { get; init; }
}
