using System.Diagnostics;
using System.Globalization;
using System.Text;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;

namespace SmcDr.Core.Recovery;

/// <summary>
/// Carries a plan out, phase by phase. Each phase can be begun again from any moment at which the one before was interrupted; the
/// previous directory is only touched, by a rename, once the base backup is restored and verified and the WAL that makes it consistent is
/// there. The rest of the WAL is fetched while the server replays.
/// </summary>
internal sealed class RecoveryRun
{
    private const string ReplayActivity = "Replay WAL";
    private const int SocketPort = 5432;

    // What the server may replay at once when it starts, beyond what makes the base backup consistent.
    private const int SegmentsAhead = 1;

    // sun_path in sys/un.h, with its end.
    private const int MaximumSocketPath = 107;

    private const UnixFileMode PrivateFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private static readonly TimeSpan s_stopLimit = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan s_startLimit = TimeSpan.FromMinutes(10);

    private readonly RecoveryPlan _plan;
    private readonly RecoveryState _state;
    private readonly IOperationObserver _observer;
    private readonly Action<RecoveryPhase>? _afterPhase;
    private readonly bool _resumed;
    private readonly OsAccount? _account;
    private WalStaging? _staging;
    private bool _positionDropped;
    private string? _preloadLibraries;

    public RecoveryRun(RecoveryPlan plan, RecoveryState state, IOperationObserver observer, Action<RecoveryPhase>? afterPhase)
    {
        _plan = plan;
        _state = state;
        _observer = observer;
        _afterPhase = afterPhase;
        _account = plan.Account;
        _resumed = state.Progress.Phase != RecoveryPhase.None;
    }

    private string DataDirectory => _plan.DataDirectory;

    /// <summary>Where the files of the base backup are written to.</summary>
    private string RestoreDirectory => _plan.Request.Delta ? DataDirectory : _state.NewDirectory;

    private RecoveryProgress Progress => _state.Progress;

    public async Task<RecoveryResult> RunAsync(CancellationToken cancellationToken)
    {
        if (_resumed)
        {
            _observer.Verbose($"The recovery that was interrupted after the phase '{Progress.Phase}' is continued.");
        }
        else
        {
            Begin();
        }

        (RecoveryPhase Phase, Func<CancellationToken, Task> Work)[] phases =
        [
            (RecoveryPhase.Fetched, FetchAsync),
            (RecoveryPhase.Configured, ConfigureAsync),
            (RecoveryPhase.Moved, MoveAsync),
            (RecoveryPhase.Recovered, RecoverAsync),
            (RecoveryPhase.Cleaned, CleanAsync),
            (RecoveryPhase.Done, FinishAsync),
        ];
        WalStaging staging = new(_plan.Archive, _state.StagingDirectory, _account);
        await using (staging.ConfigureAwait(false))
        {
            if (Progress.Phase < RecoveryPhase.Recovered)
            {
                BeginStaging(staging, cancellationToken);
            }

            foreach ((RecoveryPhase phase, Func<CancellationToken, Task> work) in phases)
            {
                if (Progress.Phase < phase)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    await work(cancellationToken).ConfigureAwait(false);
                    _afterPhase?.Invoke(phase);
                }
            }
        }

        RecoveryResult result = Result(Progress, _resumed, HostServer.IsRunning(DataDirectory));
        if (result.CollationChanges.Count > 0)
        {
            _observer.Warning(CollationComparison.Describe(result.CollationChanges));
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

    private void Begin() => _state.Append(new RecoveryJournalEntry
    {
        Phase = RecoveryPhase.Begun,
        Time = DateTimeOffset.UtcNow,
        Intent = new RecoveryIntent
        {
            OperationId = Guid.NewGuid().ToString("N"),
            StartTime = DateTimeOffset.UtcNow,
            RepositoryId = _plan.Request.Repository.Id,
            SystemId = _plan.Backup.Database!.SystemId,
            BackupId = _plan.Backup.Id,
            Target = _plan.Target.Identity,
            TargetKind = _plan.Target.Kind.ToString(),
            TargetValue = _plan.Target.Value,
            DataDirectory = DataDirectory,
            Delta = _plan.Request.Delta,
            Isolation = _plan.Request.Isolation,
            Tablespaces = _plan.Tablespaces,
            RestoreBytes = _plan.RestoreBytes,
            WalBytes = _plan.WalBytes,
        },
    });

    private void BeginStaging(WalStaging staging, CancellationToken cancellationToken)
    {
        _state.CreateFolders();
        string script = Path.Combine(_state.Root, RecoveryScripts.RestoreWalName);
        RecoveryScripts.WriteDurably(
            script, Encoding.UTF8.GetBytes(RecoveryScripts.RestoreWal), PrivateFile | UnixFileMode.GroupRead);
        if (!OperatingSystem.IsWindows() && Posix.IsRoot && _account is { } account)
        {
            Posix.SetOwner(script, 0, account.GroupId);
        }

        Lsn consistent = _plan.Backup.Database!.StopLsn;
        _staging = staging;
        staging.Start(
            _plan.WalItems,
            _plan.Histories,
            _plan.TakenTimelines,
            _plan.WalItems.TakeWhile(i => i.StartLsn < consistent).Count() + SegmentsAhead,
            _plan.Request.Parallelism ?? 4,
            _observer,
            cancellationToken);
    }

    private async Task FetchAsync(CancellationToken cancellationToken)
    {
        long begin = Stopwatch.GetTimestamp();
        RefuseForeignServer();
        bool delta = _plan.Request.Delta;
        if (delta)
        {
            // Before the links go that say where they are.
            SetLateTablespacesAside();
        }

        BaseRestoreTarget target = new()
        {
            DataDirectory = RestoreDirectory,
            Delta = delta,
            Force = _plan.Request.Force,
            Tablespaces = _plan.Tablespaces.ToDictionary(static t => t.Oid, t => delta ? t.Location : t.NewLocation),
            OwnerUser = Posix.IsRoot ? _account?.UserId : null,
            OwnerGroup = Posix.IsRoot ? _account?.GroupId : null,
            Parallelism = _plan.Request.Parallelism,
        };
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<BaseRestoreResult?> files = HasFiles() ? Task.FromResult<BaseRestoreResult?>(null) : RestoreAsync(target, stop.Token);
        Task[] both = [files, _staging!.First];
        Task first = await Task.WhenAny(both).ConfigureAwait(false);
        if (!first.IsCompletedSuccessfully)
        {
            await stop.CancelAsync().ConfigureAwait(false);
        }

        await Task.WhenAll(both).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        // The one that failed by itself, before the one that was stopped for it.
        await first.ConfigureAwait(false);
        await Task.WhenAll(both).ConfigureAwait(false);
        Posix.SyncDirectory(_state.Root);
        _state.Append(new RecoveryJournalEntry
        {
            Phase = RecoveryPhase.Fetched,
            Time = DateTimeOffset.UtcNow,
            RestoreSeconds = Stopwatch.GetElapsedTime(begin).TotalSeconds,
            Files = await files.ConfigureAwait(false) is { } done ? new RecoveryFiles(done.KeptBytes, done.FetchedBytes, done.RemovedFileCount) : null,
        });
    }

    private async Task<BaseRestoreResult?> RestoreAsync(BaseRestoreTarget target, CancellationToken cancellationToken) =>
        await BaseRestore.RestoreFilesAsync(_plan.Reader, _plan.Manifest, target, _observer, cancellationToken).ConfigureAwait(false);

    /// <summary>Whether an interrupted run had restored all files: the control file comes last, the restore's own journal goes after it.</summary>
    private bool HasFiles() =>
        // A directory that is restored to in place had one before.
        !_plan.Request.Delta &&
        File.Exists(Path.Combine(_state.NewDirectory, ControlFile.RelativePath)) &&
        !File.Exists(Path.Combine(_state.NewDirectory, RestoreJournal.FileName));

    private Task ConfigureAsync(CancellationToken cancellationToken)
    {
        string root = RestoreDirectory;
        foreach (RecoveryTablespace tablespace in _plan.Tablespaces)
        {
            string link = Path.Combine(root, "pg_tblspc", tablespace.Oid.ToString(CultureInfo.InvariantCulture));
            Relink(link, tablespace.Location);
        }

        // With the links as they must be, the map would only set them again, to where the files lay while they were fetched.
        File.Delete(Path.Combine(root, "tablespace_map"));
        File.Delete(Path.Combine(root, RecoveryConfiguration.StandbySignalName));
        WriteMissingConfiguration(root);

        string path = Path.Combine(root, RecoveryConfiguration.FileName);
        string content = File.Exists(path) ? File.ReadAllText(path) : "";
        WriteOwned(path, RecoveryConfiguration.Add(content, Settings(_plan.StopAt)));
        WriteOwned(Path.Combine(root, RecoveryConfiguration.SignalName), "");
        _state.Append(RecoveryPhase.Configured);
        return Task.CompletedTask;
    }

    private IReadOnlyList<KeyValuePair<string, string>> Settings(RecoveryTarget? stopAt) => RecoveryConfiguration.Settings(
        stopAt, _plan.Timeline, RecoveryScripts.RestoreCommand(_state.Root));

    /// <summary>Debian and others keep configuration outside of the data directory, so it is not in the backup.</summary>
    private void WriteMissingConfiguration(string root)
    {
        const string Origin = "# Written by SmcDr: the backup held no such file, because the server kept it outside of its data directory.\n";
        string configuration = Path.Combine(root, "postgresql.conf");
        if (!File.Exists(configuration))
        {
            WriteOwned(configuration, Origin);
            _observer.Warning(
                $"The backup holds no postgresql.conf: PostgreSQL's defaults are used. Put the server's own file in place before applications come back" +
                (_plan.Backup.Database!.OutsideFiles.Count > 0 ? $" (it was among {string.Join(", ", _plan.Backup.Database.OutsideFiles)})." : "."));
        }

        string access = Path.Combine(root, "pg_hba.conf");
        if (!File.Exists(access))
        {
            WriteOwned(access, Origin + "local all all peer\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n");
        }

        string identities = Path.Combine(root, "pg_ident.conf");
        if (!File.Exists(identities))
        {
            WriteOwned(identities, Origin);
        }
    }

    private async Task MoveAsync(CancellationToken cancellationToken)
    {
        RefuseForeignServer();
        // A run that goes on here has not waited for it yet, and what is found wrong by now need not cost the previous directory its place.
        await _staging!.First.WaitAsync(cancellationToken).ConfigureAwait(false);
        if (_staging.HasFailed)
        {
            await _staging.Completion.ConfigureAwait(false);
        }

        if (_plan.Request.Delta)
        {
            _state.Append(RecoveryPhase.Moved);
            return;
        }

        if (Directory.Exists(_state.NewDirectory))
        {
            SetLateTablespacesAside();
        }

        foreach (RecoveryTablespace tablespace in _plan.Tablespaces)
        {
            PutInPlace(tablespace.NewLocation, tablespace.Location);
        }

        PutInPlace(_state.NewDirectory, DataDirectory);

        // The previous cluster must not find the new one's tablespaces, should somebody start it.
        if (Progress.Moves.LastOrDefault(m => m.Path == DataDirectory) is { } previous)
        {
            string links = Path.Combine(previous.Destination, "pg_tblspc");
            foreach (string link in Directory.Exists(links) ? Directory.GetFileSystemEntries(links) : [])
            {
                string? location = new FileInfo(link).LinkTarget;
                if (Progress.Moves.LastOrDefault(m => m.Path == location) is { } moved)
                {
                    Relink(link, moved.Destination);
                }
            }
        }

        _state.Append(RecoveryPhase.Moved);
    }

    /// <summary>Has to be done before the previous directory moves, which alone says where its tablespaces are.</summary>
    /// <remarks>
    /// Also that replay finds nothing of it: a file that it creates anew it opens if it is there (md.c, mdcreate), so that pages behind its end would
    /// come back as rows.
    /// </remarks>
    private void SetLateTablespacesAside()
    {
        HostServer server = new(_plan.Programs, DataDirectory, _account?.Name);
        foreach ((uint _, string location) in LateTablespaces.Find(DataDirectory, _plan.Backup.Database!, _plan.Tablespaces))
        {
            if (LateTablespaces.IsUsed(location))
            {
                string? destination = Progress.Moves.LastOrDefault(m => m.Path == location)?.Destination;
                if (destination is null)
                {
                    destination = LateTablespaces.PlaceFor(location);
                    _state.Append(new RecoveryJournalEntry
                    {
                        Phase = Progress.Phase,
                        Time = DateTimeOffset.UtcNow,
                        Move = new RecoveryMove(location, destination),
                    });
                }

                LateTablespaces.MoveAside(location, destination, server);
                _observer.Verbose($"What '{location}' held was moved to '{destination}'.");
            }
        }
    }

    private void PutInPlace(string source, string destination)
    {
        if (!Directory.Exists(source))
        {
            if (Directory.Exists(destination))
            {
                return;
            }

            throw new SmcException(
                SmcErrorCode.RecoveryFailed,
                $"What was restored to '{source}' has gone, and '{destination}' does not exist either.",
                recommendation: "Run the command again with -Force: the recovery then begins anew.",
                target: destination);
        }

        if (Directory.Exists(destination))
        {
            if (Directory.EnumerateFileSystemEntries(destination).Any())
            {
                MoveAside(destination);
            }
            else
            {
                Directory.Delete(destination);
            }
        }

        string parent = Path.GetDirectoryName(destination)!;
        Directory.CreateDirectory(parent);
        Directory.Move(source, destination);
        Posix.SyncDirectory(Path.GetDirectoryName(source)!);
        Posix.SyncDirectory(parent);
    }

    private void MoveAside(string path)
    {
        if (!_plan.Request.Force)
        {
            throw new SmcException(SmcErrorCode.TargetNotEmpty, $"The directory '{path}' is not empty.", target: path);
        }

        // One that was journaled and not moved is used; one that is taken is not.
        string? destination = Progress.Moves.LastOrDefault(m => m.Path == path)?.Destination;
        if (destination is null || Directory.Exists(destination))
        {
            destination = FreeName(path);
            _state.Append(new RecoveryJournalEntry
            {
                Phase = Progress.Phase,
                Time = DateTimeOffset.UtcNow,
                Move = new RecoveryMove(path, destination),
            });
        }

        Directory.Move(path, destination);
        Posix.SyncDirectory(Path.GetDirectoryName(path)!);
        _observer.Verbose($"'{path}' was moved to '{destination}'.");
    }

    internal static string FreeName(string path)
    {
        string stem = string.Create(
            CultureInfo.InvariantCulture, $"{path}.before-{DateTimeOffset.UtcNow:yyyyMMdd'T'HHmmss'Z'}");
        string name = stem;
        for (int i = 2; Path.Exists(name); i++)
        {
            name = string.Create(CultureInfo.InvariantCulture, $"{stem}-{i}");
        }

        return name;
    }

    private async Task RecoverAsync(CancellationToken cancellationToken)
    {
        long begin = Stopwatch.GetTimestamp();
        HostServer server = new(_plan.Programs, DataDirectory, _account?.Name, _state.LogFile);
        RefuseForeignServer();
        // Ours, left over from a run that was killed: its log is all that is needed of it.
        await server.StopAsync(StopMode.Immediate, s_stopLimit, cancellationToken).ConfigureAwait(false);

        string? temporary = null;
        string socket = _state.ServerDirectory;
        if (Encoding.UTF8.GetByteCount(socket) + $"/.s.PGSQL.{SocketPort}".Length > MaximumSocketPath)
        {
            socket = temporary = Directory.CreateTempSubdirectory("smcdr-").FullName;
            server.GiveToAccount(temporary);
        }

        try
        {
            await _staging!.First.WaitAsync(cancellationToken).ConfigureAwait(false);
            await FindPreloadLibrariesAsync(server, cancellationToken).ConfigureAwait(false);
            ReplayLog log = new(_state.LogFile);
            await ReplayAsync(server, socket, log, cancellationToken).ConfigureAwait(false);
            RecoveryOutcome outcome;
            try
            {
                double seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
                outcome = await VerifyAsync(socket, log, seconds, cancellationToken).ConfigureAwait(false);
                await server.StopAsync(StopMode.Fast, s_stopLimit, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                await server.EndAsync().ConfigureAwait(false);
            }

            RefuseRemains();
            // What has not come by now was not needed: such as the segment behind the target, which is only looked at.
            await _staging.StopAsync().ConfigureAwait(false);
            _state.Append(new RecoveryJournalEntry { Phase = RecoveryPhase.Recovered, Time = DateTimeOffset.UtcNow, Outcome = outcome });
        }
        finally
        {
            if (temporary is not null)
            {
                RecoveryState.DeleteDirectory(temporary);
            }
        }
    }

    /// <summary>
    /// Throws where a tablespace that replay made was not empty, because the directory outlived the cluster that says so: what was in its files
    /// behind what replay wrote looks like rows. By now the links are there that name it, so that the next run sets it aside.
    /// </summary>
    private void RefuseRemains()
    {
        if (LateTablespaces.Find(DataDirectory, _plan.Backup.Database!, _plan.Tablespaces)
            .Find(late => LateTablespaces.IsOlderThan(late.Location, Progress.Intent!.StartTime)) is not { Location: { } location })
        {
            return;
        }

        _state.Reset();
        throw new SmcException(
            SmcErrorCode.VerificationFailed,
            $"The tablespace at '{location}', which is younger than the base backup, held files already before replay made it anew.",
            recommendation: "Run the command again with -Force (or --force): what is there is then moved aside first, and the recovery begins anew.",
            target: location);
    }

    /// <summary>A server that is only looked at does without the libraries that this host lacks; one that goes into use does not.</summary>
    private async Task FindPreloadLibrariesAsync(HostServer server, CancellationToken cancellationToken)
    {
        if (_plan.Request.Isolation is not null &&
            await PreloadLibraries.FindAsync(server, cancellationToken).ConfigureAwait(false) is { } found)
        {
            _preloadLibraries = found.Value;
            _observer.Warning(
                $"The cluster loads libraries that this host does not have, and is started without them: {string.Join(", ", found.Missing)}.");
        }
    }

    private async Task ReplayAsync(HostServer server, string socket, ReplayLog log, CancellationToken cancellationToken)
    {
        log.Update();
        Lsn start = _plan.Backup.Database!.StartLsn;
        long total = Math.Max(_plan.EndLsn - start, 0);
        Dictionary<string, string> settings = IsolatedSettings(socket);
        bool hasMemory = ReplayMemory.TryGetSharedBuffers(_plan.Backup.Database.Settings.GetValueOrDefault("shared_buffers"), out string buffers);
        if (hasMemory)
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
                        running =>
                        {
                            log.Update();
                            _observer.Progress(new OperationProgress(
                                ReplayActivity,
                                log.CurrentFile ?? "",
                                Math.Clamp((log.CurrentLsn ?? start) - start, 0, total),
                                total));
                            return running.IsReady;
                        },
                        _plan.Request.ReplayTimeLimit,
                        cancellationToken).ConfigureAwait(false);
                }
                catch (SmcException e) when (e.Code == SmcErrorCode.ServerStartFailed)
                {
                    log.Update();
                    if (log.TargetNotReached && _plan.StopAt is { Kind: RecoveryTargetKind.Lsn })
                    {
                        // No record begins at or behind the position: all that is before it was replayed, and that is what was asked for.
                        _observer.Verbose($"No record begins at or behind {_plan.Target}: all WAL before it is replayed.");
                        string path = Path.Combine(DataDirectory, RecoveryConfiguration.FileName);
                        WriteOwned(path, RecoveryConfiguration.Add(
                            await File.ReadAllTextAsync(path, cancellationToken).ConfigureAwait(false), Settings(null)));
                        again = log.HasBegun && !_positionDropped;
                        _positionDropped = true;
                    }
                    else if (hasMemory && !log.HasBegun)
                    {
                        // If it was for the memory, its own setting will do. If not, it fails again, and that is told.
                        _observer.Verbose($"The server did not start with {buffers} of shared buffers; it is tried with its own setting.");
                        settings.Remove("shared_buffers");
                        (hasMemory, again) = (false, true);
                    }

                    if (!again)
                    {
                        if (_staging!.HasFailed)
                        {
                            // The server stopped because what it asked for did not come; this is why.
                            await _staging.Completion.ConfigureAwait(false);
                        }

                        throw Failure(e, server, log);
                    }
                }
            }
        }
        finally
        {
            _observer.Progress(new OperationProgress(ReplayActivity, "") { IsCompleted = true });
        }

        log.Update();
    }

    private SmcException Failure(SmcException cause, HostServer server, ReplayLog log)
    {
        if (log.TargetNotReached)
        {
            return new SmcException(
                SmcErrorCode.TargetNotReached,
                $"PostgreSQL came to the end of the WAL without meeting {_plan.Target}: {server.QuoteLog(0)}",
                cause,
                target: _plan.Target.ToString());
        }

        return log.HasBegun
            ? new SmcException(
                SmcErrorCode.RecoveryFailed,
                $"Recovery in '{DataDirectory}' ended with an error. The log '{server.LogFile}' ends: {server.QuoteLog(0)}",
                cause,
                target: DataDirectory)
            : cause;
    }

    /// <summary>
    /// What keeps a server in recovery, and the checks after it, from touching anything of production: nobody reaches it, it
    /// reaches nobody, it archives nothing, it runs no jobs. And what lets it start whatever the backup's server was configured to.
    /// </summary>
    private Dictionary<string, string> IsolatedSettings(string socket)
    {
        Dictionary<string, string> settings = new(ServerIsolation.Common(_plan.Programs.Major), StringComparer.Ordinal)
        {
            ["smcdr.operation"] = Progress.Intent!.OperationId,
            ["data_directory"] = DataDirectory,
            ["hba_file"] = WriteServerFile("pg_hba.conf", "local all all trust\n"),
            ["ident_file"] = WriteServerFile("pg_ident.conf", ""),
            ["listen_addresses"] = "",
            ["unix_socket_directories"] = socket,
            ["port"] = SocketPort.ToString(CultureInfo.InvariantCulture),
            ["autovacuum"] = "off",
            ["default_transaction_read_only"] = "on",
            ["restart_after_crash"] = "off",
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
        if (_preloadLibraries is not null)
        {
            settings["shared_preload_libraries"] = _preloadLibraries;
        }

        foreach ((string name, int value) in _plan.MinimumSettings)
        {
            settings[name] = value.ToString(CultureInfo.InvariantCulture);
        }

        return settings;
    }

    private async Task<RecoveryOutcome> VerifyAsync(
        string socket, ReplayLog log, double replaySeconds, CancellationToken cancellationToken)
    {
        NpgsqlConnectionStringBuilder settings = new()
        {
            Host = socket,
            Port = SocketPort,
            Username = _plan.Request.Superuser,
            Database = "template1",
            SslMode = SslMode.Disable,
            GssEncryptionMode = GssEncryptionMode.Disable,
        };
        PostgresConnector connector = new(settings.ConnectionString);
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
                    if (systemId != _plan.Backup.Database!.SystemId)
                    {
                        throw Wrong($"The recovered cluster has the system identifier {systemId} and should have {_plan.Backup.Database.SystemId}.");
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

            orders = await CompareAsync(CollationComparison.ReadDatabasesAsync(connection, _plan.Backup.Database!, cancellationToken), "of the databases")
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
        Lsn needed = _plan.Target is { Kind: RecoveryTargetKind.Lsn, Inclusive: true } && _plan.StopAt is not null && !_positionDropped
            ? _plan.Target.Lsn!.Value
            : _plan.Backup.Database.StopLsn;
        bool exact = log.RedoDone != lsn;
        if (exact && lsn < needed)
        {
            throw Wrong($"Replay ended at {lsn} and should have come to {needed}.");
        }

        uint timeline = log.NewTimeline ??
            (await ControlFile.ReadAsync(DataDirectory, cancellationToken).ConfigureAwait(false)).Timeline;
        if (timeline <= _plan.Timeline)
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
            _observer.Warning($"The versions of the collations {where} could not be compared with this host's: {e.MessageText}.");
            return [];
        }
    }

    private async Task CleanAsync(CancellationToken cancellationToken)
    {
        string path = Path.Combine(DataDirectory, RecoveryConfiguration.FileName);
        WriteOwned(path, RecoveryConfiguration.Remove(File.ReadAllText(path)));
        if (_plan.Request.Isolation is { } isolation)
        {
            // Before the signal goes: what starts this directory from now on starts it isolated.
            await FindPreloadLibrariesAsync(new HostServer(_plan.Programs, DataDirectory, _account?.Name), cancellationToken).ConfigureAwait(false);
            isolation.Persist(DataDirectory, isolation.Settings(DataDirectory, _plan.Programs.Major, _preloadLibraries), WriteOwned);
        }

        File.Delete(Path.Combine(DataDirectory, RecoveryConfiguration.SignalName));
        RecoveryState.DeleteDirectory(_state.StagingDirectory);
        _state.Append(RecoveryPhase.Cleaned);
    }

    private async Task FinishAsync(CancellationToken cancellationToken)
    {
        if (_plan.Request.KeepRunning && !HostServer.IsRunning(DataDirectory))
        {
            if (_plan.Request.Isolation is { } isolation)
            {
                await StartIsolatedAsync(isolation, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await StartAsync(cancellationToken).ConfigureAwait(false);
            }
        }

        _state.Append(RecoveryPhase.Done);
        if (_plan.Request.Isolation is null)
        {
            _observer.Verbose("The recovered cluster is on a new timeline: take a new base backup.");
        }
    }

    private async Task StartIsolatedAsync(ServerIsolation isolation, CancellationToken cancellationToken)
    {
        Dictionary<string, string> settings = new(_plan.Request.Settings, StringComparer.Ordinal);
        foreach ((string name, string value) in isolation.Settings(DataDirectory, _plan.Programs.Major, null))
        {
            // Whatever else is asked for: isolation is what a side instance is.
            settings[name] = value;
        }

        string log = Path.Combine(DataDirectory, ServerIsolation.LogFileName);
        await new HostServer(_plan.Programs, DataDirectory, _account?.Name, log)
            .StartAsync(settings, null, s_startLimit, cancellationToken).ConfigureAwait(false);
    }

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        HostServer server = new(_plan.Programs, DataDirectory, _account?.Name);
        Dictionary<string, string> settings = new(_plan.Request.Settings, StringComparer.Ordinal)
        {
            // A path from the backup's server would start the cluster that it names.
            ["data_directory"] = DataDirectory,
        };
        foreach (string name in new[] { "hba_file", "ident_file" })
        {
            ProgramResult answer = await server.RunAsync(
                "postgres", ["-C", name, "-D", DataDirectory, "-c", "data_directory=" + DataDirectory], cancellationToken).ConfigureAwait(false);
            string configured = answer.Output.Trim();
            if (answer.ExitCode == 0 && configured.Length > 0 && !File.Exists(Path.Combine(DataDirectory, configured)))
            {
                string own = Path.Combine(DataDirectory, name == "hba_file" ? "pg_hba.conf" : "pg_ident.conf");
                settings.TryAdd(name, own);
                _observer.Warning($"The configured {name} '{configured}' does not exist on this host: '{own}' is used.");
            }
        }

        await server.StartAsync(settings, null, s_startLimit, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Throws where a server runs in the data directory that this recovery did not start.</summary>
    private void RefuseForeignServer()
    {
        if (HostServer.FindRunning(DataDirectory) is { } running && !IsOurs(DataDirectory, Progress))
        {
            throw new SmcException(
                SmcErrorCode.TargetInUse,
                $"A server (process {running.ProcessId}) runs in '{DataDirectory}'.",
                target: DataDirectory);
        }
    }

    /// <summary>Whether the server in a data directory is the isolated one of an interrupted recovery.</summary>
    /// <remarks>
    /// A server that is just starting has its lock file already and its options not yet (PostmasterMain writes them in this order); the same
    /// options stand in its command line.
    /// </remarks>
    public static bool IsOurs(string dataDirectory, RecoveryProgress? progress) =>
        progress is { Intent: { } intent, Phase: RecoveryPhase.Moved } &&
        (Names(Path.Combine(dataDirectory, "postmaster.opts"), intent.OperationId) ||
            (HostServer.FindRunning(dataDirectory) is { } running &&
                Names(string.Create(CultureInfo.InvariantCulture, $"/proc/{running.ProcessId}/cmdline"), intent.OperationId)));

    private static bool Names(string path, string operationId)
    {
        try
        {
            return File.ReadAllText(path).Contains(operationId, StringComparison.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Not there yet, or not any more.
            return false;
        }
    }

    private string WriteServerFile(string name, string content)
    {
        string path = Path.Combine(_state.ServerDirectory, name);
        WriteOwned(path, content);
        return path;
    }

    private void WriteOwned(string path, string content) =>
        RecoveryScripts.WriteDurably(path, Encoding.UTF8.GetBytes(content), PrivateFile, _account);

    private void Relink(string link, string target)
    {
        FileInfo info = new(link);
        if (info.LinkTarget == target)
        {
            return;
        }

        if (OperatingSystem.IsWindows())
        {
            File.Delete(link);
            File.CreateSymbolicLink(link, target);
            return;
        }

        string temporary = link + ".smcdr-tmp";
        File.Delete(temporary);
        File.CreateSymbolicLink(temporary, target);
        if (Posix.IsRoot && _account is { } account)
        {
            Posix.SetOwner(temporary, account.UserId, account.GroupId);
        }

        Posix.Replace(temporary, link);
        Posix.SyncDirectory(Path.GetDirectoryName(link)!);
    }

    private SmcException Wrong(string message) => new(SmcErrorCode.VerificationFailed, message, target: DataDirectory);
}
