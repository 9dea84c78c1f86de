using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Verification;

/// <summary>Says of each segment from a position on whether it is there, comes, or is lost.</summary>
public static class WalInspection
{
    public const string Found = "FOUND";
    public const string Uploading = "UPLOADING";
    public const string Delayed = "DELAYED";
    public const string Lost = "LOST";

    /// <summary>Looks at the WAL from a position on, along the timeline that a recovery would follow.</summary>
    /// <param name="archive">The archive.</param>
    /// <param name="timeline">The timeline at the position.</param>
    /// <param name="from">The position.</param>
    /// <param name="needed">Up to where there must be WAL.</param>
    /// <param name="delay">WAL that has not come for so long is lost.</param>
    /// <param name="now">The time.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<IReadOnlyList<WalState>> InspectAsync(
        WalArchive archive, uint timeline, Lsn from, Lsn needed, TimeSpan delay, DateTimeOffset now, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(archive);
        WalCatalog catalog = await archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false);
        return await InspectAsync(archive, catalog, timeline, from, needed, delay, now, cancellationToken).ConfigureAwait(false);
    }

    internal static async Task<IReadOnlyList<WalState>> InspectAsync(
        WalArchive archive,
        WalCatalog catalog,
        uint timeline,
        Lsn from,
        Lsn needed,
        TimeSpan delay,
        DateTimeOffset now,
        CancellationToken cancellationToken)
    {
        List<WalState> states = [];
        WalCoverage coverage = await archive.GetCoverageAsync(catalog, timeline, from, needed, null, cancellationToken).ConfigureAwait(false);
        if (await archive.GetSegmentSizeAsync(catalog, cancellationToken).ConfigureAwait(false) is not { } size)
        {
            // No WAL at all, so not even the size of a segment.
            return
            [
                new WalState
                {
                    State = Lost,
                    FirstSegment = "",
                    LastSegment = "",
                    StartLsn = from.ToString(),
                    EndLsn = needed.ToString(),
                    SegmentCount = 0,
                },
            ];
        }

        DateTimeOffset newest = DateTimeOffset.MinValue;
        while (true)
        {
            WalItem[] found = [.. coverage.Items.Where(static item => !item.IsPartial)];
            if (found.Length > 0)
            {
                states.Add(State(Found, found[0].Name, found[^1].Name, found[0].StartLsn, found[^1].EndLsn, found.Length));
            }

            newest = coverage.Items.Aggregate(newest, static (time, item) => item.StoredTime > time ? item.StoredTime : time);
            bool isYoung = now - newest < delay;
            WalItem? last = coverage.Items.Count > found.Length ? coverage.Items[^1] : null;
            Lsn end = coverage.EndLsn;
            if (coverage.Gap is { } gap)
            {
                // From the segment that is missing or has a hole to the next of which there is a beginning.
                Lsn behind = NextAfter(catalog, coverage.History, gap.StartLsn(size), size) ?? gap.EndLsn(size);
                states.Add(Missing(Lost, coverage.History, gap.StartLsn(size), behind, size));
                WalCoverage next = await archive
                    .GetCoverageAsync(catalog, coverage.History.TimelineAt(behind), behind, behind, coverage.EndTimeline, cancellationToken)
                    .ConfigureAwait(false);
                if (next.Items.Count == 0)
                {
                    return states;
                }

                coverage = next;
                continue;
            }

            if (last is not null)
            {
                states.Add(State(isYoung || end >= needed ? Uploading : Lost, last.Name, last.Name, last.StartLsn, last.EndLsn, 1));
            }

            Lsn following = last is null ? new Lsn((end.Value + (uint)size - 1) / (uint)size * (uint)size) : last.Name.EndLsn(size);
            following = coverage.Items.Count == 0 ? new Lsn(from.Value / (uint)size * (uint)size) : following;
            if (following < needed)
            {
                states.Add(Missing(isYoung ? Delayed : Lost, coverage.History, following, needed, size));
            }

            return states;
        }
    }

    private static Lsn? NextAfter(WalCatalog catalog, TimelineHistory history, Lsn after, int size) => history.Lineage
        .SelectMany(timeline => (catalog.Timelines.GetValueOrDefault(timeline)?.Segments.Values ?? Enumerable.Empty<WalCatalog.Segment>())
            .Where(segment => segment.EndOffset(size) > 0)
            .Select(static segment => segment.Name)
            .Where(name => name.StartLsn(size) > after && !(name.StartLsn(size) >= history.SwitchPoint(timeline)) &&
                name.EndLsn(size) > history.BeginOf(timeline)))
        .Select(name => (Lsn?)name.StartLsn(size))
        .Min();

    private static WalState Missing(string state, TimelineHistory history, Lsn start, Lsn end, int size)
    {
        WalSegmentName first = WalSegmentName.Containing(start, history.TimelineAt(start), size);
        Lsn lastByte = new(end.Value - 1);
        WalSegmentName last = WalSegmentName.Containing(lastByte, history.TimelineAt(lastByte), size);
        return State(state, first, last, start, end, (int)(last.Number(size) - first.Number(size)) + 1);
    }

    private static WalState State(string state, WalSegmentName first, WalSegmentName last, Lsn start, Lsn end, int count) => new()
    {
        State = state,
        FirstSegment = first.ToString(),
        LastSegment = last.ToString(),
        StartLsn = start.ToString(),
        EndLsn = end.ToString(),
        SegmentCount = count,
    };
}
