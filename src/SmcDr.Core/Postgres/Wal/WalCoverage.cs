namespace SmcDr.Core.Postgres.Wal;

/// <summary>The unbroken WAL from a position on, along one timeline and its ancestors.</summary>
public sealed class WalCoverage
{
    private readonly WalArchive _archive;

    internal WalCoverage(
        WalArchive archive,
        Lsn startLsn,
        TimelineHistory history,
        IReadOnlyList<TimelineHistory> histories,
        IReadOnlyList<WalItem> items,
        WalSegmentName? gap)
    {
        _archive = archive;
        StartLsn = startLsn;
        History = history;
        Histories = histories;
        Items = items;
        Gap = gap;
        Index = items.Aggregate(WalIndex.Empty, static (index, item) => index.Concat(item.Index));
        ServerTime = items.Max(static item => item.ServerTime);
    }

    /// <summary>The cluster.</summary>
    internal ulong SystemId => _archive.SystemId;

    /// <summary>From where on.</summary>
    public Lsn StartLsn { get; }

    /// <summary>Where the unbroken WAL ends; not behind <see cref="StartLsn"/> where there is none.</summary>
    public Lsn EndLsn => Items.Count > 0 ? Items[^1].EndLsn : StartLsn;

    /// <summary>Where the last record ends that is complete: the furthest that a recovery gets.</summary>
    public Lsn LastRecordEnd => Items.Count > 0 ? Items[^1].LastRecordEnd : StartLsn;

    /// <summary>The timeline that was followed: what <c>recovery_target_timeline</c> must name.</summary>
    public uint EndTimeline => History.Timeline;

    /// <summary>Its history.</summary>
    public TimelineHistory History { get; }

    /// <summary>Its history file and those of its ancestors, as far as they are archived: a recovery asks for them.</summary>
    public IReadOnlyList<TimelineHistory> Histories { get; }

    /// <summary>The segments, in order.</summary>
    public IReadOnlyList<WalItem> Items { get; }

    /// <summary>The first missing segment, where there is WAL behind it; null where the archive simply ends.</summary>
    public WalSegmentName? Gap { get; }

    /// <summary>Why the segment at <see cref="Gap"/> cannot be read, where it is there and damaged, or its key is not given.</summary>
    internal SmcException? Unreadable { get; init; }

    /// <summary>What a recovery can stop at, over all segments.</summary>
    public WalIndex Index { get; }

    /// <summary>How many transactions were committed.</summary>
    public long Commits => Index.Commits;

    /// <summary>The latest commit time.</summary>
    public DateTimeOffset? LastCommitTime => Index.LastCommitTime;

    /// <summary>The latest time at which a transaction ended: a recovery to any time before it will stop.</summary>
    public DateTimeOffset? LastStopTime => Index.LastStopTime;

    /// <summary>The server's clock at the last moment at which it is known to have had no WAL behind this.</summary>
    public DateTimeOffset? ServerTime { get; }

    /// <summary>The WAL in bytes.</summary>
    public long Length => Math.Max(0, EndLsn - StartLsn);

    /// <summary>
    /// The first segment in which a transaction ends after a time. PostgreSQL stops there; where there is none, it fails with
    /// "recovery ended before configured recovery target was reached".
    /// </summary>
    /// <param name="time">The time.</param>
    /// <param name="orAt">Whether the time itself counts: with <c>recovery_target_inclusive = off</c> it does.</param>
    public WalItem? FindCommitAfter(DateTimeOffset time, bool orAt = false) =>
        Items.FirstOrDefault(item => item.Index.LastStopTime is { } last && (orAt ? last >= time : last > time));

    /// <summary>The first restore point of a name: where PostgreSQL stops.</summary>
    public WalRestorePoint? FindRestorePoint(string name) =>
        Items.SelectMany(static item => item.Index.RestorePoints).FirstOrDefault(point => point.Name == name);

    /// <summary>How a transaction ended, or null where it did not. Reads the segments that may tell.</summary>
    public async Task<WalTransaction?> FindXidAsync(uint xid, CancellationToken cancellationToken)
    {
        for (int i = 0; i < Items.Count; i++)
        {
            if (Items[i].Index is { MinXid: { } min, MaxXid: { } max } && xid >= min && xid <= max)
            {
                // The record that tells it may begin in the segment before.
                WalItem[] items = i > 0 ? [Items[i - 1], Items[i]] : [Items[i]];
                WalTransaction? found = null;
                await _archive.ScanAsync(
                    items,
                    EndTimeline,
                    transaction => found = found is null && transaction.Xid == xid ? transaction : found,
                    null,
                    cancellationToken).ConfigureAwait(false);
                if (found is not null)
                {
                    return found;
                }
            }
        }

        return null;
    }
}
