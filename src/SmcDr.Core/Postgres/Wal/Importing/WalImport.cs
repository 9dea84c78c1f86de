using System.Diagnostics;
using System.Globalization;
using SmcDr.Core.Leases;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal.Importing;

/// <summary>
/// Takes the WAL that an <c>archive_command</c> has put into a directory into a repository, checked as if it had been streamed. Run again
/// after an interruption, or when there is more, it stores what is not there yet. The directory is only read.
/// </summary>
public sealed class WalImport
{
    private const string Activity = "Import of write-ahead log";
    private const int BufferBytes = 256 << 20;

    // A record may go on through many segments. So many wait for its end, and its checksum, before the oldest is stored without.
    private const int MaximumWaiting = 4;

    private readonly WalArchive _archive;
    private readonly WalCatalog _catalog;
    private readonly WalImportPlan _plan;
    private readonly int _segmentSize;
    private readonly int _parallelism;
    private readonly IOperationObserver _observer;
    private readonly Lock _gate = new();
    private readonly List<WalImportProblem> _problems = [];
    private readonly List<Segment> _waiting = [];
    private readonly Queue<Segment> _checked = new();
    private readonly List<Task> _puts = [];
    private readonly WalIndexBuilder _index = new();
    private WalRecordScanner? _scanner;
    private uint _scannerTimeline;
    private WalSegmentName? _first;
    private WalSegmentName? _last;
    private long _imported;
    private long _present;
    private long _partial;
    private long _histories;
    private long _bytes;
    private long _done;

    private WalImport(WalArchive archive, WalCatalog catalog, WalImportPlan plan, int segmentSize, IOperationObserver observer)
    {
        _archive = archive;
        _catalog = catalog;
        _plan = plan;
        _segmentSize = segmentSize;
        _observer = observer;
        _parallelism = Math.Clamp(BufferBytes / segmentSize / 4, 1, Math.Max(1, plan.Options.Parallelism));
    }

    /// <summary>Imports what a plan found.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.SystemIdMismatch"/>: nobody says which cluster is meant. A file that is not right is no exception: it is
    /// refused, and named in the result.
    /// </exception>
    public static async Task<WalImportResult> RunAsync(
        Repository repository, WalImportPlan plan, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(observer);
        long begin = Stopwatch.GetTimestamp();
        Fence? fence = await Fence.EnterAsync(repository, plan.Options.Fencing, cancellationToken).ConfigureAwait(false);
        WalArchive archive = new(repository, await ChooseSystemAsync(repository, plan, cancellationToken).ConfigureAwait(false))
        {
            Guard = fence is null ? null : new FenceGuard(fence),
            Observer = observer,
        };
        WalCatalog catalog = await archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false);
        int size = await archive.GetSegmentSizeAsync(catalog, cancellationToken).ConfigureAwait(false) ?? (int?)plan.Head?.SegmentSize ?? 16 << 20;
        WalImport import = new(archive, catalog, plan, size, observer);
        try
        {
            await import.RunAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            import.Report("", isCompleted: true);
        }

        return import.Result(Stopwatch.GetElapsedTime(begin));
    }

    private static async Task<ulong> ChooseSystemAsync(Repository repository, WalImportPlan plan, CancellationToken cancellationToken)
    {
        if (plan.Options.SystemId is { } given)
        {
            return given;
        }

        HashSet<ulong> known = [];
        await foreach (ulong system in WalArchive.ListSystemsAsync(repository, cancellationToken).ConfigureAwait(false))
        {
            known.Add(system);
        }

        await foreach (BackupEntry backup in repository.ListBackupsAsync(Component.Database, cancellationToken).ConfigureAwait(false))
        {
            if (backup.Header is { } header && ClusterIdentity.TryGetSystemId(header) is { } system)
            {
                known.Add(system);
            }
        }

        // Where the repository knows one cluster, another one's segments are refused one by one.
        return plan.SystemId is { } found && (known.Count == 0 || known.Contains(found)) ? found
            : known.Count == 1 ? known.First()
            : throw new SmcException(
                SmcErrorCode.SystemIdMismatch,
                plan.SystemId is { } other
                    ? $"The write-ahead log in '{plan.Options.Path}' belongs to the database cluster {other}, of which '{repository.Location}' knows nothing."
                    : $"No segment in '{plan.Options.Path}' says which database cluster it belongs to.",
                recommendation: "Give the system identifier of the cluster (-SystemId or --system-id); pg_controldata shows it.",
                target: plan.Options.Path);
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        using CancellationTokenSource leave = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using SemaphoreSlim room = new(_parallelism);
        Queue<Task<Segment?>> reads = new();
        try
        {
            // In the order of the WAL, so that every record is checked, also those that go from one segment to the next.
            Queue<IGrouping<WalSegmentName, WalFile>> names = new(_plan.Files.Where(static file => file.Kind == WalFileKind.Segment)
                .GroupBy(static file => file.Segment)
                .OrderBy(static files => files.Key.Timeline).ThenBy(static files => files.Key.High).ThenBy(static files => files.Key.Low));
            while (names.Count > 0 || reads.Count > 0)
            {
                while (names.Count > 0 && reads.Count < _parallelism)
                {
                    IGrouping<WalSegmentName, WalFile> files = names.Dequeue();
                    reads.Enqueue(Task.Run(() => ReadAsync(files.Key, [.. files], leave.Token), leave.Token));
                }

                if (await reads.Dequeue().ConfigureAwait(false) is { } segment)
                {
                    await ScanAsync(segment, leave.Token).ConfigureAwait(false);
                }

                // What is complete and checked goes to the store while the next ones are read.
                await StoreCheckedAsync(room, leave.Token).ConfigureAwait(false);
            }

            Release(_waiting.Count);
            await StoreCheckedAsync(room, leave.Token).ConfigureAwait(false);
            await Task.WhenAll(_puts).ConfigureAwait(false);
            foreach (WalFile file in _plan.Files.Where(static file => file.Kind == WalFileKind.Partial))
            {
                await TryAsync(file, () => ImportPartialAsync(file, cancellationToken)).ConfigureAwait(false);
            }

            // Last, so that no timeline is known before there is anything of it.
            foreach (WalFile file in _plan.Files.Where(static file => file.Kind == WalFileKind.History))
            {
                await TryAsync(file, () => ImportHistoryAsync(file, cancellationToken)).ConfigureAwait(false);
            }
        }
        finally
        {
            await leave.CancelAsync().ConfigureAwait(false);
            foreach (Task work in reads.Concat(_puts))
            {
                await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>Reads a segment; null where no file of it is any good.</summary>
    private async Task<Segment?> ReadAsync(WalSegmentName name, List<WalFile> files, CancellationToken cancellationToken)
    {
        Segment? result = null;
        List<string> same = [];
        foreach (WalFile file in files)
        {
            try
            {
                byte[] content = await file.ReadAsync(_segmentSize, cancellationToken).ConfigureAwait(false);
                CheckHead(file, content);
                Hash256 hash = Hash256.Compute(content);
                if (result is not null && result.Hash != hash)
                {
                    // Which is right, nobody knows: none is taken.
                    string reason = $"The files '{result.File.Path}' and '{file.Path}' are both the WAL segment '{name}', and differ.";
                    foreach (string path in same.Append(file.Path))
                    {
                        Refuse(path, SmcErrorCode.WalDuplicate, reason);
                    }

                    return null;
                }

                result ??= new Segment(name, file, content, hash);
                same.Add(file.Path);
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.WalInvalid || e.Code == SmcErrorCode.SystemIdMismatch)
            {
                Refuse(file.Path, e.Code, e.Message);
            }
        }

        for (int i = 1; i < same.Count; i++)
        {
            Count(ref _present);
        }

        return result;
    }

    private void CheckHead(WalFile file, ReadOnlySpan<byte> content)
    {
        if (content.Length < WalPageHeader.LongLength)
        {
            throw Invalid(file, $"has {content.Length} bytes, which is no WAL segment");
        }

        WalPageHeader head = WalPageHeader.Read(content);
        if (head is { IsLong: true, MajorVersion: not null } && head.SystemId != _archive.SystemId)
        {
            throw new SmcException(
                SmcErrorCode.SystemIdMismatch,
                $"The file '{file.Path}' belongs to the database cluster {head.SystemId} and not to {_archive.SystemId}.",
                target: file.Path);
        }

        if (head.FindProblem(file.Segment.StartLsn(_segmentSize), file.Timeline, _segmentSize, _archive.SystemId) is { } problem)
        {
            throw Invalid(file, $"is not the WAL segment '{file.Segment}': {problem}");
        }

        if (content.Length != _segmentSize)
        {
            throw Invalid(file, content.Length < _segmentSize
                ? $"has {content.Length} bytes of the {_segmentSize} that a segment of this cluster has: it was cut off, or is still being written"
                : $"has more than the {_segmentSize} bytes of a segment of this cluster");
        }
    }

    private async Task ScanAsync(Segment segment, CancellationToken cancellationToken)
    {
        Lsn start = segment.Name.StartLsn(_segmentSize);
        if (_scanner?.Position != start || _scannerTimeline != segment.Name.Timeline)
        {
            // Whatever goes on behind the gap, nobody will tell.
            Release(_waiting.Count);
            _scanner = await BeginAsync(segment.Name, _catalog.Timelines.GetValueOrDefault(segment.Name.Timeline), cancellationToken)
                .ConfigureAwait(false);
            _scannerTimeline = segment.Name.Timeline;
            _ = _index.Take();
        }

        bool wasInside = _scanner.IsInsideRecord;
        Lsn before = _scanner.LastRecordEnd;
        try
        {
            _scanner.Append(segment.Content);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.WalInvalid)
        {
            // Where the record that is wrong began in the segment before, either may be to blame. Neither is stored: what is stored can
            // never be replaced by a better copy.
            if (wasInside && _scanner.LastRecordEnd == before)
            {
                foreach (Segment suspect in _waiting)
                {
                    Refuse(suspect.File.Path, e.Code, $"{e.Message} The record goes on in '{segment.File.Path}'; either file is damaged.");
                }

                _waiting.Clear();
            }

            Release(_waiting.Count);
            Refuse(segment.File.Path, e.Code, e.Message);
            _scanner = null;
            return;
        }

        segment.Facts = new WalFacts
        {
            Index = _index.Take(),
            LastRecordEnd = _scanner.LastRecordEnd,
            ServerVersionNumber = _scanner.MajorVersion * 10000,
        };
        if (_scanner.LastRecordEnd > before || !wasInside)
        {
            Release(_waiting.Count);
        }

        _waiting.Add(segment);
        Release(_scanner.IsInsideRecord ? _waiting.Count - MaximumWaiting : _waiting.Count);
    }

    /// <summary>A scanner for what begins with a segment: behind the one before, where the archive has it, so that no record is overlooked.</summary>
    private async Task<WalRecordScanner> BeginAsync(WalSegmentName name, WalCatalog.Listing? listing, CancellationToken cancellationToken)
    {
        ulong number = name.Number(_segmentSize);
        if (number > 0 && listing?.Find(WalSegmentName.FromNumber(name.Timeline, number - 1, _segmentSize)) is { Whole: not null } previous)
        {
            try
            {
                WalItem? item = await _archive.TryLoadItemAsync(previous, _segmentSize, cancellationToken).ConfigureAwait(false);
                WalRecordScanner scanner = NewScanner(previous.Name);
                scanner.Append(await _archive.ReadAsync(item!, cancellationToken).ConfigureAwait(false));
                return scanner;
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.ChecksumMismatch or SmcErrorCode.ManifestInvalid or SmcErrorCode.WalInvalid)
            {
                // New WAL must not be lost because old WAL is damaged.
                _observer.Warning($"{e.Message} The import goes on without it.");
            }
        }

        return NewScanner(name);
    }

    private WalRecordScanner NewScanner(WalSegmentName name) => new(name.StartLsn(_segmentSize), name.Timeline, _segmentSize, _archive.SystemId)
    {
        OnTransaction = _index.Add,
        OnRestorePoint = _index.Add,
    };

    private void Release(int count)
    {
        for (int i = 0; i < count; i++)
        {
            _checked.Enqueue(_waiting[i]);
        }

        _waiting.RemoveRange(0, Math.Max(0, count));
    }

    private async Task StoreCheckedAsync(SemaphoreSlim room, CancellationToken cancellationToken)
    {
        while (_checked.TryDequeue(out Segment? segment))
        {
            await room.WaitAsync(cancellationToken).ConfigureAwait(false);
            foreach (Task put in _puts.Where(static put => put.IsCompleted).ToList())
            {
                // Ends the import where the store does not take it.
                await put.ConfigureAwait(false);
                _puts.Remove(put);
            }

            _puts.Add(Task.Run(
                async () =>
                {
                    try
                    {
                        await TryAsync(segment.File, () => StoreAsync(segment, cancellationToken)).ConfigureAwait(false);
                    }
                    finally
                    {
                        room.Release();
                    }
                },
                cancellationToken));
        }
    }

    private async Task StoreAsync(Segment segment, CancellationToken cancellationToken)
    {
        WalCatalog.Segment? known = _catalog.Timelines.GetValueOrDefault(segment.Name.Timeline)?.Find(segment.Name);
        if (known?.Whole is not null &&
            await TryFindHeadAsync(WalKey.Whole(segment.Name), cancellationToken).ConfigureAwait(false) is { } head)
        {
            if (head.Sha256 != segment.Hash)
            {
                throw Duplicate(segment.File, known.Whole.Key);
            }

            Count(ref _present, segment.Name);
            return;
        }

        try
        {
            await CompareAsync(segment.File, known, segment.Content, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
        {
            _observer.Warning($"{e.Message} The import goes on without comparing it.");
        }

        await _archive.PutSegmentAsync(segment.Name, segment.Content, segment.Facts, cancellationToken).ConfigureAwait(false);
        Count(ref _imported, segment.Name, segment.Content.Length);
        if (known is { Pieces.Count: > 0 })
        {
            try
            {
                await _archive.RemoveAsync(known.Pieces.Select(static piece => piece.Key), cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e)
            {
                // A locked or read-only store keeps them. They do no harm: what replaced them is preferred.
                _observer.Verbose($"Pieces of the WAL segment '{segment.Name}' stay although it is complete: {e.Message}");
            }
        }
    }

    /// <summary>The head of an object that is stored; null where it is not, or is damaged: then it is stored again.</summary>
    private async Task<WalObjectHead?> TryFindHeadAsync(WalKey key, CancellationToken cancellationToken)
    {
        try
        {
            return await _archive.FindHeadAsync(key, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
        {
            return null;
        }
    }

    /// <summary>Compares with what the archive has of a segment in pieces, and says how much that is.</summary>
    private async Task<int> CompareAsync(WalFile file, WalCatalog.Segment? known, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        if (known is null || await _archive.TryLoadItemAsync(known, _segmentSize, cancellationToken).ConfigureAwait(false) is not { } item)
        {
            return 0;
        }

        byte[] stored = await _archive.ReadAsync(item, cancellationToken).ConfigureAwait(false);
        int common = Math.Min(stored.Length, content.Length);
        return stored.AsSpan(0, common).SequenceEqual(content.Span[..common]) ? stored.Length : throw Duplicate(file, item.Parts[0].Info.Key);
    }

    private async Task ImportPartialAsync(WalFile file, CancellationToken cancellationToken)
    {
        byte[] content = await file.ReadAsync(_segmentSize, cancellationToken).ConfigureAwait(false);
        CheckHead(file, content);
        // The listing at the beginning does not know what has come since: the segment before, or the same one whole.
        WalCatalog.Listing listing = await WalCatalog.LoadAsync(_archive.Repository, _archive.SystemId, file.Timeline, cancellationToken)
            .ConfigureAwait(false);
        WalRecordScanner scanner = await BeginAsync(file.Segment, listing, cancellationToken).ConfigureAwait(false);
        _ = _index.Take();
        Lsn start = file.Segment.StartLsn(_segmentSize);
        try
        {
            scanner.Append(content);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.WalInvalid)
        {
            // Behind the last record stands what the file held before, or nothing: there the WAL of this timeline ends.
        }

        int length = (int)Math.Clamp(scanner.LastRecordEnd - start, 0, _segmentSize);
        if (length == 0)
        {
            throw Invalid(file, "holds no record that ends in it");
        }

        WalFacts facts = new()
        {
            Index = _index.Take(),
            LastRecordEnd = scanner.LastRecordEnd,
            ServerVersionNumber = scanner.MajorVersion * 10000,
        };
        ReadOnlyMemory<byte> valid = content.AsMemory(0, length);
        if (await CompareAsync(file, listing.Find(file.Segment), valid, cancellationToken).ConfigureAwait(false) >= length)
        {
            Count(ref _present, file.Segment);
            return;
        }

        await _archive.PutPieceAsync(file.Segment, _segmentSize, 0, valid, facts, cancellationToken).ConfigureAwait(false);
        Count(ref _partial, file.Segment, length);
    }

    private async Task ImportHistoryAsync(WalFile file, CancellationToken cancellationToken)
    {
        byte[] content = await WalImportPlan.ReadHistoryAsync(file, cancellationToken).ConfigureAwait(false);
        if (await TryFindHeadAsync(WalKey.History(file.Timeline), cancellationToken).ConfigureAwait(false) is { } head)
        {
            if (head.Sha256 != Hash256.Compute(content))
            {
                throw Duplicate(file, WalKey.History(file.Timeline).ToKey(_archive.SystemId));
            }

            Count(ref _present);
            return;
        }

        await _archive.PutHistoryAsync(file.Timeline, content, cancellationToken).ConfigureAwait(false);
        Count(ref _histories);
    }

    /// <summary>Imports a file, or refuses it where it is not right. What is wrong with the store ends the import.</summary>
    private async Task TryAsync(WalFile file, Func<Task> import)
    {
        try
        {
            await import().ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code is SmcErrorCode.WalInvalid or SmcErrorCode.WalDuplicate or SmcErrorCode.SystemIdMismatch)
        {
            Refuse(file.Path, e.Code, e.Message);
        }
    }

    private static SmcException Duplicate(WalFile file, string key) => new(
        SmcErrorCode.WalDuplicate,
        $"The file '{file.Path}' differs from the object '{key}' that the archive has under the same name.",
        target: file.Path);

    private static SmcException Invalid(WalFile file, string problem) =>
        new(SmcErrorCode.WalInvalid, $"The file '{file.Path}' {problem}.", target: file.Path);

    private void Refuse(string path, SmcErrorCode code, string reason)
    {
        lock (_gate)
        {
            _problems.Add(new WalImportProblem { Path = path, ErrorId = SmcErrors.Get(code).ErrorId, Reason = reason });
            _done++;
        }

        _observer.Warning(reason);
    }

    private void Count(ref long counter, WalSegmentName? name = null, int bytes = 0)
    {
        lock (_gate)
        {
            counter++;
            _bytes += bytes;
            _done++;
            if (name is { } segment)
            {
                _first = _first is { } first && Compare(first, segment) <= 0 ? first : segment;
                _last = _last is { } last && Compare(last, segment) >= 0 ? last : segment;
            }
        }

        Report(name?.ToString() ?? "", isCompleted: false);
    }

    private static int Compare(WalSegmentName left, WalSegmentName right) => string.CompareOrdinal(left.ToString(), right.ToString());

    private void Report(string status, bool isCompleted) => _observer.Progress(new OperationProgress(
        Activity, status, Interlocked.Read(ref _done), _plan.SegmentCount + _plan.PartialCount + _plan.HistoryCount, ProgressUnit.Items)
    {
        IsCompleted = isCompleted,
    });

    private WalImportResult Result(TimeSpan duration) => new()
    {
        Path = _plan.Options.Path,
        Repository = _archive.Repository.Location,
        SystemId = _archive.SystemId.ToString(CultureInfo.InvariantCulture),
        State = _problems.Count == 0 ? nameof(BackupState.Complete) : nameof(BackupState.Partial),
        ImportedCount = _imported,
        PresentCount = _present,
        PartialCount = _partial,
        HistoryCount = _histories,
        RefusedCount = _problems.Count,
        Refused = [.. _problems.OrderBy(static problem => problem.Path, StringComparer.Ordinal)],
        LabelCount = _plan.Files.Count(static file => file.Kind == WalFileKind.Label),
        Unknown = [.. _plan.Files.Where(static file => file.Kind == WalFileKind.Unknown).Select(static file => file.Path)],
        FirstSegment = _first?.ToString(),
        LastSegment = _last?.ToString(),
        SizeBytes = _bytes,
        Duration = duration,
    };

    /// <summary>A segment that was read, until it is stored.</summary>
    private sealed record Segment(WalSegmentName Name, WalFile File, byte[] Content, Hash256 Hash)
    {
        public WalFacts? Facts { get; set; }
    }
}
