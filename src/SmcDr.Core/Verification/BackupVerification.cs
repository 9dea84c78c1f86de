using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Verification;

/// <summary>Finds out whether backups can be relied on: whether all that they need is there, or, deeply, whether every byte of it is right.</summary>
public sealed class BackupVerification
{
    private const string Activity = "Verification of backups";

    private readonly Repository _repository;
    private readonly BackupVerificationOptions _options;
    private readonly IOperationObserver _observer;
    private readonly ConcurrentDictionary<string, Lazy<Task<Dictionary<string, ObjectInfo>>>> _folders = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<ulong, Lazy<Task<(WalArchive Archive, WalCatalog Catalog)>>> _archives = new();
    private readonly ConcurrentDictionary<string, Lazy<Task<BackupProblem?>>> _wal = new(StringComparer.Ordinal);
    private long _read;

    public BackupVerification(Repository repository, BackupVerificationOptions? options, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(observer);
        _repository = repository;
        _options = options ?? new BackupVerificationOptions();
        _observer = observer;
    }

    /// <summary>Verifies all backups that count as complete, or should; several at a time, each result as it is there.</summary>
    public async IAsyncEnumerable<BackupTestResult> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        List<(Component Component, string Id)> backups = [];
        foreach (Component component in Enum.GetValues<Component>())
        {
            await foreach (BackupEntry entry in _repository.ListBackupsAsync(component, cancellationToken).ConfigureAwait(false))
            {
                if (entry.IsComplete || entry.Problem is not null)
                {
                    backups.Add((component, entry.Id));
                }
            }
        }

        await foreach (BackupTestResult result in RunAsync(backups, cancellationToken).ConfigureAwait(false))
        {
            yield return result;
        }
    }

    /// <summary>Verifies some backups, each result as it is there. Not to be called twice at a time.</summary>
    public async IAsyncEnumerable<BackupTestResult> RunAsync(
        IReadOnlyCollection<(Component Component, string Id)> backups, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(backups);
        VerificationNotes notes = new(_repository, _options.Time);
        HashSet<string> verified = _options is { Deep: true, VerifiedWithin: { } within }
            ? await notes.ReadAsync(within, cancellationToken).ConfigureAwait(false)
            : [];
        PackVerifier packs = new(_repository.Store, verified, notes, OnRead);
        Channel<BackupTestResult> results = Channel.CreateUnbounded<BackupTestResult>();
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task work = Task.Run(
            async () =>
            {
                Exception? failure = null;
                try
                {
                    // Each reads its packs in parallel as well; a few backups at a time hide the waits for manifests.
                    await Parallel.ForEachAsync(
                        backups,
                        new ParallelOptions { MaxDegreeOfParallelism = _options.Deep ? 2 : 8, CancellationToken = stop.Token },
                        async (backup, token) => await results.Writer
                            .WriteAsync(await VerifyAsync(packs, backup.Component, backup.Id, token).ConfigureAwait(false), token)
                            .ConfigureAwait(false)).ConfigureAwait(false);
                }
                catch (Exception e)
                {
                    failure = e;
                    throw;
                }
                finally
                {
                    results.Writer.Complete(failure);
                }
            },
            CancellationToken.None);
        try
        {
            await foreach (BackupTestResult result in results.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return result;
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _observer.Progress(new OperationProgress(Activity, "") { IsCompleted = true });
            if (_options.Deep)
            {
                // Also of a run that was stopped: that is what the notes are for.
                using CancellationTokenSource limit = new(TimeSpan.FromSeconds(30));
                try
                {
                    await notes.WriteAsync(limit.Token).ConfigureAwait(false);
                }
                catch (Exception e) when (e is SmcException or OperationCanceledException)
                {
                    _observer.Warning($"What was verified could not be noted, and will be read again: {e.Message}");
                }
            }
        }
    }

    /// <summary>
    /// Finds out whether there is a complete backup of each thing that is not older than so long. Logical and emergency backups of databases
    /// do not count, nor does one that began in the future: taken while a clock was wrong, it would pass for new long after the last backup.
    /// </summary>
    public async Task<IReadOnlyList<BackupTestResult>> CheckAgeAsync(
        IReadOnlyCollection<ExpectedBackup> expected, TimeSpan newerThan, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(expected);
        DateTimeOffset now = _options.Time.GetUtcNow();
        List<BackupTestResult> results = [];
        foreach (ExpectedBackup one in expected)
        {
            long started = Stopwatch.GetTimestamp();
            BackupHeader? newest = await _repository.FindNewestAsync(
                one.Component,
                header => IsMeant(header) && !header.IsAhead(now),
                cancellationToken).ConfigureAwait(false);
            BackupHeader? ahead = newest is null
                ? await _repository.FindNewestAsync(one.Component, IsMeant, cancellationToken).ConfigureAwait(false)
                : null;

            string name = one.Subject is null ? one.Component.ToString() : $"{one.Component} {one.Subject}";
            string what = one.Component == Component.Database ? $"complete physical backup of {name}"
                : one.Namespace is { } main ? $"complete backup of {name} with the namespace '{main}' and its Secrets"
                : $"complete backup of {name}";
            string age = DurationText.Format(newerThan);
            BackupProblem? problem = ahead is not null
                ? new BackupProblem(
                    ahead.Id,
                    SmcErrors.Get(SmcErrorCode.BackupOutdated).ErrorId,
                    $"The newest {what} began at {DisplayText.Time(ahead.StartTime)}, which is in the future: a clock is wrong, or was.")
                : newest is null
                ? new BackupProblem(name, SmcErrors.Get(SmcErrorCode.BackupNotFound).ErrorId, $"There is no {what}.")
                : newest.StartTime < now - newerThan
                    ? new BackupProblem(
                        newest.Id,
                        SmcErrors.Get(SmcErrorCode.BackupOutdated).ErrorId,
                        $"The newest {what} began at {DisplayText.Time(newest.StartTime)}, which is more than {age} ago.")
                    : null;
            results.Add(new BackupTestResult
            {
                Id = newest?.Id ?? "",
                Component = one.Component.ToString(),
                Subject = one.Subject,
                Outcome = problem is null ? "Passed" : "Failed",
                Problems = problem is null ? [] : [problem],
                StartTime = newest?.StartTime,
                ObjectCount = newest is null ? 0 : 1,
                Duration = Stopwatch.GetElapsedTime(started),
                Repository = _repository.Location,
            });

            bool IsMeant(BackupHeader header) =>
                header.Logical is null && one.Includes(header);
        }

        return results;
    }

    /// <summary>
    /// Whether a failure is something that was found about a backup, and not that the storage cannot be asked, or that this host lacks the
    /// library that decompresses.
    /// </summary>
    internal static bool IsFinding(SmcException e) => e.Code is not (SmcErrorCode.StorageUnavailable or SmcErrorCode.StorageAccessDenied
        or SmcErrorCode.StorageFull or SmcErrorCode.DiskSpaceInsufficient or SmcErrorCode.OperationStopped or SmcErrorCode.ProgramNotFound);

    internal static BackupProblem Problem(SmcException e, string key) => new(e.Target ?? key, e.ErrorId, e.Message);

    private static BackupProblem Problem(string key, SmcErrorCode code, string message) => new(key, SmcErrors.Get(code).ErrorId, message);

    private void OnRead(long bytes)
    {
        long total = Interlocked.Add(ref _read, bytes);
        _observer.Progress(new OperationProgress(Activity, "Reading packs", total));
    }

    private async Task<BackupTestResult> VerifyAsync(PackVerifier packs, Component component, string id, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        ConcurrentQueue<BackupProblem> problems = new();
        BackupTestResult result = new()
        {
            Id = id,
            Component = component.ToString(),
            Outcome = "Failed",
            Problems = [],
            Deep = _options.Deep,
            Repository = _repository.Location,
        };
        try
        {
            BackupReader reader = await _repository.OpenBackupAsync(component, id, cancellationToken).ConfigureAwait(false);
            BackupHeader header = reader.Header;
            result = result with { StartTime = header.StartTime, Subject = BackupRetention.SubjectOf(header), ObjectCount = 2 };
            await CheckDocumentsAsync(header, problems, cancellationToken).ConfigureAwait(false);
            result = await VerifyManifestAsync(packs, reader, result, problems, cancellationToken).ConfigureAwait(false);
            // Bytes that are the stored ones, which the packs have proven by now, are still only as good as what was stored.
            if (_options.Deep && header.Redis is { } redis && problems.IsEmpty &&
                await RdbVerification.FindProblemAsync(reader, redis, packs.WasVerified, cancellationToken).ConfigureAwait(false) is { } fault)
            {
                problems.Enqueue(fault);
            }

            if (header.Database is { } database)
            {
                result = await VerifyWalAsync(database, result, problems, cancellationToken).ConfigureAwait(false);
            }

            bool isPartial = header.IsPartial || result.Outcome == "Partial";
            result = result with { Outcome = problems.IsEmpty ? "Passed" : "Failed" };
            if (isPartial && (problems.IsEmpty || problems.All(static problem => problem.Code == s_gap)))
            {
                result = result with { Outcome = "Partial" };
            }

            if (header.FileStore is { UnreadableCount: > 0 and long unreadable })
            {
                problems.Enqueue(Problem(id, SmcErrorCode.BackupUnsuitable, string.Create(
                    CultureInfo.InvariantCulture, $"{unreadable} files could not be read when the backup was taken, and are not in it.")));
            }

            IEnumerable<string> missingParts = header.Logical is { } logical ? MissingOf(logical)
                : header.Configuration is { } configuration ? configuration.Missing.Select(static gap => $"'{gap.What}' is not in the backup: {gap.Reason}.")
                : [];
            foreach (string missing in missingParts)
            {
                problems.Enqueue(Problem(id, SmcErrorCode.BackupUnsuitable, missing));
            }
        }
        catch (SmcException e) when (IsFinding(e))
        {
            problems.Enqueue(Problem(e, RepositoryKeys.IsId(id) ? RepositoryKeys.Complete(component, id) : id));
            result = result with { Outcome = "Failed" };
        }

        return result with
        {
            Problems = [.. problems.Distinct().OrderBy(static problem => problem.Target, StringComparer.Ordinal)],
            Duration = Stopwatch.GetElapsedTime(started),
        };
    }

    private static readonly string s_gap = SmcErrors.Get(SmcErrorCode.WalGap).ErrorId;

    private static IEnumerable<string> MissingOf(LogicalBackupDetails logical) =>
    [
        .. logical.Failures.Select(static failure => $"'{failure.Database}' is not in the backup: {failure.Reason}"),
        .. logical.Databases.SelectMany(static database => database.ExcludedTables.Select(
            table => $"The rows of {table} in the database '{database.Name}' could not be read when the backup was taken, and are not in it.")),
    ];

    /// <summary>The claim, on which the next backup builds, and what protects the backup.</summary>
    private async Task CheckDocumentsAsync(BackupHeader header, ConcurrentQueue<BackupProblem> problems, CancellationToken cancellationToken)
    {
        string key = RepositoryKeys.Started(header.Component, header.Id);
        try
        {
            BackupStart? claim = await _repository
                .TryReadDocumentAsync(key, RepositoryJson.Default.BackupStart, cancellationToken).ConfigureAwait(false);
            if (claim is not null && (claim.Id != header.Id || claim.Component != header.Component || claim.RepositoryId != _repository.Id))
            {
                problems.Enqueue(Problem(key, SmcErrorCode.ManifestInvalid, $"The object '{key}' is the claim of another backup."));
            }
        }
        catch (SmcException e) when (IsFinding(e))
        {
            problems.Enqueue(Problem(e, key));
        }

        ProtectionState protection = await new BackupProtections(_repository, _options.Time)
            .GetAsync(header.Component, header.Id, cancellationToken).ConfigureAwait(false);
        foreach (string unreadable in protection.Unreadable)
        {
            problems.Enqueue(Problem(unreadable, SmcErrorCode.ChecksumMismatch, $"The protection '{unreadable}' cannot be believed."));
        }
    }

    private async Task<BackupTestResult> VerifyManifestAsync(
        PackVerifier verifier,
        BackupReader reader,
        BackupTestResult result,
        ConcurrentQueue<BackupProblem> problems,
        CancellationToken cancellationToken)
    {
        BackupHeader header = reader.Header;
        string key = RepositoryKeys.Manifest(header.Component, header.Id);
        StreamedManifest manifest = await reader.OpenManifestAsync(cancellationToken).ConfigureAwait(false);
        await using (manifest.ConfigureAwait(false))
        {
            if (header.Uses is { } uses && !uses.SequenceEqual(PackUse.From(header.Id, manifest.Packs)))
            {
                problems.Enqueue(Problem(
                    RepositoryKeys.Complete(header.Component, header.Id),
                    SmcErrorCode.ManifestInvalid,
                    $"The marker of the backup '{header.Id}' names other packs of earlier backups than its manifest."));
            }

            HashSet<PackReference> missing = await FindMissingAsync(manifest.Packs, header, problems, cancellationToken).ConfigureAwait(false);
            Dictionary<BlockReference, VerifiedBlock> blocks = new(ReferenceEqualityComparer.Instance);
            await foreach (ManifestEntry entry in manifest.ReadEntriesAsync(cancellationToken).ConfigureAwait(false))
            {
                if (_options.Deep)
                {
                    Take(entry, blocks, key, problems);
                }
            }

            if (_options.Deep)
            {
                ILookup<PackReference, VerifiedBlock> byPack = blocks.ToLookup(static pair => pair.Key.Pack, static pair => pair.Value);
                await Parallel.ForEachAsync(
                    manifest.Packs.Where(pack => !missing.Contains(pack)),
                    new ParallelOptions { MaxDegreeOfParallelism = _options.Parallelism, CancellationToken = cancellationToken },
                    async (pack, token) =>
                    {
                        foreach (BackupProblem problem in await verifier.VerifyAsync(pack, [.. byPack[pack]], token).ConfigureAwait(false))
                        {
                            problems.Enqueue(problem);
                        }
                    }).ConfigureAwait(false);
            }

            return result with
            {
                ObjectCount = result.ObjectCount + manifest.Packs.Count,
                CheckedBytes = _options.Deep ? manifest.Packs.Where(pack => !missing.Contains(pack)).Sum(static pack => pack.Length) : 0,
            };
        }
    }

    private static void Take(
        ManifestEntry entry, Dictionary<BlockReference, VerifiedBlock> blocks, string key, ConcurrentQueue<BackupProblem> problems)
    {
        foreach (FileExtent extent in entry.Extents)
        {
            if (extent.Block is not { } block)
            {
                continue;
            }

            if (!blocks.TryGetValue(block, out VerifiedBlock? verified))
            {
                blocks[block] = verified = new VerifiedBlock(block);
            }

            if (entry is { Hash: { } hash, Extents.Count: 1 })
            {
                verified.Files.Add((extent.Start, extent.Length, hash));
            }
        }

        if (entry is { Hash: { } digest, Extents: [{ Block: null }] } && Hash256.Compute(new byte[entry.Size]) != digest)
        {
            problems.Enqueue(Problem(key, SmcErrorCode.ManifestInvalid, $"The digest of '{entry.Path}' is not that of its content."));
        }
    }

    /// <summary>Looks for packs in listings of the folders that they are in: one request for a thousand.</summary>
    private async Task<HashSet<PackReference>> FindMissingAsync(
        IReadOnlyList<PackReference> packs, BackupHeader header, ConcurrentQueue<BackupProblem> problems, CancellationToken cancellationToken)
    {
        HashSet<PackReference> missing = [];
        foreach (IGrouping<string, PackReference> folder in packs.GroupBy(static pack => pack.BackupId))
        {
            Dictionary<string, ObjectInfo> listed = await _folders.GetOrAdd(
                RepositoryKeys.Backup(header.Component, folder.Key),
                prefix => new Lazy<Task<Dictionary<string, ObjectInfo>>>(() => ListAsync(prefix, cancellationToken))).Value.ConfigureAwait(false);
            foreach (PackReference pack in folder)
            {
                BackupProblem? problem = !listed.TryGetValue(pack.Key, out ObjectInfo? info)
                    ? Problem(pack.Key, SmcErrorCode.ObjectNotFound, $"The object '{pack.Key}', which the backup '{header.Id}' needs, is missing.")
                    : info.Length != pack.Length
                        ? Problem(pack.Key, SmcErrorCode.ChecksumMismatch, string.Create(
                            CultureInfo.InvariantCulture, $"The object '{pack.Key}' has {info.Length} bytes and should have {pack.Length}."))
                        : null;
                if (problem is not null)
                {
                    problems.Enqueue(problem);
                    missing.Add(pack);
                }
            }
        }

        return missing;
    }

    private async Task<Dictionary<string, ObjectInfo>> ListAsync(string prefix, CancellationToken cancellationToken)
    {
        Dictionary<string, ObjectInfo> infos = new(StringComparer.Ordinal);
        await foreach (ObjectInfo info in _repository.Store.ListAsync(prefix, cancellationToken).ConfigureAwait(false))
        {
            infos[info.Key] = info;
        }

        return infos;
    }

    private async Task<BackupTestResult> VerifyWalAsync(
        DatabaseBackupDetails database, BackupTestResult result, ConcurrentQueue<BackupProblem> problems, CancellationToken cancellationToken)
    {
        ulong systemId = ulong.Parse(database.SystemId, NumberStyles.None, CultureInfo.InvariantCulture);
        (WalArchive archive, WalCatalog catalog) = await _archives.GetOrAdd(
            systemId,
            id => new Lazy<Task<(WalArchive, WalCatalog)>>(async () =>
            {
                WalArchive opened = new(_repository, id);
                return (opened, await opened.LoadCatalogAsync(cancellationToken).ConfigureAwait(false));
            })).Value.ConfigureAwait(false);

        WalCoverage coverage;
        IReadOnlyList<WalState> states;
        try
        {
            (coverage, states) = await InspectAsync(archive, catalog, database, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectNotFound)
        {
            // Pieces have become a segment since they were listed.
            catalog = await archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false);
            (coverage, states) = await InspectAsync(archive, catalog, database, cancellationToken).ConfigureAwait(false);
        }

        if (coverage.EndLsn < database.StopLsn)
        {
            problems.Enqueue(Problem(
                coverage.Gap?.ToString() ?? WalSegmentName.Containing(coverage.EndLsn, coverage.EndTimeline, database.WalSegmentSize).ToString(),
                SmcErrorCode.WalInvalid,
                $"The WAL from {database.StartLsn} to {database.StopLsn}, without which the backup is worthless, ends at {coverage.EndLsn}."));
        }
        else if (states.FirstOrDefault(static state => state.State == WalInspection.Lost) is { } lost)
        {
            problems.Enqueue(new BackupProblem(
                lost.FirstSegment, s_gap, $"WAL behind the backup is lost from {lost.StartLsn} to {lost.EndLsn}: later times need a later backup."));
            result = result with { Outcome = "Partial" };
        }

        long bytes = 0;
        if (_options.Deep)
        {
            await Parallel.ForEachAsync(
                coverage.Items,
                new ParallelOptions { MaxDegreeOfParallelism = _options.Parallelism, CancellationToken = cancellationToken },
                async (item, token) =>
                {
                    BackupProblem? problem = await _wal.GetOrAdd(
                        $"{systemId} {item.Name} {item.EndLsn}",
                        _ => new Lazy<Task<BackupProblem?>>(() => ReadWalAsync(archive, item, token))).Value.ConfigureAwait(false);
                    if (problem is not null)
                    {
                        problems.Enqueue(problem);
                    }
                }).ConfigureAwait(false);
            bytes = coverage.Items.Sum(static item => item.StoredBytes);
        }

        return result with
        {
            Wal = states,
            ObjectCount = result.ObjectCount + coverage.Items.Sum(static item => item.Parts.Count) + coverage.Histories.Count,
            CheckedBytes = result.CheckedBytes + bytes,
        };
    }

    private async Task<(WalCoverage Coverage, IReadOnlyList<WalState> States)> InspectAsync(
        WalArchive archive, WalCatalog catalog, DatabaseBackupDetails database, CancellationToken cancellationToken)
    {
        WalCoverage coverage = await archive.GetCoverageAsync(
            catalog, database.Timeline, database.StartLsn, database.StopLsn, null, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<WalState> states = await WalInspection.InspectAsync(
            archive,
            catalog,
            database.Timeline,
            database.StartLsn,
            database.StopLsn,
            _options.WalDelay,
            _options.Time.GetUtcNow(),
            cancellationToken).ConfigureAwait(false);
        return (coverage, states);
    }

    private async Task<BackupProblem?> ReadWalAsync(WalArchive archive, WalItem item, CancellationToken cancellationToken)
    {
        try
        {
            OnRead((await archive.ReadAsync(item, cancellationToken).ConfigureAwait(false)).Length);
            return null;
        }
        catch (SmcException e) when (IsFinding(e))
        {
            return Problem(e, item.Name.ToString());
        }
    }
}
