using System.Diagnostics;
using System.Globalization;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;

namespace SmcDr.Core.Recovery;

/// <summary>
/// Carries a plan out, phase by phase. Each phase can be begun again from any moment at which the one before was interrupted; the
/// previous directory is only touched, by a rename, once the base backup is restored and verified and the WAL that makes it consistent is
/// there. The rest of the WAL is fetched while the server replays. Where files lie and the server runs is what derived classes say.
/// </summary>
internal abstract class RecoveryRun
{
    private const string ReplayActivity = "Replay WAL";

    // What the server may replay at once when it starts, beyond what makes the base backup consistent.
    private const int SegmentsAhead = 1;

    private readonly Action<RecoveryPhase>? _afterPhase;
    private readonly bool _resumed;
    private bool _positionDropped;
    private string _restoreCommand = "";

    protected RecoveryRun(RecoveryPlan plan, IRecoveryState state, IOperationObserver observer, Action<RecoveryPhase>? afterPhase)
    {
        Plan = plan;
        State = state;
        Observer = observer;
        _afterPhase = afterPhase;
        _resumed = state.Progress.Phase != RecoveryPhase.None;
        Staging = null!;
    }

    protected RecoveryPlan Plan { get; }

    protected IRecoveryState State { get; }

    protected IOperationObserver Observer { get; }

    protected RecoveryProgress Progress => State.Progress;

    protected WalStaging Staging { get; private set; }

    /// <summary>The data directory.</summary>
    protected string DataDirectory => Plan.DataDirectory;

    /// <summary>The phases in the order in which they are gone through here; the first one is <see cref="RecoveryPhase.Begun"/>.</summary>
    protected abstract IReadOnlyList<RecoveryPhase> Order { get; }

    /// <summary>Where the files of the base backup are written to, and configured.</summary>
    protected abstract string RestoreDirectory { get; }

    /// <summary>Where the server runs that replays.</summary>
    protected abstract string ServerDataDirectory { get; }

    /// <summary>Whether the WAL is replayed here. A standby replays by itself, when it runs.</summary>
    protected bool Replays => Plan.Request.Standby is null;

    /// <summary>Values in the place of the cluster's own, for libraries that are not there; null where nothing is missing.</summary>
    protected string? PreloadLibraries { get; set; }

    public async Task<RecoveryResult> RunAsync(CancellationToken cancellationToken)
    {
        if (_resumed)
        {
            Observer.Verbose($"The recovery that was interrupted after the phase '{Progress.Phase}' is continued.");
        }
        else
        {
            await BeginAsync(cancellationToken).ConfigureAwait(false);
        }

        WalStaging staging = new(Plan.Archive, CreateStagingFolder());
        await using (staging.ConfigureAwait(false))
        {
            Staging = staging;
            if (Replays && !IsPast(RecoveryPhase.Recovered))
            {
                await BeginStagingAsync(staging, cancellationToken).ConfigureAwait(false);
            }

            foreach (RecoveryPhase phase in Order.Where(phase => !IsPast(phase)))
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (phase != RecoveryPhase.Fetched)
                {
                    staging.FetchRest();
                }

                await (phase switch
                {
                    RecoveryPhase.Fetched => FetchAsync(cancellationToken),
                    RecoveryPhase.Configured => ConfigureAsync(cancellationToken),
                    RecoveryPhase.Moved => MoveAsync(cancellationToken),
                    RecoveryPhase.Recovered => RecoverAsync(cancellationToken),
                    RecoveryPhase.Cleaned => CleanAsync(cancellationToken),
                    _ => FinishAsync(cancellationToken),
                }).ConfigureAwait(false);
                _afterPhase?.Invoke(phase);
            }
        }

        RecoveryResult result = Result(Progress, _resumed, IsRunning());
        if (result.CollationChanges.Count > 0)
        {
            Observer.Warning(CollationComparison.Describe(result.CollationChanges));
        }

        return result;
    }

    public static RecoveryResult Result(RecoveryProgress progress, bool resumed, bool running)
    {
        RecoveryIntent intent = progress.Intent!;
        return new RecoveryResult
        {
            BackupId = intent.BackupId,
            TargetKind = intent.TargetKind,
            Target = intent.TargetValue,
            DataDirectory = intent.DataDirectory,
            PreviousDataDirectory = progress.Moves.LastOrDefault(m => m.Path == intent.DataDirectory)?.Destination,
            Timeline = (int?)progress.Outcome?.Timeline,
            RecoveredLsn = progress.Outcome?.RecoveredLsn.ToString(),
            RecoveredTime = progress.Outcome?.RecoveredTime,
            RestoredBytes = intent.RestoreBytes,
            KeptBytes = progress.Files?.KeptBytes ?? 0,
            FetchedBytes = progress.Files?.FetchedBytes ?? 0,
            RemovedFileCount = progress.Files?.RemovedFileCount ?? 0,
            WalBytes = intent.WalBytes,
            StartTime = intent.StartTime,
            Duration = (progress.DoneTime ?? DateTimeOffset.UtcNow) - intent.StartTime,
            RestoreSeconds = progress.RestoreSeconds,
            ReplaySeconds = progress.Outcome?.ReplaySeconds ?? 0,
            CollationChanges = progress.Outcome?.CollationChanges ?? [],
            Resumed = resumed,
            ServerRunning = running,
            Host = intent.Isolation is null ? null : intent.Isolation.ListenLocally ? "127.0.0.1" : intent.DataDirectory,
            Port = intent.Isolation?.Port,
        };
    }

    /// <summary>A name beside a path that is free, for what is moved aside.</summary>
    /// <param name="path">The path.</param>
    /// <param name="exists">Whether a path is taken.</param>
    internal static string FreeName(string path, Func<string, bool> exists)
    {
        string stem = string.Create(
            CultureInfo.InvariantCulture, $"{path}.before-{DateTimeOffset.UtcNow:yyyyMMdd'T'HHmmss'Z'}");
        string name = stem;
        for (int i = 2; exists(name); i++)
        {
            name = string.Create(CultureInfo.InvariantCulture, $"{stem}-{i}");
        }

        return name;
    }

    /// <summary>Whether an interrupted run had come to the end of a phase.</summary>
    protected bool IsPast(RecoveryPhase phase) => Order.ToList() is var order && order.IndexOf(Progress.Phase) >= order.IndexOf(phase);

    protected Task AppendAsync(RecoveryPhase phase, CancellationToken cancellationToken) =>
        State.AppendAsync(new RecoveryJournalEntry { Phase = phase, Time = DateTimeOffset.UtcNow }, cancellationToken);

    /// <summary>Journals what is about to be moved aside, before it is.</summary>
    protected Task AppendAsync(RecoveryMove move, CancellationToken cancellationToken) =>
        State.AppendAsync(new RecoveryJournalEntry { Phase = Progress.Phase, Time = DateTimeOffset.UtcNow, Move = move }, cancellationToken);

    /// <summary>Where WAL is staged.</summary>
    protected abstract IStagingFolder CreateStagingFolder();

    /// <summary>Puts the script in place that serves staged WAL, and says how the server calls it.</summary>
    protected abstract Task<string> WriteRestoreScriptAsync(string script, CancellationToken cancellationToken);

    /// <summary>Looks once more whether the target is still what it was, and does what must be done before files come.</summary>
    protected abstract Task BeforeFetchAsync(CancellationToken cancellationToken);

    /// <summary>Restores the files of the base backup; null where an interrupted run had restored all.</summary>
    protected abstract Task<BaseRestoreResult?> RestoreFilesAsync(CancellationToken cancellationToken);

    /// <summary>Makes the name of what was restored durable.</summary>
    protected abstract Task SyncRestoredAsync(CancellationToken cancellationToken);

    /// <summary>Lets the restored directory know where its tablespaces are.</summary>
    protected abstract Task LinkTablespacesAsync(CancellationToken cancellationToken);

    /// <summary>Puts the previous directory aside and the new one in its place.</summary>
    protected abstract Task MoveAsync(CancellationToken cancellationToken);

    /// <summary>The server that replays; one of an interrupted run is stopped.</summary>
    protected abstract Task<IRecoveryServer> OpenServerAsync(CancellationToken cancellationToken);

    /// <summary>Throws where what was replayed is not what it should be, by what the files tell.</summary>
    protected abstract Task CheckReplayedAsync(CancellationToken cancellationToken);

    /// <summary>Makes the recovered directory what it is for, once the settings of the recovery are out of it.</summary>
    protected abstract Task SettleAsync(CancellationToken cancellationToken);

    /// <summary>Starts the server, where that is asked for.</summary>
    protected abstract Task FinishAsync(CancellationToken cancellationToken);

    /// <summary>Whether the server runs at the end.</summary>
    protected abstract bool IsRunning();

    /// <summary>A value for the server's shared buffers while it replays; null = its own.</summary>
    protected abstract string? ReplayBuffers(string? own);

    /// <summary>What a file holds; null where there is none.</summary>
    protected abstract Task<string?> TryReadAsync(string path, CancellationToken cancellationToken);

    /// <summary>Writes a file of the server's account, whole or not at all, and durable.</summary>
    protected abstract Task WriteAsync(string path, string content, CancellationToken cancellationToken);

    protected abstract Task DeleteFileAsync(string path, CancellationToken cancellationToken);

    protected abstract Task DeleteDirectoryAsync(string path, CancellationToken cancellationToken);

    private Task BeginAsync(CancellationToken cancellationToken) => State.AppendAsync(
        new RecoveryJournalEntry
        {
            Phase = RecoveryPhase.Begun,
            Time = DateTimeOffset.UtcNow,
            Intent = new RecoveryIntent
            {
                OperationId = Guid.NewGuid().ToString("N"),
                StartTime = DateTimeOffset.UtcNow,
                RepositoryId = Plan.Request.Repository.Id,
                SystemId = Plan.Backup.Database!.SystemId,
                BackupId = Plan.Backup.Id,
                Target = Plan.Target.Identity,
                TargetKind = Plan.Target.Kind.ToString(),
                TargetValue = Plan.Target.Value,
                DataDirectory = DataDirectory,
                Delta = Plan.Request.Delta,
                Isolation = Plan.Request.Isolation,
                Standby = Plan.Request.Standby is not null,
                Tablespaces = Plan.Tablespaces,
                RestoreBytes = Plan.RestoreBytes,
                WalBytes = Plan.WalBytes,
            },
        },
        cancellationToken);

    private async Task BeginStagingAsync(WalStaging staging, CancellationToken cancellationToken)
    {
        await State.CreateFoldersAsync(cancellationToken).ConfigureAwait(false);
        _restoreCommand = await WriteRestoreScriptAsync(RecoveryScripts.RestoreWal, cancellationToken).ConfigureAwait(false);
        Lsn consistent = Plan.Backup.Database!.StopLsn;
        staging.Start(
            Plan.WalItems,
            Plan.Histories,
            Plan.TakenTimelines,
            Plan.WalItems.TakeWhile(i => i.StartLsn < consistent).Count() + SegmentsAhead,
            Plan.Request.Parallelism ?? 4,
            Observer,
            cancellationToken);
    }

    private async Task FetchAsync(CancellationToken cancellationToken)
    {
        long begin = Stopwatch.GetTimestamp();
        await BeforeFetchAsync(cancellationToken).ConfigureAwait(false);
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<BaseRestoreResult?> files = RestoreBeforeRestOfWalAsync(stop.Token);
        Task[] both = Replays ? [files, Staging.First] : [files];
        Task first = await Task.WhenAny(both).ConfigureAwait(false);
        if (!first.IsCompletedSuccessfully)
        {
            await stop.CancelAsync().ConfigureAwait(false);
        }

        await Task.WhenAll(both).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        // The one that failed by itself, before the one that was stopped for it.
        await first.ConfigureAwait(false);
        await Task.WhenAll(both).ConfigureAwait(false);
        await SyncRestoredAsync(cancellationToken).ConfigureAwait(false);
        await State.AppendAsync(
            new RecoveryJournalEntry
            {
                Phase = RecoveryPhase.Fetched,
                Time = DateTimeOffset.UtcNow,
                RestoreSeconds = Stopwatch.GetElapsedTime(begin).TotalSeconds,
                Files = await files.ConfigureAwait(false) is { } done ? new RecoveryFiles(done.KeptBytes, done.FetchedBytes, done.RemovedFileCount) : null,
            },
            cancellationToken).ConfigureAwait(false);
    }

    private async Task<BaseRestoreResult?> RestoreBeforeRestOfWalAsync(CancellationToken cancellationToken)
    {
        BaseRestoreResult? result = await RestoreFilesAsync(cancellationToken).ConfigureAwait(false);
        Staging.FetchRest();
        return result;
    }

    private async Task ConfigureAsync(CancellationToken cancellationToken)
    {
        string root = RestoreDirectory;
        await LinkTablespacesAsync(cancellationToken).ConfigureAwait(false);

        // With the links as they must be, the map would only set them again, to where the files lay while they were fetched.
        await DeleteFileAsync($"{root}/tablespace_map", cancellationToken).ConfigureAwait(false);
        await DeleteFileAsync($"{root}/{RecoveryConfiguration.StandbySignalName}", cancellationToken).ConfigureAwait(false);
        await WriteMissingConfigurationAsync(root, cancellationToken).ConfigureAwait(false);

        string path = $"{root}/{RecoveryConfiguration.FileName}";
        string content = await TryReadAsync(path, cancellationToken).ConfigureAwait(false) ?? "";
        if (Plan.Request.Standby is { } standby)
        {
            await WriteAsync(path, RecoveryConfiguration.AddStandby(content, standby), cancellationToken).ConfigureAwait(false);
            await WriteAsync($"{root}/{RecoveryConfiguration.StandbySignalName}", "", cancellationToken).ConfigureAwait(false);
        }
        else
        {
            await WriteAsync(path, RecoveryConfiguration.Add(content, Settings(Plan.StopAt)), cancellationToken).ConfigureAwait(false);
            await WriteAsync($"{root}/{RecoveryConfiguration.SignalName}", "", cancellationToken).ConfigureAwait(false);
        }

        await AppendAsync(RecoveryPhase.Configured, cancellationToken).ConfigureAwait(false);
    }

    private IReadOnlyList<KeyValuePair<string, string>> Settings(RecoveryTarget? stopAt) =>
        RecoveryConfiguration.Settings(stopAt, Plan.Timeline, _restoreCommand);

    /// <summary>Debian and others keep configuration outside of the data directory, so it is not in the backup.</summary>
    private async Task WriteMissingConfigurationAsync(string root, CancellationToken cancellationToken)
    {
        const string Origin = "# Written by SmcDr: the backup held no such file, because the server kept it outside of its data directory.\n";
        if (await TryReadAsync($"{root}/postgresql.conf", cancellationToken).ConfigureAwait(false) is null)
        {
            await WriteAsync($"{root}/postgresql.conf", Origin, cancellationToken).ConfigureAwait(false);
            Observer.Warning(
                $"The backup holds no postgresql.conf: PostgreSQL's defaults are used. Put the server's own file in place before applications come back" +
                (Plan.Backup.Database!.OutsideFiles.Count > 0 ? $" (it was among {string.Join(", ", Plan.Backup.Database.OutsideFiles)})." : "."));
        }

        if (await TryReadAsync($"{root}/pg_hba.conf", cancellationToken).ConfigureAwait(false) is null)
        {
            await WriteAsync(
                $"{root}/pg_hba.conf",
                Origin + "local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n",
                cancellationToken).ConfigureAwait(false);
        }

        if (await TryReadAsync($"{root}/pg_ident.conf", cancellationToken).ConfigureAwait(false) is null)
        {
            await WriteAsync($"{root}/pg_ident.conf", Origin, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task RecoverAsync(CancellationToken cancellationToken)
    {
        long begin = Stopwatch.GetTimestamp();
        IRecoveryServer server = await OpenServerAsync(cancellationToken).ConfigureAwait(false);
        await using (server.ConfigureAwait(false))
        {
            await Staging.First.WaitAsync(cancellationToken).ConfigureAwait(false);
            ReplayLog log = new();
            await ReplayAsync(server, log, cancellationToken).ConfigureAwait(false);
            RecoveryOutcome outcome;
            try
            {
                double seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
                outcome = await VerifyAsync(server, log, seconds, cancellationToken).ConfigureAwait(false);
                await server.StopAsync(StopMode.Fast, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                await server.EndAsync().ConfigureAwait(false);
            }

            await CheckReplayedAsync(cancellationToken).ConfigureAwait(false);
            // What has not come by now was not needed: such as the segment behind the target, which is only looked at.
            await Staging.StopAsync().ConfigureAwait(false);
            await State.AppendAsync(
                new RecoveryJournalEntry { Phase = RecoveryPhase.Recovered, Time = DateTimeOffset.UtcNow, Outcome = outcome }, cancellationToken)
                .ConfigureAwait(false);
        }
    }

    private async Task ReplayAsync(IRecoveryServer server, ReplayLog log, CancellationToken cancellationToken)
    {
        await server.UpdateAsync(log, cancellationToken).ConfigureAwait(false);
        Lsn start = Plan.Backup.Database!.StartLsn;
        long total = Math.Max(Plan.EndLsn - start, 0);
        Dictionary<string, string> settings = await IsolatedSettingsAsync(server, cancellationToken).ConfigureAwait(false);
        string? buffers = ReplayBuffers(Plan.Backup.Database.Settings.GetValueOrDefault("shared_buffers"));
        if (buffers is not null)
        {
            settings["shared_buffers"] = buffers;
        }

        try
        {
            for (bool again = true; again;)
            {
                again = false;
                try
                {
                    await server.StartAsync(
                        settings,
                        log,
                        () => Observer.Progress(new OperationProgress(
                            ReplayActivity,
                            log.CurrentFile ?? "",
                            Math.Clamp((log.CurrentLsn ?? start) - start, 0, total),
                            total)),
                        Plan.Request.ReplayTimeLimit,
                        cancellationToken).ConfigureAwait(false);
                }
                catch (SmcException e) when (e.Code == SmcErrorCode.ServerStartFailed)
                {
                    await server.UpdateAsync(log, cancellationToken).ConfigureAwait(false);
                    if (log.TargetNotReached && Plan.StopAt is { Kind: RecoveryTargetKind.Lsn })
                    {
                        // No record begins at or behind the position: all that is before it was replayed, and that is what was asked for.
                        Observer.Verbose($"No record begins at or behind {Plan.Target}: all WAL before it is replayed.");
                        string path = $"{ServerDataDirectory}/{RecoveryConfiguration.FileName}";
                        await WriteAsync(
                            path,
                            RecoveryConfiguration.Add(await TryReadAsync(path, cancellationToken).ConfigureAwait(false) ?? "", Settings(null)),
                            cancellationToken).ConfigureAwait(false);
                        again = log.HasBegun && !_positionDropped;
                        _positionDropped = true;
                    }
                    else if (buffers is not null && !log.HasBegun)
                    {
                        // If it was for the memory, its own setting will do. If not, it fails again, and that is told.
                        Observer.Verbose($"The server did not start with {buffers} of shared buffers; it is tried with its own setting.");
                        settings.Remove("shared_buffers");
                        (buffers, again) = (null, true);
                    }

                    if (!again)
                    {
                        if (Staging.HasFailed)
                        {
                            // The server stopped because what it asked for did not come; this is why.
                            await Staging.Completion.ConfigureAwait(false);
                        }

                        throw await FailureAsync(e, server, log).ConfigureAwait(false);
                    }
                }
            }
        }
        finally
        {
            Observer.Progress(new OperationProgress(ReplayActivity, "") { IsCompleted = true });
        }

        await server.UpdateAsync(log, cancellationToken).ConfigureAwait(false);
    }

    private async Task<SmcException> FailureAsync(SmcException cause, IRecoveryServer server, ReplayLog log)
    {
        if (log.TargetNotReached)
        {
            return new SmcException(
                SmcErrorCode.TargetNotReached,
                $"PostgreSQL came to the end of the WAL without meeting {Plan.Target}: {await server.QuoteLogAsync().ConfigureAwait(false)}",
                cause,
                target: Plan.Target.ToString());
        }

        return log.HasBegun
            ? new SmcException(
                SmcErrorCode.RecoveryFailed,
                $"Recovery in '{ServerDataDirectory}' ended with an error. The log '{server.LogFile}' ends: {await server.QuoteLogAsync().ConfigureAwait(false)}",
                cause,
                target: DataDirectory)
            : cause;
    }

    /// <summary>
    /// What keeps a server in recovery, and the checks after it, from touching anything of production: nobody reaches it, it
    /// reaches nobody, it archives nothing, it runs no jobs. And what lets it start whatever the backup's server was configured to.
    /// </summary>
    private async Task<Dictionary<string, string>> IsolatedSettingsAsync(IRecoveryServer server, CancellationToken cancellationToken)
    {
        string access = $"{State.ServerDirectory}/pg_hba.conf";
        string identities = $"{State.ServerDirectory}/pg_ident.conf";
        // Who gets as far as its socket, or to the loopback interface of its pod, is us.
        await WriteAsync(
            access,
            server.ConnectionSettings["listen_addresses"].Length == 0 ? "local all all trust\n" : "host all all 127.0.0.1/32 trust\n",
            cancellationToken).ConfigureAwait(false);
        await WriteAsync(identities, "", cancellationToken).ConfigureAwait(false);
        Dictionary<string, string> settings = new(ServerIsolation.Common(server.Major), StringComparer.Ordinal)
        {
            ["smcdr.operation"] = Progress.Intent!.OperationId,
            ["data_directory"] = ServerDataDirectory,
            ["hba_file"] = access,
            ["ident_file"] = identities,
            ["autovacuum"] = "off",
            ["default_transaction_read_only"] = "on",
            ["restart_after_crash"] = "off",
            // A segment that it does not need any more is still the staged one, under a second name: removed it does no harm, reused it would be
            // overwritten (xlog.c, RemoveXlogFile), and a second run would replay what was never in the archive.
            ["wal_recycle"] = "off",
            // Without hot standby no setting of the primary can make replay pause, and replay is a little faster.
            ["hot_standby"] = "off",
            // The log is what tells how far replay is.
            ["log_min_messages"] = "warning",
            ["log_min_error_statement"] = "panic",
            ["log_line_prefix"] = "%m [%p] ",
            ["log_timezone"] = "UTC",
            ["timezone"] = "UTC",
            ["lc_messages"] = "C",
            ["log_startup_progress_interval"] = "1s",
        };
        foreach ((string name, string value) in server.ConnectionSettings)
        {
            settings[name] = value;
        }

        if (PreloadLibraries is not null)
        {
            settings["shared_preload_libraries"] = PreloadLibraries;
        }

        foreach ((string name, int value) in Plan.MinimumSettings)
        {
            settings[name] = value.ToString(CultureInfo.InvariantCulture);
        }

        return settings;
    }

    private async Task<RecoveryOutcome> VerifyAsync(
        IRecoveryServer server, ReplayLog log, double replaySeconds, CancellationToken cancellationToken)
    {
        PostgresConnector connector = server.CreateConnector(Plan.Request.Superuser);
        Lsn? lsn;
        DateTimeOffset? time;
        List<string> databases = [];
        List<CollationChange> orders;
        NpgsqlConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            using (NpgsqlCommand command = connection.CreateCommand())
            {
                command.CommandText =
                    "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_last_wal_replay_lsn()::text, " +
                    "pg_catalog.pg_last_xact_replay_timestamp(), system_identifier::text FROM pg_catalog.pg_control_system()";
                NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                    if (reader.GetBoolean(0))
                    {
                        throw Wrong("The server takes connections and is still in recovery.");
                    }

                    string systemId = ((ulong)long.Parse(reader.GetString(3), CultureInfo.InvariantCulture)).ToString(CultureInfo.InvariantCulture);
                    if (systemId != Plan.Backup.Database!.SystemId)
                    {
                        throw Wrong($"The recovered cluster has the system identifier {systemId} and should have {Plan.Backup.Database.SystemId}.");
                    }

                    // Both are null where the recovery had been finished by an earlier start of the server; its log still tells.
                    bool here = !await reader.IsDBNullAsync(1, cancellationToken).ConfigureAwait(false);
                    lsn = here ? Lsn.Parse(reader.GetString(1)) : log.RedoDone;
                    time = here && !await reader.IsDBNullAsync(2, cancellationToken).ConfigureAwait(false)
                        ? new DateTimeOffset(reader.GetDateTime(2).ToUniversalTime(), TimeSpan.Zero)
                        : log.LastTransaction;
                }
            }

            using (NpgsqlCommand command = connection.CreateCommand())
            {
                command.CommandText = "SELECT datname::text FROM pg_catalog.pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY oid";
                NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                    {
                        databases.Add(reader.GetString(0));
                    }
                }
            }

            orders = await CompareAsync(CollationComparison.ReadDatabasesAsync(connection, Plan.Backup.Database!, cancellationToken), "of the databases")
                .ConfigureAwait(false);
            using (NpgsqlCommand command = connection.CreateCommand())
            {
                command.CommandText = "CHECKPOINT";
                await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
            }
        }

        List<CollationChange> changes = [.. orders.Where(c => !databases.Contains(c.Database))];
        foreach (string database in databases)
        {
            changes.AddRange(await ProbeAsync(connector.WithDatabase(database), database, orders, cancellationToken).ConfigureAwait(false));
        }

        if (lsn is null)
        {
            throw Wrong("Neither the server nor its log tells where replay ended.");
        }

        // The record at which replay ended begins before the position that the log names, hence against the stop alone.
        Lsn needed = Plan.Target is { Kind: RecoveryTargetKind.Lsn, Inclusive: true } && Plan.StopAt is not null && !_positionDropped
            ? Plan.Target.Lsn!.Value
            : Plan.Backup.Database.StopLsn;
        bool exact = log.RedoDone != lsn;
        if (exact && lsn < needed)
        {
            throw Wrong($"Replay ended at {lsn} and should have come to {needed}.");
        }

        uint timeline = log.NewTimeline ?? await server.ReadTimelineAsync(cancellationToken).ConfigureAwait(false);
        if (timeline <= Plan.Timeline)
        {
            throw Wrong($"The recovered server writes timeline {timeline}, which is not a new one.");
        }

        return new RecoveryOutcome
        {
            Timeline = timeline,
            RecoveredLsn = lsn.Value,
            RecoveredTime = time,
            StoppedAt = log.Stop,
            ReplaySeconds = replaySeconds,
            CollationChanges = changes,
        };
    }

    private async Task<List<CollationChange>> ProbeAsync(
        PostgresConnector connector, string database, List<CollationChange> orders, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            using NpgsqlCommand command = connection.CreateCommand();
            // Reads the catalogs that every query of an application needs, through their indexes and without.
            command.CommandText =
                "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid";
            try
            {
                await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (PostgresException e)
            {
                throw new SmcException(
                    SmcErrorCode.VerificationFailed,
                    $"The database '{database}' cannot be read after recovery: {e.MessageText}.",
                    e,
                    target: database);
            }

            return await CompareAsync(
                CollationComparison.ReadCollationsAsync(connection, database, orders, cancellationToken), $"in the database '{database}'").ConfigureAwait(false);
        }
    }

    /// <summary>A library that does not answer is no reason to fail a recovery that is right otherwise.</summary>
    private async Task<List<CollationChange>> CompareAsync(Task<List<CollationChange>> comparison, string where)
    {
        try
        {
            return await comparison.ConfigureAwait(false);
        }
        catch (PostgresException e)
        {
            Observer.Warning($"The versions of the collations {where} could not be compared with this host's: {e.MessageText}.");
            return [];
        }
    }

    private async Task CleanAsync(CancellationToken cancellationToken)
    {
        string path = $"{ServerDataDirectory}/{RecoveryConfiguration.FileName}";
        await WriteAsync(
            path, RecoveryConfiguration.Remove(await TryReadAsync(path, cancellationToken).ConfigureAwait(false) ?? ""), cancellationToken).ConfigureAwait(false);
        await SettleAsync(cancellationToken).ConfigureAwait(false);
        await DeleteFileAsync($"{ServerDataDirectory}/{RecoveryConfiguration.SignalName}", cancellationToken).ConfigureAwait(false);
        await DeleteDirectoryAsync(State.StagingDirectory, cancellationToken).ConfigureAwait(false);
        await AppendAsync(RecoveryPhase.Cleaned, cancellationToken).ConfigureAwait(false);
    }

    private SmcException Wrong(string message) => new(SmcErrorCode.VerificationFailed, message, target: DataDirectory);
}
