namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>The segments along a timeline and its ancestors that a search has to read.</summary>
internal sealed class WalStretch
{
    private readonly WalArchive _archive;
    private readonly WalCatalog _catalog;
    private readonly ulong[] _numbers;

    private WalStretch(
        WalArchive archive, WalCatalog catalog, TimelineHistory history, int segmentSize, ulong[] numbers, TransactionSearchOptions options)
    {
        _archive = archive;
        _catalog = catalog;
        _numbers = numbers;
        History = history;
        SegmentSize = segmentSize;
        Options = options;
    }

    public TimelineHistory History { get; }

    public int SegmentSize { get; }

    public TransactionSearchOptions Options { get; }

    public int Count => _numbers.Length;

    public long Total => _numbers.Length;

    /// <summary>How many were read.</summary>
    public long Done { get; set; }

    /// <summary>Finds out which segments there are to read. By their heads alone: a long archive is not read to find its end.</summary>
    public static async Task<WalStretch> OpenAsync(WalArchive archive, TransactionSearchOptions options, CancellationToken cancellationToken)
    {
        WalCatalog catalog = await archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false);
        if (await archive.GetSegmentSizeAsync(catalog, cancellationToken).ConfigureAwait(false) is not { } size)
        {
            throw new SmcException(
                SmcErrorCode.ObjectNotFound,
                $"There is no write-ahead log of the database cluster {archive.SystemId} in '{archive.Repository.Location}'.");
        }

        TimelineHistory history = await ChooseHistoryAsync(archive, catalog, options.Timeline, cancellationToken).ConfigureAwait(false);
        SortedSet<ulong> numbers = [];
        foreach (uint timeline in history.Lineage)
        {
            Lsn? left = history.SwitchPoint(timeline);
            Lsn begin = history.BeginOf(timeline);
            foreach (WalCatalog.Segment segment in catalog.Timelines.GetValueOrDefault(timeline)?.Segments.Values ?? Enumerable.Empty<WalCatalog.Segment>())
            {
                if (segment.Name.EndLsn(size) > begin && (left is null || segment.Name.StartLsn(size) < left))
                {
                    numbers.Add(segment.Name.Number(size));
                }
            }
        }

        WalStretch all = new(archive, catalog, history, size, [.. numbers], options);
        int first = await all.FindFirstAsync(cancellationToken).ConfigureAwait(false);
        // A commit record before the end begins in a segment before it; it ends in the next one at most.
        int last = options.ToLsn is { } to ? all._numbers.TakeWhile(number => number <= (to.Value / (uint)size) + 1).Count() : all._numbers.Length;
        return new WalStretch(archive, catalog, history, size, first < last ? all._numbers[first..last] : [], options);
    }

    public WalSegmentName Name(int index) => WalSegmentName.FromNumber(History.Timeline, _numbers[index], SegmentSize);

    public Task<WalItem?> LoadAsync(int index, CancellationToken cancellationToken) =>
        _archive.TryLoadItemAsync(_catalog, History, Name(index), SegmentSize, cancellationToken);

    private static async Task<TimelineHistory> ChooseHistoryAsync(
        WalArchive archive, WalCatalog catalog, uint? timeline, CancellationToken cancellationToken)
    {
        uint chosen = timeline ?? catalog.Timelines.Values
            .Where(static listing => listing.Segments.Count > 0).Max(static listing => listing.Timeline);
        if (catalog.Timelines.GetValueOrDefault(chosen) is not { } listing)
        {
            throw new SmcException(
                SmcErrorCode.TimelineMismatch,
                $"There is nothing of timeline {chosen} in the archive of the database cluster {archive.SystemId}.");
        }

        return listing.History is { } info
            ? await archive.ReadHistoryAsync(chosen, info, cancellationToken).ConfigureAwait(false)
            : TimelineHistory.Root(chosen);
    }

    /// <summary>The first segment to read: some time before the first that may hold what is looked for.</summary>
    private async Task<int> FindFirstAsync(CancellationToken cancellationToken)
    {
        int first = 0;
        DateTimeOffset? from = Options.From;
        if (Options.FromLsn is { } lsn)
        {
            first = Array.FindIndex(_numbers, number => number >= lsn.Value / (uint)SegmentSize);
            if (first < 0)
            {
                return _numbers.Length;
            }

            (_, DateTimeOffset? time) = await FindTimeAsync(first, _numbers.Length, cancellationToken).ConfigureAwait(false);
            from = time > from ? from : time ?? from;
        }

        if (from is not { } instant)
        {
            return first;
        }

        DateTimeOffset wanted = instant - DateTimeOffset.MinValue > Options.Lookback ? instant - Options.Lookback : DateTimeOffset.MinValue;
        int low = 0;
        int high = _numbers.Length;
        while (low < high)
        {
            int middle = low + ((high - low) / 2);
            (int at, DateTimeOffset? time) = await FindTimeAsync(middle, high, cancellationToken).ConfigureAwait(false);
            if (time < wanted)
            {
                low = at + 1;
            }
            else
            {
                high = middle;
            }
        }

        // The record of a commit may begin in the segment before that in which it ends.
        return Math.Max(0, (Options.FromLsn is null ? low : Math.Min(low, first)) - 1);
    }

    /// <summary>The time of the last transaction that ended in a segment, or in the first one behind it in which any did.</summary>
    private async Task<(int Index, DateTimeOffset? Time)> FindTimeAsync(int from, int to, CancellationToken cancellationToken)
    {
        for (int i = from; i < to; i++)
        {
            if ((await LoadAsync(i, cancellationToken).ConfigureAwait(false))?.Index.LastStopTime is { } time)
            {
                return (i, time);
            }
        }

        return (to, null);
    }
}
