namespace SmcDr.Core.Postgres.Wal;

/// <summary>What a recovery can stop at in a stretch of WAL: the records that end in it.</summary>
public sealed record WalIndex
{
    /// <summary>How many restore points are listed; <see cref="RestorePointCount"/> counts all.</summary>
    public const int MaximumRestorePoints = 1000;

    /// <summary>Nothing.</summary>
    public static WalIndex Empty { get; } = new();

    /// <summary>How many transactions were committed.</summary>
    public long Commits { get; init; }

    /// <summary>How many transactions were rolled back after they had been given an id.</summary>
    public long Aborts { get; init; }

    /// <summary>The earliest commit time.</summary>
    public DateTimeOffset? FirstCommitTime { get; init; }

    /// <summary>The latest commit time.</summary>
    public DateTimeOffset? LastCommitTime { get; init; }

    /// <summary>The latest time at which a transaction ended, well or not: recovery to any time before it will stop.</summary>
    public DateTimeOffset? LastStopTime { get; init; }

    /// <summary>The smallest id of an ended transaction, as a plain number; ids wrap around.</summary>
    public uint? MinXid { get; init; }

    /// <summary>The greatest id of an ended transaction, as a plain number.</summary>
    public uint? MaxXid { get; init; }

    /// <summary>Where the last record about the end of a transaction ends.</summary>
    public Lsn? LastEnd { get; init; }

    /// <summary>The restore points, in the order of the WAL.</summary>
    public IReadOnlyList<WalRestorePoint> RestorePoints { get; init; } = [];

    /// <summary>How many restore points there are.</summary>
    public long RestorePointCount { get; init; }

    /// <summary>The index of this stretch and the next one together.</summary>
    public WalIndex Concat(WalIndex next)
    {
        ArgumentNullException.ThrowIfNull(next);
        return new WalIndex
        {
            Commits = Commits + next.Commits,
            Aborts = Aborts + next.Aborts,
            FirstCommitTime = Earlier(FirstCommitTime, next.FirstCommitTime),
            LastCommitTime = Later(LastCommitTime, next.LastCommitTime),
            LastStopTime = Later(LastStopTime, next.LastStopTime),
            MinXid = MinXid is { } min && next.MinXid is { } otherMin ? Math.Min(min, otherMin) : MinXid ?? next.MinXid,
            MaxXid = MaxXid is { } max && next.MaxXid is { } otherMax ? Math.Max(max, otherMax) : MaxXid ?? next.MaxXid,
            LastEnd = next.LastEnd ?? LastEnd,
            RestorePoints = next.RestorePoints.Count == 0 ? RestorePoints
                : [.. RestorePoints.Concat(next.RestorePoints).Take(MaximumRestorePoints)],
            RestorePointCount = RestorePointCount + next.RestorePointCount,
        };
    }

    internal static DateTimeOffset? Later(DateTimeOffset? left, DateTimeOffset? right) =>
        left is null || right > left ? right : left;

    private static DateTimeOffset? Earlier(DateTimeOffset? left, DateTimeOffset? right) =>
        left is null || right < left ? right : left;
}
