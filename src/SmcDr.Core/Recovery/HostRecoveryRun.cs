using System.Globalization;
using System.Text;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres.BaseBackups;

namespace SmcDr.Core.Recovery;

/// <summary>A recovery on this host: the new directory goes to its place before it is replayed, and the previous one aside.</summary>
internal sealed class HostRecoveryRun : RecoveryRun
{
    private const UnixFileMode PrivateFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private static readonly TimeSpan s_stopLimit = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan s_startLimit = TimeSpan.FromMinutes(10);

    private readonly RecoveryState _state;
    private readonly OsAccount? _account;

    public HostRecoveryRun(RecoveryPlan plan, RecoveryState state, IOperationObserver observer, Action<RecoveryPhase>? afterPhase)
        : base(plan, state, observer, afterPhase)
    {
        _state = state;
        _account = plan.Account;
    }

    protected override IReadOnlyList<RecoveryPhase> Order =>
    [
        RecoveryPhase.Begun, RecoveryPhase.Fetched, RecoveryPhase.Configured, RecoveryPhase.Moved,
        .. Replays ? (RecoveryPhase[])[RecoveryPhase.Recovered] : [],
        RecoveryPhase.Cleaned, RecoveryPhase.Done,
    ];

    protected override string RestoreDirectory => Plan.Request.Delta ? DataDirectory : State.NewDirectory;

    protected override string ServerDataDirectory => DataDirectory;

    protected override IStagingFolder CreateStagingFolder() => new HostStagingFolder(State.StagingDirectory, _account);

    protected override Task<string> WriteRestoreScriptAsync(string script, CancellationToken cancellationToken)
    {
        string path = Path.Combine(State.Root, RecoveryScripts.RestoreWalName);
        RecoveryScripts.WriteDurably(path, Encoding.UTF8.GetBytes(script), PrivateFile | UnixFileMode.GroupRead);
        if (!OperatingSystem.IsWindows() && Posix.IsRoot && _account is { } account)
        {
            Posix.SetOwner(path, 0, account.GroupId);
        }

        return Task.FromResult(RecoveryScripts.RestoreCommand(State.Root));
    }

    protected override Task BeforeFetchAsync(CancellationToken cancellationToken)
    {
        RefuseForeignServer();
        if (Plan.Request.Delta)
        {
            // Before the links go that say where they are.
            SetLateTablespacesAside();
        }

        return Task.CompletedTask;
    }

    protected override async Task<BaseRestoreResult?> RestoreFilesAsync(CancellationToken cancellationToken)
    {
        bool delta = Plan.Request.Delta;
        if (HasFiles())
        {
            return null;
        }

        BaseRestoreTarget target = new()
        {
            DataDirectory = RestoreDirectory,
            Delta = delta,
            Force = Plan.Request.Force,
            Tablespaces = Plan.Tablespaces.ToDictionary(static t => t.Oid, t => delta ? t.Location : t.NewLocation),
            OwnerUser = Posix.IsRoot ? _account?.UserId : null,
            OwnerGroup = Posix.IsRoot ? _account?.GroupId : null,
            Parallelism = Plan.Request.Parallelism,
        };
        return await BaseRestore.RestoreFilesAsync(Plan.Reader, Plan.Manifest, target, Observer, cancellationToken).ConfigureAwait(false);
    }

    protected override Task SyncRestoredAsync(CancellationToken cancellationToken)
    {
        Posix.SyncDirectory(State.Root);
        return Task.CompletedTask;
    }

    protected override Task LinkTablespacesAsync(CancellationToken cancellationToken)
    {
        foreach (RecoveryTablespace tablespace in Plan.Tablespaces)
        {
            string link = Path.Combine(RestoreDirectory, "pg_tblspc", tablespace.Oid.ToString(CultureInfo.InvariantCulture));
            Relink(link, tablespace.Location);
        }

        return Task.CompletedTask;
    }

    protected override async Task MoveAsync(CancellationToken cancellationToken)
    {
        RefuseForeignServer();
        // A run that goes on here has not waited for it yet, and what is found wrong by now need not cost the previous directory its place.
        if (Replays)
        {
            await Staging.First.WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        if (Staging.HasFailed)
        {
            await Staging.Completion.ConfigureAwait(false);
        }

        if (Plan.Request.Delta)
        {
            _state.Append(RecoveryPhase.Moved);
            return;
        }

        if (Directory.Exists(State.NewDirectory))
        {
            SetLateTablespacesAside();
        }

        foreach (RecoveryTablespace tablespace in Plan.Tablespaces)
        {
            PutInPlace(tablespace.NewLocation, tablespace.Location);
        }

        PutInPlace(State.NewDirectory, DataDirectory);

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

    /// <summary>Whether an interrupted run had restored all files: the control file comes last, the restore's own journal goes after it.</summary>
    private bool HasFiles() =>
        // A directory that is restored to in place had one before.
        !Plan.Request.Delta &&
        File.Exists(Path.Combine(State.NewDirectory, ControlFile.RelativePath)) &&
        !File.Exists(Path.Combine(State.NewDirectory, RestoreJournal.FileName));

    /// <summary>Has to be done before the previous directory moves, which alone says where its tablespaces are.</summary>
    /// <remarks>
    /// Also that replay finds nothing of it: a file that it creates anew it opens if it is there (md.c, mdcreate), so that pages behind its end would
    /// come back as rows.
    /// </remarks>
    private void SetLateTablespacesAside()
    {
        HostServer server = new(Plan.Programs!, DataDirectory, _account?.Name);
        foreach ((uint _, string location) in LateTablespaces.Find(DataDirectory, Plan.Backup.Database!, Plan.Tablespaces))
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
                Observer.Verbose($"What '{location}' held was moved to '{destination}'.");
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
        if (!Plan.Request.Force)
        {
            throw new SmcException(SmcErrorCode.TargetNotEmpty, $"The directory '{path}' is not empty.", target: path);
        }

        // One that was journaled and not moved is used; one that is taken is not.
        string? destination = Progress.Moves.LastOrDefault(m => m.Path == path)?.Destination;
        if (destination is null || Directory.Exists(destination))
        {
            destination = FreeName(path, Path.Exists);
            _state.Append(new RecoveryJournalEntry
            {
                Phase = Progress.Phase,
                Time = DateTimeOffset.UtcNow,
                Move = new RecoveryMove(path, destination),
            });
        }

        Directory.Move(path, destination);
        Posix.SyncDirectory(Path.GetDirectoryName(path)!);
        Observer.Verbose($"'{path}' was moved to '{destination}'.");
    }

    protected override async Task<IRecoveryServer> OpenServerAsync(CancellationToken cancellationToken)
    {
        HostServer server = new(Plan.Programs!, DataDirectory, _account?.Name, _state.LogFile);
        RefuseForeignServer();
        // Ours, left over from a run that was killed: its log is all that is needed of it.
        await server.StopAsync(StopMode.Immediate, s_stopLimit, cancellationToken).ConfigureAwait(false);
        await FindPreloadLibrariesAsync(server, cancellationToken).ConfigureAwait(false);
        return new HostRecoveryServer(server, State.ServerDirectory);
    }

    protected override Task CheckReplayedAsync(CancellationToken cancellationToken)
    {
        RefuseRemains();
        return Task.CompletedTask;
    }

    protected override async Task SettleAsync(CancellationToken cancellationToken)
    {
        if (Plan.Request.Isolation is { } isolation)
        {
            // Before the signal goes: what starts this directory from now on starts it isolated.
            await FindPreloadLibrariesAsync(new HostServer(Plan.Programs!, DataDirectory, _account?.Name), cancellationToken).ConfigureAwait(false);
            isolation.Persist(DataDirectory, isolation.Settings(DataDirectory, Plan.Programs!.Major, PreloadLibraries), WriteOwned);
        }
    }

    protected override bool IsRunning() => HostServer.IsRunning(DataDirectory);

    protected override string? ReplayBuffers(string? own) => ReplayMemory.TryGetSharedBuffers(own, out string buffers) ? buffers : null;

    protected override async Task<string?> TryReadAsync(string path, CancellationToken cancellationToken) =>
        File.Exists(path) ? LosslessText.Decode(await File.ReadAllBytesAsync(path, cancellationToken).ConfigureAwait(false)) : null;

    protected override Task WriteAsync(string path, string content, CancellationToken cancellationToken)
    {
        WriteOwned(path, content);
        return Task.CompletedTask;
    }

    protected override Task DeleteFileAsync(string path, CancellationToken cancellationToken)
    {
        File.Delete(path);
        return Task.CompletedTask;
    }

    protected override Task DeleteDirectoryAsync(string path, CancellationToken cancellationToken)
    {
        RecoveryState.DeleteDirectory(path);
        return Task.CompletedTask;
    }

    /// <summary>
    /// Throws where a tablespace that replay made was not empty, because the directory outlived the cluster that says so: what was in its files
    /// behind what replay wrote looks like rows. By now the links are there that name it, so that the next run sets it aside.
    /// </summary>
    private void RefuseRemains()
    {
        if (LateTablespaces.Find(DataDirectory, Plan.Backup.Database!, Plan.Tablespaces)
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
        if (Plan.Request.Isolation is not null &&
            await Recovery.PreloadLibraries.FindAsync(server, cancellationToken).ConfigureAwait(false) is { } found)
        {
            PreloadLibraries = found.Value;
            Observer.Warning(
                $"The cluster loads libraries that this host does not have, and is started without them: {string.Join(", ", found.Missing)}.");
        }
    }

    protected override async Task FinishAsync(CancellationToken cancellationToken)
    {
        if (Plan.Request.KeepRunning && !HostServer.IsRunning(DataDirectory))
        {
            if (Plan.Request.Isolation is { } isolation)
            {
                await StartIsolatedAsync(isolation, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await StartAsync(cancellationToken).ConfigureAwait(false);
            }
        }

        _state.Append(RecoveryPhase.Done);
        if (Plan.Request.Isolation is null && Replays)
        {
            Observer.Verbose("The recovered cluster is on a new timeline: take a new base backup.");
        }
    }

    private async Task StartIsolatedAsync(ServerIsolation isolation, CancellationToken cancellationToken)
    {
        Dictionary<string, string> settings = new(Plan.Request.Settings, StringComparer.Ordinal);
        foreach ((string name, string value) in isolation.Settings(DataDirectory, Plan.Programs!.Major, null))
        {
            // Whatever else is asked for: isolation is what a side instance is.
            settings[name] = value;
        }

        string log = Path.Combine(DataDirectory, ServerIsolation.LogFileName);
        await new HostServer(Plan.Programs!, DataDirectory, _account?.Name, log)
            .StartAsync(settings, null, s_startLimit, cancellationToken).ConfigureAwait(false);
    }

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        HostServer server = new(Plan.Programs!, DataDirectory, _account?.Name);
        Dictionary<string, string> settings = new(Plan.Request.Settings, StringComparer.Ordinal)
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
                Observer.Warning($"The configured {name} '{configured}' does not exist on this host: '{own}' is used.");
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
        (StartedWith(dataDirectory, intent.OperationId) ||
            (HostServer.FindRunning(dataDirectory) is { } running &&
                ProcessTable.CommandLine(running.ProcessId).Any(word => word.Contains(intent.OperationId, StringComparison.Ordinal))));

    private static bool StartedWith(string dataDirectory, string operationId)
    {
        try
        {
            return File.ReadAllText(Path.Combine(dataDirectory, "postmaster.opts")).Contains(operationId, StringComparison.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Not there yet, or not any more.
            return false;
        }
    }

    private void WriteOwned(string path, string content) =>
        RecoveryScripts.WriteDurably(path, LosslessText.Encode(content), PrivateFile, _account);

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
}
