using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.CompilerServices;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>The WAL of one database cluster in a repository. Safe for concurrent use.</summary>
public sealed class WalArchive
{
    private const int ParallelReads = 16;
    private const int Attempts = 5;

    // Objects never change, so a head that was read stays true.
    private readonly ConcurrentDictionary<string, StoredWal> _heads = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<uint, TimelineHistory> _histories = new();

    /// <summary>Opens the archive of a cluster; it need not hold anything yet.</summary>
    public WalArchive(Repository repository, ulong systemId)
    {
        ArgumentNullException.ThrowIfNull(repository);
        Repository = repository;
        SystemId = systemId;
    }

    /// <summary>The repository.</summary>
    public Repository Repository { get; }

    /// <summary>PostgreSQL's system identifier of the cluster.</summary>
    public ulong SystemId { get; }

    /// <summary>Is asked around the storing of each object; null where it may always be stored.</summary>
    internal IWalGuard? Guard { get; init; }

    /// <summary>Hears of damaged objects that were replaced.</summary>
    internal IOperationObserver Observer { get; init; } = NullObserver.Instance;

    private IObjectStore Store => Repository.Store;

    /// <summary>The clusters that have WAL in a repository.</summary>
    public static async IAsyncEnumerable<ulong> ListSystemsAsync(
        Repository repository, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        await foreach (string folder in repository.ListFoldersAsync("wal/", cancellationToken).ConfigureAwait(false))
        {
            if (ulong.TryParse(folder, NumberStyles.None, CultureInfo.InvariantCulture, out ulong systemId) &&
                folder == systemId.ToString(CultureInfo.InvariantCulture) &&
                await HasTimelineAsync(repository, systemId, cancellationToken).ConfigureAwait(false))
            {
                yield return systemId;
            }
        }
    }

    /// <summary>Whether there is more than the claim of a stream, which may have ended before it stored anything.</summary>
    private static async Task<bool> HasTimelineAsync(Repository repository, ulong systemId, CancellationToken cancellationToken)
    {
        await foreach (string folder in repository.ListFoldersAsync(RepositoryKeys.Wal(systemId), cancellationToken).ConfigureAwait(false))
        {
            if (WalSegmentName.TryParseHex(folder, out _))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Stores a timeline's history file. Storing the same again is fine. One that is there and damaged makes way.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.WalDuplicate"/>: two servers were promoted to the same timeline. <see cref="SmcErrorCode.WalInvalid"/>.
    /// </exception>
    public async Task PutHistoryAsync(uint timeline, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        _ = TimelineHistory.Parse(timeline, content.Span);
        WalKey key = WalKey.History(timeline);
        await PutAsync(key, NewHead(key, key.Name), content, null, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Stores a whole segment. Storing the same again is fine. One that is there and damaged makes way.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="content">Its bytes; as many as the segment size.</param>
    /// <param name="facts">What is known of it; where null, the segment is checked and scanned here.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.WalDuplicate"/>: it is there with other content. <see cref="SmcErrorCode.WalInvalid"/>.
    /// </exception>
    public Task PutSegmentAsync(
        WalSegmentName name, ReadOnlyMemory<byte> content, WalFacts? facts, CancellationToken cancellationToken) =>
        PutSegmentAsync(name, content, facts, null, cancellationToken);

    /// <summary>As the public one, of content that is compressed already.</summary>
    internal Task PutSegmentAsync(
        WalSegmentName name, ReadOnlyMemory<byte> content, WalFacts? facts, WalPayload? payload, CancellationToken cancellationToken)
    {
        if (!WalSegmentName.IsSegmentSize(content.Length))
        {
            throw new SmcException(
                SmcErrorCode.WalInvalid, $"The WAL segment '{name}' has {content.Length} bytes, which is no segment size.", target: name.ToString());
        }

        WalKey key = WalKey.Whole(name);
        Lsn start = name.StartLsn(content.Length);
        facts ??= Scan(name, content.Span);
        return PutAsync(key, NewHead(key, name.ToString(), start, content.Length, content.Length, facts), content, payload, cancellationToken);
    }

    /// <summary>Stores a piece of a segment that is not complete yet. Storing the same again is fine. One that is there and damaged makes way.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.WalDuplicate"/>: it is there with other content.</exception>
    public Task PutPieceAsync(
        WalSegmentName name, int segmentSize, int startOffset, ReadOnlyMemory<byte> content, WalFacts facts, CancellationToken cancellationToken) =>
        PutPieceAsync(name, segmentSize, startOffset, content, facts, null, cancellationToken);

    /// <summary>As the public one, of content that is compressed already.</summary>
    internal Task PutPieceAsync(
        WalSegmentName name,
        int segmentSize,
        int startOffset,
        ReadOnlyMemory<byte> content,
        WalFacts facts,
        WalPayload? payload,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(facts);
        ArgumentOutOfRangeException.ThrowIfNegative(startOffset);
        if (content.IsEmpty || startOffset + content.Length > segmentSize)
        {
            throw new ArgumentException("A piece is not empty and ends where its segment does, at most.", nameof(content));
        }

        WalKey key = WalKey.Piece(name, (uint)startOffset, (uint)(startOffset + content.Length));
        Lsn start = name.StartLsn(segmentSize) + (uint)startOffset;
        return PutAsync(key, NewHead(key, name.ToString(), start, content.Length, segmentSize, facts), content, payload, cancellationToken);
    }

    /// <summary>
    /// The unbroken WAL from a position on, along a timeline and its ancestors as PostgreSQL would read it: of a segment in which a
    /// timeline was left, the newer timeline's file.
    /// </summary>
    /// <param name="timeline">The timeline at the position: a base backup's.</param>
    /// <param name="from">The position.</param>
    /// <param name="targetTimeline">The timeline to follow; where null, the newest that comes from this one behind the position.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.TimelineMismatch"/>: the target does not come from the timeline, or left it before the position.
    /// </exception>
    public Task<WalCoverage> GetCoverageAsync(uint timeline, Lsn from, uint? targetTimeline, CancellationToken cancellationToken) =>
        GetCoverageAsync(timeline, from, from, targetTimeline, cancellationToken);

    /// <summary>
    /// The unbroken WAL from a base backup's start on. A timeline that left the backup's between its start and its stop does not come from it:
    /// what was copied behind that is of another history, and recovery would not find the end of the backup.
    /// </summary>
    /// <param name="timeline">The backup's timeline.</param>
    /// <param name="from">The backup's start.</param>
    /// <param name="stop">The backup's stop.</param>
    /// <param name="targetTimeline">The timeline to follow; where null, the newest that comes from this one behind the stop.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.TimelineMismatch"/>: the target does not come from the timeline, or left it before the stop.
    /// </exception>
    public async Task<WalCoverage> GetCoverageAsync(
        uint timeline, Lsn from, Lsn stop, uint? targetTimeline, CancellationToken cancellationToken)
    {
        return await RetryAsync(
            async () =>
            {
                WalCatalog catalog = await WalCatalog.LoadAsync(Repository, SystemId, cancellationToken).ConfigureAwait(false);
                return await GetCoverageAsync(catalog, timeline, from, stop, targetTimeline, cancellationToken).ConfigureAwait(false);
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>All that is archived: by timeline, then history files, then segments in order.</summary>
    public async IAsyncEnumerable<WalSegmentInfo> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        WalCatalog catalog = await WalCatalog.LoadAsync(Repository, SystemId, cancellationToken).ConfigureAwait(false);
        foreach (uint timeline in catalog.Timelines.Keys)
        {
            WalCatalog.Listing? listing = catalog.Timelines[timeline];
            List<WalSegmentInfo> infos = await RetryAsync(
                async () =>
                {
                    listing ??= await WalCatalog.LoadAsync(Repository, SystemId, timeline, cancellationToken).ConfigureAwait(false);
                    WalCatalog.Listing current = listing;
                    listing = null;
                    return await DescribeAsync(current, cancellationToken).ConfigureAwait(false);
                },
                cancellationToken).ConfigureAwait(false);
            foreach (WalSegmentInfo info in infos)
            {
                yield return info;
            }
        }
    }

    /// <summary>Reads the WAL of a segment, as far as it goes; every byte is verified.</summary>
    public async Task<byte[]> ReadAsync(WalItem item, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(item);
        byte[] content = new byte[item.SegmentSize];
        await ReadAsync(item, content, cancellationToken).ConfigureAwait(false);
        return item.IsPartial ? content[..(int)item.Length] : content;
    }

    /// <summary>
    /// Writes a segment to a file, every byte verified. The file has the full length of a segment, whatever is missing at its end as
    /// zeros: PostgreSQL takes no other. It appears whole or not at all.
    /// </summary>
    public Task FetchAsync(WalItem item, string destinationPath, CancellationToken cancellationToken) =>
        FetchAsync(item, destinationPath, null, cancellationToken);

    /// <summary>As the public one; but what is missing at the end comes from another file of the same segment, where there is one.</summary>
    internal async Task FetchAsync(WalItem item, string destinationPath, string? restPath, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(item);
        string path = Path.GetFullPath(destinationPath);
        string temporary = path + ".tmp";
        byte[] content = ArrayPool<byte>.Shared.Rent(item.SegmentSize);
        try
        {
            await ReadAsync(item, content, cancellationToken).ConfigureAwait(false);
            if (restPath is not null && item.IsPartial && new FileInfo(restPath) is { Exists: true } rest && rest.Length == item.SegmentSize)
            {
                FileStream source = new(rest.FullName, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 0, FileOptions.Asynchronous);
                await using (source.ConfigureAwait(false))
                {
                    source.Position = item.Length;
                    await source.ReadExactlyAsync(content.AsMemory((int)item.Length, item.SegmentSize - (int)item.Length), cancellationToken).ConfigureAwait(false);
                }
            }

            FileStream file = new(temporary, new FileStreamOptions
            {
                Mode = FileMode.Create,
                Access = FileAccess.Write,
                Options = FileOptions.Asynchronous,
                BufferSize = 0,
                PreallocationSize = item.SegmentSize,
            });
            await using (file.ConfigureAwait(false))
            {
                await file.WriteAsync(content.AsMemory(0, item.SegmentSize), cancellationToken).ConfigureAwait(false);
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
            Posix.SyncDirectory(Path.GetDirectoryName(path)!);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(content);
        }
    }

    /// <summary>The history of a timeline; null where it is not archived.</summary>
    public async Task<TimelineHistory?> GetHistoryAsync(uint timeline, CancellationToken cancellationToken)
    {
        WalKey key = WalKey.History(timeline);
        ObjectInfo? info = await Store.GetInfoAsync(key.ToKey(SystemId), cancellationToken).ConfigureAwait(false);
        return info is null ? null : await ReadHistoryAsync(timeline, info, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>As the public one; but WAL that is damaged, or whose key is not given, ends it, as missing WAL does, instead of failing.</summary>
    internal Task<WalCoverage> GetReadableCoverageAsync(
        uint timeline, Lsn from, Lsn stop, uint? targetTimeline, CancellationToken cancellationToken) => RetryAsync(
            async () =>
            {
                WalCatalog catalog = await WalCatalog.LoadAsync(Repository, SystemId, cancellationToken).ConfigureAwait(false);
                return await GetCoverageAsync(catalog, timeline, from, stop, targetTimeline, cancellationToken, endsAtUnreadable: true)
                    .ConfigureAwait(false);
            },
            cancellationToken);

    internal async Task<WalCoverage> GetCoverageAsync(
        WalCatalog catalog,
        uint timeline,
        Lsn from,
        Lsn stop,
        uint? targetTimeline,
        CancellationToken cancellationToken,
        bool endsAtUnreadable = false)
    {
        (TimelineHistory history, List<TimelineHistory> histories) =
            await ChooseHistoryAsync(catalog, timeline, stop, targetTimeline, cancellationToken).ConfigureAwait(false);
        if (await GetSegmentSizeAsync(catalog, cancellationToken).ConfigureAwait(false) is not { } size)
        {
            return new WalCoverage(this, from, history, histories, [], null);
        }

        List<Choice> choices = [];
        WalSegmentName name = WalSegmentName.Containing(from, history.Timeline, size);
        Choice? choice;
        while ((choice = Choose(catalog, history, name, size)) is not null)
        {
            choices.Add(choice);
            if (choice.EndLsn < name.EndLsn(size))
            {
                break;
            }

            name = name.Next(size);
        }

        WalItem[] items = new WalItem[choices.Count];
        ConcurrentDictionary<int, SmcException> unreadable = new();
        await Parallel.ForAsync(0, items.Length, Options(cancellationToken), async (i, token) =>
        {
            try
            {
                items[i] = await LoadItemAsync(choices[i], size, token).ConfigureAwait(false);
            }
            catch (SmcException e) when (endsAtUnreadable && Repository.IsUnreadable(e))
            {
                unreadable[i] = e;
            }
        }).ConfigureAwait(false);
        if (!unreadable.IsEmpty)
        {
            int first = unreadable.Keys.Min();
            return new WalCoverage(this, from, history, histories, items[..first], choices[first].Segment.Name) { Unreadable = unreadable[first] };
        }

        return new WalCoverage(this, from, history, histories, items, FindGap(catalog, history, choice, name, size));
    }

    /// <summary>Where the last hole in the WAL of a lineage begins; null where all that is there is in one piece.</summary>
    internal static Lsn? FindLastHole(WalCatalog catalog, TimelineHistory history, int segmentSize)
    {
        ulong[] numbers =
        [
            .. history.Lineage
                .SelectMany(timeline => catalog.Timelines.GetValueOrDefault(timeline)?.Segments.Values.Select(segment => segment.Name) ?? [])
                .Where(name => Choose(catalog, history, name with { Timeline = history.Timeline }, segmentSize) is not null)
                .Select(name => name.Number(segmentSize)).Distinct().OrderDescending(),
        ];
        for (int i = 1; i < numbers.Length; i++)
        {
            // There is something behind it, so it should go to its end.
            Choice choice = Choose(catalog, history, WalSegmentName.FromNumber(history.Timeline, numbers[i], segmentSize), segmentSize)!;
            if (numbers[i] + 1 != numbers[i - 1] || choice.EndLsn < choice.Segment.Name.EndLsn(segmentSize))
            {
                return choice.EndLsn;
            }
        }

        return null;
    }

    internal Task<WalCatalog> LoadCatalogAsync(CancellationToken cancellationToken) =>
        WalCatalog.LoadAsync(Repository, SystemId, cancellationToken);

    /// <summary>The segment size of the cluster; null where no WAL is archived.</summary>
    internal async Task<int?> GetSegmentSizeAsync(WalCatalog catalog, CancellationToken cancellationToken)
    {
        SmcException? unreadable = null;
        // The newest as well as the oldest: one may be damaged, and the oldest encrypted with a key that is not given any more.
        foreach (WalCatalog.Segment segment in catalog.Timelines.Values
            .Where(static listing => listing.Segments.Count > 0)
            .SelectMany(static listing => new[] { listing.Segments.Values.First(), listing.Segments.Values.Last() }))
        {
            (WalKey key, ObjectInfo info) = segment.Whole is null ? segment.Pieces[0] : (WalKey.Whole(segment.Name), segment.Whole);
            try
            {
                return (await ReadHeadAsync(key, info, cancellationToken).ConfigureAwait(false)).Head.WalSegmentSize;
            }
            catch (SmcException e) when (Repository.IsUnreadable(e))
            {
                unreadable = e;
            }
        }

        return unreadable is null ? null : throw unreadable;
    }

    /// <summary>Removes pieces that a longer object has made superfluous. What cannot be removed now is swept later.</summary>
    internal Task RemoveAsync(IEnumerable<WalKey> pieces, CancellationToken cancellationToken) =>
        Store.DiscardAsync([.. pieces.Select(piece => piece.ToKey(SystemId))], cancellationToken);

    internal async Task<TimelineHistory> ReadHistoryAsync(uint timeline, ObjectInfo info, CancellationToken cancellationToken)
    {
        if (!_histories.TryGetValue(timeline, out TimelineHistory? history))
        {
            (_, byte[] content) = await WalObject.ReadAsync(Repository, SystemId, WalKey.History(timeline), info, null, cancellationToken)
                .ConfigureAwait(false);
            history = _histories.GetOrAdd(timeline, TimelineHistory.Parse(timeline, content));
        }

        return history;
    }

    /// <summary>Loads a segment from a listing; null where it has nothing at its beginning.</summary>
    internal async Task<WalItem?> TryLoadItemAsync(WalCatalog.Segment segment, int segmentSize, CancellationToken cancellationToken)
    {
        uint end = segment.EndOffset(segmentSize);
        return end == 0 ? null : await LoadItemAsync(
            new Choice(segment, segment.Name.StartLsn(segmentSize) + end, false), segmentSize, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Loads the segment that PostgreSQL should read along a lineage; null where there is none.</summary>
    internal async Task<WalItem?> TryLoadItemAsync(
        WalCatalog catalog, TimelineHistory history, WalSegmentName name, int segmentSize, CancellationToken cancellationToken) =>
        Choose(catalog, history, name, segmentSize) is { } choice
            ? await LoadItemAsync(choice, segmentSize, cancellationToken).ConfigureAwait(false)
            : null;

    /// <summary>The head of a whole segment or a history file that is stored; null where it is not.</summary>
    internal async Task<WalObjectHead?> FindHeadAsync(WalKey key, CancellationToken cancellationToken) =>
        await Store.GetInfoAsync(key.ToKey(SystemId), cancellationToken).ConfigureAwait(false) is { } info
            ? (await ReadHeadAsync(key, info, cancellationToken).ConfigureAwait(false)).Head
            : null;

    /// <summary>Runs segments that follow each other through a scanner.</summary>
    internal async Task<WalRecordScanner> ScanAsync(
        IReadOnlyList<WalItem> items,
        uint timeline,
        Action<WalTransaction>? onTransaction,
        Action<WalRestorePoint>? onRestorePoint,
        CancellationToken cancellationToken)
    {
        WalRecordScanner scanner = new(items[0].StartLsn, timeline, items[0].SegmentSize, SystemId)
        {
            OnTransaction = onTransaction,
            OnRestorePoint = onRestorePoint,
        };
        foreach (WalItem item in items)
        {
            scanner.Append(await ReadAsync(item, cancellationToken).ConfigureAwait(false));
        }

        return scanner;
    }

    private static ParallelOptions Options(CancellationToken cancellationToken) =>
        new() { MaxDegreeOfParallelism = ParallelReads, CancellationToken = cancellationToken };

    /// <summary>
    /// Pieces vanish when their whole segment is stored. Whoever listed them before that lists again.
    /// </summary>
    private static async Task<T> RetryAsync<T>(Func<Task<T>> action, CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return await action().ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.ObjectNotFound && attempt < Attempts)
            {
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
    }

    /// <summary>The file that PostgreSQL should read for a segment: the one that goes furthest, the newer timeline's where equal.</summary>
    private static Choice? Choose(WalCatalog catalog, TimelineHistory history, WalSegmentName name, int size)
    {
        Choice? best = null;
        Lsn start = name.StartLsn(size);
        foreach (uint timeline in history.Lineage)
        {
            // A timeline's first segment is the one in which it begins; PostgreSQL looks for no earlier one (XLogFileReadAnyTLI).
            Lsn? left = history.SwitchPoint(timeline);
            if (history.BeginOf(timeline).Value / (uint)size > start.Value / (uint)size || start >= left ||
                catalog.Timelines.GetValueOrDefault(timeline)?.Find(name) is not { } segment)
            {
                continue;
            }

            Lsn end = start + segment.EndOffset(size);
            bool clipped = end > left;
            end = clipped ? left!.Value : end;
            if (end > start && (best is null || end > best.EndLsn))
            {
                best = new Choice(segment, end, clipped);
            }
        }

        return best;
    }

    private static WalSegmentName? FindGap(WalCatalog catalog, TimelineHistory history, Choice? last, WalSegmentName name, int size)
    {
        Lsn end = last?.EndLsn ?? name.StartLsn(size);
        foreach (uint timeline in history.Lineage)
        {
            Lsn? left = history.SwitchPoint(timeline);
            Lsn begin = history.BeginOf(timeline);
            foreach (WalCatalog.Segment segment in catalog.Timelines.GetValueOrDefault(timeline)?.Segments.Values.Reverse() ?? [])
            {
                Lsn start = segment.Name.StartLsn(size);
                if (start >= left)
                {
                    continue;
                }

                Lsn furthest = segment.Whole is not null ? segment.Name.EndLsn(size) : start + segment.Pieces.Max(static p => p.Key.EndOffset!.Value);
                if ((left is { } limit && furthest > limit ? limit : furthest) > end && segment.Name.EndLsn(size) > begin)
                {
                    return WalSegmentName.Containing(end, history.TimelineAt(end), size);
                }

                break;
            }
        }

        return null;
    }

    private async Task<(TimelineHistory History, List<TimelineHistory> Histories)> ChooseHistoryAsync(
        WalCatalog catalog, uint timeline, Lsn from, uint? targetTimeline, CancellationToken cancellationToken)
    {
        TimelineHistory? history = null;
        foreach (WalCatalog.Listing listing in catalog.Timelines.Values.Reverse())
        {
            if (history is not null || listing.History is null || (targetTimeline ?? listing.Timeline) != listing.Timeline ||
                listing.Timeline < timeline)
            {
                continue;
            }

            TimelineHistory candidate = await ReadHistoryAsync(listing.Timeline, listing.History, cancellationToken).ConfigureAwait(false);
            if (candidate.Timeline == timeline || candidate.SwitchPoint(timeline) >= from)
            {
                history = candidate;
            }
            else if (targetTimeline is not null)
            {
                throw new SmcException(
                    SmcErrorCode.TimelineMismatch,
                    candidate.SwitchPoint(timeline) is { } left
                        ? $"Timeline {targetTimeline} left timeline {timeline} at {left}, before {from}."
                        : $"Timeline {targetTimeline} does not come from timeline {timeline}.",
                    target: TimelineHistory.FileName(listing.Timeline));
            }
        }

        if (history is null && targetTimeline is { } target && target != timeline)
        {
            throw new SmcException(
                SmcErrorCode.TimelineMismatch,
                $"The history of timeline {target} is not in the archive.",
                target: TimelineHistory.FileName(target));
        }

        history ??= TimelineHistory.Root(timeline);
        List<TimelineHistory> histories = [];
        foreach (uint member in history.Lineage.Reverse())
        {
            if (catalog.Timelines.GetValueOrDefault(member)?.History is { } info)
            {
                histories.Add(await ReadHistoryAsync(member, info, cancellationToken).ConfigureAwait(false));
            }
        }

        return (history, histories);
    }

    private async Task<WalItem> LoadItemAsync(Choice choice, int size, CancellationToken cancellationToken)
    {
        List<StoredWal> parts = [];
        foreach ((WalKey key, ObjectInfo info) in choice.Segment.Chain())
        {
            parts.Add(await ReadHeadAsync(key, info, cancellationToken).ConfigureAwait(false));
        }

        WalSegmentName name = choice.Segment.Name;
        WalItem item = new()
        {
            Name = name,
            SegmentSize = size,
            StartLsn = name.StartLsn(size),
            EndLsn = choice.EndLsn,
            StoredBytes = parts.Sum(static part => part.Info.Length),
            StoredTime = parts.Max(static part => part.Info.LastModified),
            ServerTime = parts.Max(static part => part.Head.ServerTime),
            LastRecordEnd = parts.Max(static part => part.Head.LastRecordEnd) ?? name.StartLsn(size),
            // Pieces that overlap count the same transaction twice; times, ids and restore points stay right.
            Index = parts.Aggregate(WalIndex.Empty, static (index, part) => index.Concat(part.Head.Index ?? WalIndex.Empty)),
            Parts = parts,
        };
        if (parts[0].Head.WalSegmentSize != size)
        {
            throw new SmcException(
                SmcErrorCode.ManifestInvalid, $"The WAL segment '{name}' has another segment size than the others.", target: name.ToString());
        }

        if (!choice.IsClipped)
        {
            return item;
        }

        // What lies behind the point at which the timeline was left must not be promised to anyone.
        WalIndexBuilder index = new();
        WalRecordScanner scanner = await ScanAsync([item], name.Timeline, index.Add, index.Add, cancellationToken).ConfigureAwait(false);
        return item with { Index = index.Take(), LastRecordEnd = scanner.LastRecordEnd, ServerTime = null };
    }

    /// <summary>Reads a segment, every byte verified, into the beginning of an array; what is missing at its end is zeros.</summary>
    internal async Task ReadAsync(WalItem item, byte[] content, CancellationToken cancellationToken)
    {
        IReadOnlyList<StoredWal> parts = item.Parts;
        _ = await RetryAsync(
            async () =>
            {
                if (parts.Count == 0)
                {
                    WalCatalog.Listing listing = await WalCatalog.LoadAsync(Repository, SystemId, item.Timeline, cancellationToken)
                        .ConfigureAwait(false);
                    WalItem? found = listing.Find(item.Name) is { } segment
                        ? await TryLoadItemAsync(segment, item.SegmentSize, cancellationToken).ConfigureAwait(false)
                        : null;
                    parts = found is not null && found.EndLsn >= item.EndLsn ? found.Parts : throw new SmcException(
                        SmcErrorCode.ObjectNotFound, $"The WAL segment '{item.Name}' is not in the archive any more.", target: item.Name.ToString());
                }

                IReadOnlyList<StoredWal> current = parts;
                parts = [];
                await ReadAsync(item, current, content, cancellationToken).ConfigureAwait(false);
                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    private async Task ReadAsync(WalItem item, IReadOnlyList<StoredWal> parts, byte[] content, CancellationToken cancellationToken)
    {
        int filled = 0;
        foreach (StoredWal part in parts)
        {
            int start = (int)(part.Key.StartOffset ?? 0);
            (_, byte[] bytes) = await WalObject.ReadAsync(
                Repository, SystemId, part.Key, part.Info, part.Head.Sha256, cancellationToken).ConfigureAwait(false);
            int known = Math.Min(filled - start, bytes.Length);
            if (known > 0 && !bytes.AsSpan(0, known).SequenceEqual(content.AsSpan(start, known)))
            {
                throw Duplicate(item.Name.ToString(), part.Info.Key);
            }

            bytes.CopyTo(content, start);
            filled = Math.Max(filled, start + bytes.Length);
        }

        content.AsSpan((int)item.Length).Clear();
    }

    private async Task<List<WalSegmentInfo>> DescribeAsync(WalCatalog.Listing listing, CancellationToken cancellationToken)
    {
        List<WalSegmentInfo> result = [];
        if (listing.History is { } history)
        {
            StoredWal stored = await ReadHeadAsync(WalKey.History(listing.Timeline), history, cancellationToken).ConfigureAwait(false);
            result.Add(new WalSegmentInfo
            {
                Name = stored.Head.Name,
                Kind = "History",
                SystemId = stored.Head.SystemId,
                Timeline = (int)listing.Timeline,
                SizeBytes = stored.Head.Length,
                StoredBytes = history.Length,
                StoredTime = history.LastModified,
                Repository = Repository.Location,
            });
        }

        WalCatalog.Segment[] segments = [.. listing.Segments.Values];
        WalSegmentInfo?[] infos = new WalSegmentInfo?[segments.Length];
        await Parallel.ForAsync(0, segments.Length, Options(cancellationToken), async (i, token) =>
        {
            WalCatalog.Segment segment = segments[i];
            (WalKey key, ObjectInfo info) = segment.Whole is null ? segment.Pieces[0] : (WalKey.Whole(segment.Name), segment.Whole);
            int size = (await ReadHeadAsync(key, info, token).ConfigureAwait(false)).Head.WalSegmentSize!.Value;
            if (await TryLoadItemAsync(segment, size, token).ConfigureAwait(false) is { } item)
            {
                infos[i] = Describe(item, segment.Whole is not null);
            }
        }).ConfigureAwait(false);
        result.AddRange(infos.OfType<WalSegmentInfo>());
        return result;
    }

    private WalSegmentInfo Describe(WalItem item, bool isWhole) => new()
    {
        Name = item.Name.ToString(),
        Kind = isWhole ? "Segment" : "Partial",
        SystemId = SystemId.ToString(CultureInfo.InvariantCulture),
        Timeline = (int)item.Timeline,
        StartLsn = item.StartLsn.ToString(),
        EndLsn = item.EndLsn.ToString(),
        FirstCommitTime = item.Index.FirstCommitTime,
        LastCommitTime = item.Index.LastCommitTime,
        CommitCount = item.Index.Commits,
        SizeBytes = item.Length,
        StoredBytes = item.StoredBytes,
        StoredTime = item.StoredTime,
        Repository = Repository.Location,
    };

    private async Task<StoredWal> ReadHeadAsync(WalKey key, ObjectInfo info, CancellationToken cancellationToken)
    {
        if (_heads.TryGetValue(info.Key, out StoredWal? known) && known.Info.Length == info.Length)
        {
            return known with { Info = info };
        }

        return _heads[info.Key] = await WalObject.ReadHeadAsync(Repository, SystemId, key, info, cancellationToken).ConfigureAwait(false);
    }

    private WalFacts Scan(WalSegmentName name, ReadOnlySpan<byte> content)
    {
        WalIndexBuilder index = new();
        WalRecordScanner scanner = new(name.StartLsn(content.Length), name.Timeline, content.Length, SystemId)
        {
            OnTransaction = index.Add,
            OnRestorePoint = index.Add,
        };
        scanner.Append(content);
        return new WalFacts
        {
            LastRecordEnd = scanner.LastRecordEnd,
            Index = index.Take(),
            ServerVersionNumber = scanner.MajorVersion * 10000,
        };
    }

    private WalObjectHead NewHead(WalKey key, string name) => new()
    {
        RepositoryId = Repository.Id,
        Name = name,
        SystemId = SystemId.ToString(CultureInfo.InvariantCulture),
        Timeline = key.Timeline,
        Length = 0,
        Sha256 = default,
        Codec = "",
        Stored = 0,
        Crc32C = 0,
    };

    private WalObjectHead NewHead(WalKey key, string name, Lsn start, int length, int segmentSize, WalFacts facts) => NewHead(key, name) with
    {
        Start = start,
        End = start + (uint)length,
        WalSegmentSize = segmentSize,
        ServerTime = facts.ServerTime,
        ServerVersionNumber = facts.ServerVersionNumber,
        LastRecordEnd = facts.LastRecordEnd,
        Index = facts.Index,
    };

    private async Task PutAsync(
        WalKey wal, WalObjectHead head, ReadOnlyMemory<byte> content, WalPayload? payload, CancellationToken cancellationToken)
    {
        string key = wal.ToKey(SystemId);
        byte[] sealedObject = payload is { } known ? WalObject.Seal(head, content, known) : WalObject.Seal(head, content);
        for (int attempt = 1; ; attempt++)
        {
            await (Guard?.BeforeStoringAsync(cancellationToken) ?? Task.CompletedTask).ConfigureAwait(false);
            try
            {
                await Store.PutAsync(key, sealedObject, cancellationToken).ConfigureAwait(false);
                break;
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
            {
                // A retry after a lost answer, or another receiver: fine where the bytes are the same. The heads may differ, in their clocks.
                ObjectInfo? info = await Store.GetInfoAsync(key, cancellationToken).ConfigureAwait(false);
                if (info is null)
                {
                    throw;
                }

                try
                {
                    // All of it: who is told that it is stored removes what else there is of it.
                    (StoredWal existing, _) = await WalObject.ReadAsync(Repository, SystemId, wal, info, null, cancellationToken).ConfigureAwait(false);
                    if (existing.Head.Length != content.Length || existing.Head.Sha256 != Hash256.Compute(content.Span))
                    {
                        throw Duplicate(wal.Name, key);
                    }

                    break;
                }
                catch (SmcException damage) when (SmcErrors.IsDamage(damage.Code) && attempt < Attempts)
                {
                    if (await DamagedWal.MoveAsideAsync(Repository, SystemId, wal, cancellationToken).ConfigureAwait(false) is { } aside)
                    {
                        _heads.TryRemove(key, out _);
                        Observer.Warning(
                            $"{damage.Message} What is there lies under '{aside}' now, and '{wal.Name}' is stored again. Check the storage.");
                    }
                }
            }
        }

        await (Guard?.AfterStoringAsync(cancellationToken) ?? Task.CompletedTask).ConfigureAwait(false);
    }

    private SmcException Duplicate(string name, string key) => new(
        SmcErrorCode.WalDuplicate,
        $"'{name}' of the database cluster {SystemId} is in the archive already, with other content than what is stored now.",
        target: key);

    /// <summary>The file that is used for a segment, and up to where.</summary>
    private sealed record Choice(WalCatalog.Segment Segment, Lsn EndLsn, bool IsClipped);
}
