using System.Data;
using System.Globalization;
using System.Runtime.ExceptionServices;
using System.Text;
using Npgsql;
using SmcDr.Core.Leases;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// Takes physical base backups over ordinary connections: nothing is installed on the server, and where it runs on another host, no files of it are reached but
/// through its own functions.
/// </summary>
/// <remarks>
/// <para>A superuser can do it. So can a role with these privileges, granted in the database that it connects to:</para>
/// <code>
/// CREATE ROLE smcdr LOGIN REPLICATION;
/// GRANT pg_read_all_settings TO smcdr;
/// GRANT EXECUTE ON FUNCTION
///     pg_catalog.pg_backup_start(text, boolean), pg_catalog.pg_backup_stop(boolean),
///     pg_catalog.pg_ls_dir(text, boolean, boolean), pg_catalog.pg_stat_file(text, boolean),
///     pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO smcdr;
/// </code>
/// <para>
/// REPLICATION is for the WAL; it is not needed while the WAL stream, which has its own connection, runs. Membership of
/// <c>pg_read_server_files</c> is not needed: all paths are relative to the data directory, tablespaces among them.
/// </para>
/// <para>
/// The order is the one of PostgreSQL's own base backups (backup/basebackup.c): start, files, control file, stop. Then the WAL
/// from start to stop is waited for, and only then is the backup marked as complete: without that WAL it is worthless.
/// </para>
/// </remarks>
public static class BaseBackup
{
    internal const string Activity = "Base backup";
    private const int MaximumLabelLength = 500;
    private const int ControlFileReads = 20;
    private static readonly TimeSpan s_watchInterval = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_controlFileDelay = TimeSpan.FromMilliseconds(50);

    /// <summary>Takes a base backup.</summary>
    /// <param name="connector">The server: the primary, or a standby.</param>
    /// <param name="repository">Where the backup and its WAL go.</param>
    /// <param name="options">How.</param>
    /// <param name="observer">Is told decisions, warnings and progress.</param>
    /// <param name="cancellationToken">Stops the work: the server forgets the backup, and what was stored of it is removed.</param>
    public static Task<BackupInfo> RunAsync(
        PostgresConnector connector,
        Repository repository,
        BaseBackupOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken) =>
        RunAsync(connector, repository, options, observer, BackupWal.OpenAsync, s_watchInterval, cancellationToken);

    internal static async Task<BackupInfo> RunAsync(
        PostgresConnector connector,
        Repository repository,
        BaseBackupOptions options,
        IOperationObserver observer,
        BackupWalFactory openWal,
        TimeSpan watchInterval,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        CheckOptions(options);
        BackupSession session = await BackupSession.OpenAsync(connector, cancellationToken).ConfigureAwait(false);
        await using (session.ConfigureAwait(false))
        {
            // Whatever breaks first, the session or the WAL, ends all the rest and is what is told.
            using CancellationTokenSource broken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            SmcException? reason = null;
            void Break(SmcException e)
            {
                Interlocked.CompareExchange(ref reason, e, null);
                try
                {
                    broken.Cancel();
                }
                catch (ObjectDisposedException)
                {
                    // The backup is over already.
                }
            }

            try
            {
                ServerFacts facts = await ServerFacts.ReadAsync(connector, session.Connection, observer, cancellationToken)
                    .ConfigureAwait(false);
                await ClusterIdentity.CheckAsync(repository, facts.SystemId, options.NewCluster, connector.Display, cancellationToken)
                    .ConfigureAwait(false);
                ServerPosition position = await ServerPosition.ReadAsync(session.Connection, cancellationToken).ConfigureAwait(false);
                Run run = new(connector, repository, options, observer, facts, position, session, openWal, watchInterval, Break);
                try
                {
                    return await run.ExecuteAsync(broken.Token).ConfigureAwait(false);
                }
                catch (Exception e) when (facts.IsStandby && !cancellationToken.IsCancellationRequested)
                {
                    // A promotion ends the WAL as well, and may be noticed there first.
                    if (await session.FindPromotionAsync(Volatile.Read(ref reason) ?? e, cancellationToken).ConfigureAwait(false) is { } promoted)
                    {
                        Volatile.Write(ref reason, promoted);
                        throw promoted;
                    }

                    throw;
                }
            }
            catch (Exception e) when (cancellationToken.IsCancellationRequested)
            {
                throw new OperationCanceledException("The base backup was stopped.", e, cancellationToken);
            }
            catch (Exception e) when (Volatile.Read(ref reason) is { } first && e != first)
            {
                throw new SmcException(first.Code, first.Message, first.InnerException ?? e, first.Recommendation, first.Target);
            }
            // A connection that was lost before a command says so in its own way (NpgsqlCommand.CheckAndGetConnection).
            catch (Exception e) when (e is NpgsqlException or IOException ||
                (e is InvalidOperationException && session.Connection.State != ConnectionState.Open))
            {
                throw ServerErrors.TranslateFileError(connector, e);
            }
            finally
            {
                observer.Progress(new OperationProgress(Activity, "Done") { IsCompleted = true });
            }
        }
    }

    private static void CheckOptions(BaseBackupOptions options)
    {
        // The label stands on a line of its own in backup_label, which recovery reads line by line.
        if (options.Label is { } label && (label.Length > MaximumLabelLength || label.Any(char.IsControl)))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The label of a base backup has at most {MaximumLabelLength} characters and no line ends.");
        }

        if (options.Parallelism is < 1 or > 64)
        {
            throw new SmcException(SmcErrorCode.ArgumentInvalid, "The parallelism of a base backup is a number from 1 to 64.");
        }
    }

    /// <summary>One backup.</summary>
    private sealed class Run(
        PostgresConnector connector,
        Repository repository,
        BaseBackupOptions options,
        IOperationObserver observer,
        ServerFacts facts,
        ServerPosition position,
        BackupSession session,
        BackupWalFactory openWal,
        TimeSpan watchInterval,
        Action<SmcException> breakOff)
    {
        private readonly int _parallelism = options.Parallelism ?? Math.Min(4, Math.Max(2, Environment.ProcessorCount));
        private Fence? _fence;

        public async Task<BackupInfo> ExecuteAsync(CancellationToken cancellationToken)
        {
            _fence = await Fence.EnterAsync(repository, options.Fencing, cancellationToken).ConfigureAwait(false);
            HashSet<string> refused = new(StringComparer.Ordinal);
            while (true)
            {
                BackupParent? parent = await BackupParent
                    .ChooseAsync(repository, facts, position, options, refused, observer, cancellationToken).ConfigureAwait(false);
                try
                {
                    BackupWriter writer;
                    try
                    {
                        writer = await BeginAsync(parent, cancellationToken).ConfigureAwait(false);
                    }
                    catch (SmcException e) when (e.Code == SmcErrorCode.BackupRemoved)
                    {
                        observer.Warning($"The backup '{parent!.Id}' was removed while one was to be built on it; another is chosen.");
                        refused.Add(parent.Id);
                        continue;
                    }

                    await using (writer.ConfigureAwait(false))
                    {
                        return repository.Describe(await WriteAsync(writer, parent, cancellationToken).ConfigureAwait(false));
                    }
                }
                finally
                {
                    if (parent is not null)
                    {
                        await parent.DisposeAsync().ConfigureAwait(false);
                    }
                }
            }
        }

        private Task<BackupWriter> BeginAsync(BackupParent? parent, CancellationToken cancellationToken) => repository.BeginBackupAsync(
            Component.Database,
            KindOf(parent),
            options.Label,
            options.Site,
            facts.SystemId.ToString(CultureInfo.InvariantCulture),
            new BackupWriterOptions { PackSize = options.PackSize, Codec = options.Codec, Parent = parent?.Id },
            cancellationToken);

        private static string KindOf(BackupParent? parent) => parent is null ? "Full" : "Incremental";

        private async Task<BackupHeader> WriteAsync(BackupWriter writer, BackupParent? parent, CancellationToken cancellationToken)
        {
            observer.Progress(new OperationProgress(Activity, "Waiting for the server's checkpoint"));
            if (parent is not null)
            {
                observer.Verbose($"It is compared with the backup '{parent.Id}', and only what differs is stored.");
            }

            observer.Verbose($"Backup '{writer.Id}' of PostgreSQL {facts.Version} at {connector.Display}, cluster {facts.SystemId}, begins.");
            (Lsn startLsn, uint timeline) = await session
                .StartAsync(options.Label ?? $"SmcDr {writer.Id}", options.FastCheckpoint, facts.IsStandby, cancellationToken).ConfigureAwait(false);
            observer.Verbose($"The backup starts at {startLsn} on timeline {timeline}.");

            // After the start, so that none is missed that the server's map of tablespaces holds.
            List<TablespaceLocation> tablespaces = await session.ReadTablespacesAsync(facts.DataDirectory, cancellationToken)
                .ConfigureAwait(false);
            ServerClock clock = await session.ReadClockAsync(cancellationToken).ConfigureAwait(false);
            DataDirectoryListing listing = await DataDirectoryListing
                .ReadAsync(session.Connection, facts, tablespaces, observer, cancellationToken).ConfigureAwait(false);
            observer.Verbose(string.Create(
                CultureInfo.InvariantCulture,
                $"{listing.Files.Count + 1} files with {listing.TotalBytes} bytes belong into the backup; {listing.ExcludedCount} do not."));
            LocalDataDirectory? local = options.ReadLocally
                ? await LocalDataDirectory.FindAsync(session.Connection, facts.SystemId, observer, cancellationToken).ConfigureAwait(false)
                : null;
            IBackupWal wal = await openWal(
                new BackupWalRequest(connector, repository, facts.SystemId, facts.CanReplicate, startLsn, facts.IsStandby, options, observer),
                session.Connection,
                cancellationToken).ConfigureAwait(false);
            await using (wal.ConfigureAwait(false))
            {
                session.Watch(watchInterval, breakOff);
                _ = wal.Running.ContinueWith(
                    task => breakOff(WalFailure(task)),
                    CancellationToken.None,
                    TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
                    TaskScheduler.Default);
                // Before hours go into files: does WAL arrive at all?
                await WaitForWalAsync(wal, timeline, startLsn, startLsn, cancellationToken).ConfigureAwait(false);

                PageVerifier? verifier = facts.DataChecksums
                    ? new PageVerifier(startLsn, facts.BlockSize, facts.RelationSegmentBlocks, observer)
                    : null;
                DateTimeOffset? unchangedBefore = parent?.UnchangedBefore(facts, position, clock, observer);
                OperationProgress progress = new(Activity, "", 0, listing.TotalBytes);
                FileCopier copier = new(writer, listing, facts, parent, unchangedBefore, verifier, progress, observer);
                long received = await CopyAsync(writer, listing, copier, local, cancellationToken).ConfigureAwait(false);

                observer.Progress(new OperationProgress(Activity, "Ending the backup on the server", listing.TotalBytes, listing.TotalBytes));
                await session.EndWatchAsync().ConfigureAwait(false);
                BackupStop stop = await session.StopAsync(cancellationToken).ConfigureAwait(false);
                observer.Verbose($"The backup is consistent at {stop.StopLsn}.");
                DatabaseBackupDetails details = Details(stop, tablespaces, verifier) with
                {
                    CopyStartTime = clock.Earliest,
                    UnchangedFiles = copier.UnchangedCount,
                    ComparedBytes = copier.ComparedBytes,
                    ReceivedBytes = received,
                };
                observer.Verbose(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{details.UnchangedFiles} files were taken over unread, {details.ComparedBytes} bytes compared and {details.ReceivedBytes} received."));
                await WriteLabelAsync(writer, stop, cancellationToken).ConfigureAwait(false);

                observer.Progress(new OperationProgress(
                    Activity, $"Waiting for the write-ahead log up to {stop.StopLsn}", listing.TotalBytes, listing.TotalBytes));
                await WaitForWalAsync(wal, stop.Timeline, stop.StartLsn, stop.StopLsn, cancellationToken).ConfigureAwait(false);
                if (parent is not null)
                {
                    // They may have been lost meanwhile, and this backup must not be completed upon them.
                    await parent.CheckPacksAsync(cancellationToken).ConfigureAwait(false);
                }

                await (_fence?.CheckAsync(cancellationToken) ?? Task.CompletedTask).ConfigureAwait(false);
                BackupHeader header = await writer.CompleteAsync(
                    KindOf(parent), header => header with { StopTime = stop.ServerTime, Database = details }, cancellationToken).ConfigureAwait(false);
                if (details.PageChecksumErrors > 0)
                {
                    observer.Warning(string.Create(
                        CultureInfo.InvariantCulture,
                        $"The backup '{header.Id}' holds {details.PageChecksumErrors} damaged pages, as the server does; the first is '{details.DamagedPages[0]}'."));
                }

                return header;
            }
        }

        /// <summary>Copies all files; returns how many bytes of them were taken.</summary>
        private async Task<long> CopyAsync(
            BackupWriter writer, DataDirectoryListing listing, FileCopier copier, LocalDataDirectory? local, CancellationToken cancellationToken)
        {
            foreach (string directory in listing.Directories)
            {
                writer.Add(new ManifestEntry { Kind = ManifestEntryKind.Directory, Path = directory, Mode = facts.DirectoryMode });
            }

            List<ICopySource> sources = await OpenSourcesAsync(local, Math.Clamp(copier.UnitCount, 1, _parallelism), cancellationToken)
                .ConfigureAwait(false);
            try
            {
                // The first failure ends the other workers; all have ended before anything else happens.
                using CancellationTokenSource failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                List<Task> workers =
                [
                    GuardAsync(copier.PlanAsync, failed),
                    .. sources.Select(source => GuardAsync(token => copier.WorkAsync(source, token), failed)),
                ];
                Exception? first = null;
                await foreach (Task worker in Task.WhenEach(workers).ConfigureAwait(false))
                {
                    // What the others were stopped by, and not that they were.
                    first = first is null or OperationCanceledException ? worker.Exception?.InnerException ?? first : first;
                }

                cancellationToken.ThrowIfCancellationRequested();
                if (first is not null)
                {
                    ExceptionDispatchInfo.Throw(Interrupted(first));
                }

                observer.Verbose(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{copier.VanishedCount} files were dropped by the server before they were copied."));
                await CopyControlFileAsync(writer, copier, sources[0], cancellationToken).ConfigureAwait(false);
                return sources.Sum(static source => source.ReceivedBytes);
            }
            finally
            {
                foreach (ICopySource source in sources)
                {
                    await source.DisposeAsync().ConfigureAwait(false);
                }
            }
        }

        private static async Task GuardAsync(Func<CancellationToken, Task> work, CancellationTokenSource failed)
        {
            try
            {
                // Not on the caller's thread: compressing and hashing is what a worker does most.
                await Task.Run(() => work(failed.Token), failed.Token).ConfigureAwait(false);
            }
            catch
            {
                await failed.CancelAsync().ConfigureAwait(false);
                throw;
            }
        }

        private async Task<List<ICopySource>> OpenSourcesAsync(LocalDataDirectory? local, int count, CancellationToken cancellationToken)
        {
            if (local is not null)
            {
                return [.. Enumerable.Range(0, count).Select(_ => new LocalFileSource(local, new ServerFileSource(connector)))];
            }

            List<ICopySource> sources = [];
            try
            {
                while (sources.Count < count)
                {
                    sources.Add(await ServerFileSource.OpenAsync(connector, cancellationToken).ConfigureAwait(false));
                }
            }
            catch (SmcException e) when (sources.Count > 0 && e.Code == SmcErrorCode.ServerUnavailable)
            {
                observer.Warning($"Only {sources.Count} of {count} connections can be opened, so the backup takes longer: {e.Message}");
            }
            catch
            {
                foreach (ICopySource source in sources)
                {
                    await source.DisposeAsync().ConfigureAwait(false);
                }

                throw;
            }

            return sources;
        }

        /// <summary>
        /// The control file is the last file, still within the backup, as in PostgreSQL's own. It is read without the server's
        /// lock, so it may come half-written; its checksum tells, and it is read again.
        /// </summary>
        private async Task CopyControlFileAsync(
            BackupWriter writer, FileCopier copier, ICopySource source, CancellationToken cancellationToken)
        {
            byte[] content = new byte[ControlFile.FileSize];
            for (int i = 1; ; i++)
            {
                int length = await source.ReadAsync(ControlFile.RelativePath, 0, content, cancellationToken).ConfigureAwait(false) ?? 0;
                try
                {
                    ControlFile control = ControlFile.Parse(content.AsSpan(0, length));
                    if (control.SystemId != facts.SystemId)
                    {
                        throw new SmcException(
                            SmcErrorCode.SystemIdMismatch,
                            $"The control file is that of cluster {control.SystemId}, the server's is {facts.SystemId}.",
                            target: connector.Display);
                    }

                    break;
                }
                catch (SmcException e) when (e.Code == SmcErrorCode.ChecksumMismatch && i < ControlFileReads)
                {
                    await Task.Delay(s_controlFileDelay, cancellationToken).ConfigureAwait(false);
                }
            }

            await AddFileAsync(
                writer, copier.EntryOf(new SourceFile(ControlFile.RelativePath, content.Length, DateTimeOffset.UtcNow)), content, cancellationToken)
                .ConfigureAwait(false);
        }

        private async Task WriteLabelAsync(BackupWriter writer, BackupStop stop, CancellationToken cancellationToken)
        {
            // Byte for byte what the server said: UTF-8, line feeds, no byte order mark.
            await AddTextAsync(BackupFileRules.BackupLabel, stop.Label).ConfigureAwait(false);
            if (stop.TablespaceMap.Length > 0)
            {
                await AddTextAsync(BackupFileRules.TablespaceMap, stop.TablespaceMap).ConfigureAwait(false);
            }

            Task AddTextAsync(string path, string text) => AddFileAsync(
                writer,
                new ManifestEntry { Kind = ManifestEntryKind.File, Path = path, Mode = facts.FileMode, ModifiedTime = stop.ServerTime },
                Encoding.UTF8.GetBytes(text),
                cancellationToken);
        }

        private static async Task AddFileAsync(
            BackupWriter writer, ManifestEntry entry, byte[] content, CancellationToken cancellationToken)
        {
            PackLane lane = writer.OpenLane();
            await using (lane.ConfigureAwait(false))
            {
                await lane.AddSmallFileAsync(entry, content, cancellationToken).ConfigureAwait(false);
                await lane.FinishAsync(cancellationToken).ConfigureAwait(false);
            }
        }

        private DatabaseBackupDetails Details(BackupStop stop, List<TablespaceLocation> tablespaces, PageVerifier? verifier)
        {
            Dictionary<uint, TablespaceLocation> known = tablespaces.Where(static t => !t.IsInPlace).ToDictionary(static t => t.Oid);
            HashSet<uint> mapped = [.. TablespaceMapFile.Parse(stop.TablespaceMap).Select(static line => line.Oid)];
            if (known.Values.FirstOrDefault(t => !mapped.Contains(t.Oid)) is { } late)
            {
                // It was listed and is not in the map, so the WAL would create it over the files of the backup, and fail.
                throw new SmcException(
                    SmcErrorCode.BackupInterrupted,
                    $"The tablespace '{late.Name}' was created in the moment in which the backup began.",
                    recommendation: "Run the backup again.",
                    target: late.Name);
            }

            return new DatabaseBackupDetails
            {
                SystemId = facts.SystemId.ToString(CultureInfo.InvariantCulture),
                ServerVersionNumber = facts.VersionNumber,
                ServerVersion = facts.Version,
                Timeline = stop.Timeline,
                StartLsn = stop.StartLsn,
                StopLsn = stop.StopLsn,
                StopTime = stop.ServerTime,
                StopTimeHere = stop.LocalTime,
                WalSegmentSize = facts.WalSegmentSize,
                BlockSize = facts.BlockSize,
                WalBlockSize = facts.WalBlockSize,
                RelationSegmentBlocks = facts.RelationSegmentBlocks,
                DataChecksums = facts.DataChecksums,
                DirectoryMode = facts.DirectoryMode,
                DataDirectory = facts.DataDirectory,
                FromStandby = facts.IsStandby,
                ServerKey = facts.ServerKey,
                // One that is in the map and was not listed has been dropped since; it has no files.
                Tablespaces = [.. known.Values.OrderBy(static t => t.Oid).Select(static t => new TablespaceDetails(t.Oid, t.Name, t.Location))],
                DamagedPages = verifier?.Damaged ?? [],
                PageChecksumErrors = verifier?.Count ?? 0,
                OutsideFiles = facts.OutsideFiles,
                Settings = facts.Settings,
                CollationVersions = facts.CollationVersions,
                CollationLibraries = facts.CollationLibraries,
            };
        }

        private async Task WaitForWalAsync(IBackupWal wal, uint timeline, Lsn from, Lsn to, CancellationToken cancellationToken)
        {
            using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(options.WalTimeout);
            try
            {
                await wal.WaitForAsync(timeline, from, to, limit.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
            {
                throw new SmcException(
                    SmcErrorCode.WalTimeout,
                    $"The write-ahead log from {from} to {to}, without which the backup is worthless, did not arrive in the repository within {options.WalTimeout}. {wal.Describe()}",
                    recommendation: facts.IsStandby
                        ? "Look whether the WAL stream of the primary runs, and how far it is; then run the backup again."
                        : null,
                    target: repository.Location);
            }
        }

        private SmcException WalFailure(Task task) => task.Exception!.InnerException is { } e
            ? connector.Translate(e)
            : new SmcException(SmcErrorCode.BackupInterrupted, "The backup's WAL stream ended.", task.Exception);

        private Exception Interrupted(Exception e) => e switch
        {
            SmcException { Code: SmcErrorCode.ServerUnavailable } lost => new SmcException(
                SmcErrorCode.BackupInterrupted, $"The server went away during the backup. {lost.Message}", lost, target: connector.Display),
            NpgsqlException or IOException => ServerErrors.TranslateFileError(connector, e),
            _ => e,
        };
    }
}
