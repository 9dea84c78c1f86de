using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery;

/// <summary>Recovers a database cluster on this host from a base backup and the archived WAL.</summary>
public static class DatabaseRecovery
{
    // What pg_wal takes during replay beyond the staged files: max_wal_size and what is recycled.
    private const long WalReserve = 1L << 30;

    /// <summary>Finds out whether the recovery can succeed, and how. Changes nothing and restores nothing.</summary>
    /// <exception cref="SmcException">It cannot; the code says why.</exception>
    public static async Task<RecoveryPlan> PlanAsync(
        RecoveryRequest request, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(observer);
        string dataDirectory = Absolute(request.DataDirectory);
        OsAccount? account = OsAccount.ForServer(dataDirectory, request.OsUser);

        // What is cheap and local first: the state of the target.
        RecoveryProgress? journal = TryReadJournal(dataDirectory, request.Force);
        bool same = journal is { Intent: not null } && IsSame(journal.Intent, request, dataDirectory);
        if (same && journal!.Phase == RecoveryPhase.Done)
        {
            // Done long ago and emptied since, or asked for anew: nothing to go on with.
            same = !request.Force && !IsEmpty(dataDirectory);
        }
        else if (journal is { Intent: not null, Phase: not RecoveryPhase.Done } && !same && !request.Force)
        {
            throw new SmcException(
                SmcErrorCode.OperationInProgress,
                $"A recovery of '{dataDirectory}' to something else ({journal.Intent.TargetKind} {journal.Intent.TargetValue}) was interrupted after the phase '{journal.Phase}'.",
                recommendation: "Run the same command as then to finish it, or add -Force to abandon it; nothing in the data directory is deleted.",
                target: dataDirectory);
        }

        RecoveryPhase phase = same ? journal!.Phase : RecoveryPhase.None;
        if (phase != RecoveryPhase.Done)
        {
            CheckDirectory(dataDirectory, same ? journal : null, account, request.Delta);
        }

        bool moved = request.Delta || IsInPlace(phase, RecoveryState.NewDirectoryIn(RecoveryState.PathFor(dataDirectory)), dataDirectory);
        List<RecoveryMove> moves = [];
        if (!moved)
        {
            PlanMove(dataDirectory, request, moves);
        }

        RecoverySource source = await RecoverySource.ChooseAsync(
            request, same ? journal!.Intent!.BackupId : request.BackupId, observer, cancellationToken).ConfigureAwait(false);
        DatabaseBackupDetails details = source.Details;
        PostgresPrograms programs = await PostgresPrograms.FindAsync(
            request.BinDirectory, details.ServerVersionNumber / 10000, cancellationToken).ConfigureAwait(false);

        if (request.Isolation is { } isolation && !ServerIsolation.CanHoldSocket(dataDirectory, isolation.Port))
        {
            throw Unsuitable(
                dataDirectory,
                $"The path '{dataDirectory}' is too long for the socket of a server in it.",
                "Choose a directory with a shorter path.");
        }

        // The paths go through pg_ctl.
        _ = new HostServer(programs, dataDirectory, account?.Name);
        List<RecoveryTablespace> tablespaces = MapTablespaces(request, details, dataDirectory);
        RefuseSharedTablespaces(details, dataDirectory, tablespaces);
        foreach (RecoveryTablespace tablespace in tablespaces)
        {
            if (!request.Delta && !IsInPlace(phase, tablespace.NewLocation, tablespace.Location))
            {
                CheckTablespace(tablespace, request, moves);
            }
        }

        if (!moved || (request.Delta && phase < RecoveryPhase.Fetched))
        {
            moves.AddRange(LateTablespaces.Find(dataDirectory, details, tablespaces)
                .Where(static late => LateTablespaces.IsUsed(late.Location))
                .Select(static late => new RecoveryMove(late.Location, LateTablespaces.PlaceFor(late.Location))));
        }

        Manifest manifest = await source.Reader.ReadManifestAsync(cancellationToken).ConfigureAwait(false);
        if (request.Delta && phase < RecoveryPhase.Fetched)
        {
            CheckDelta(request, dataDirectory, tablespaces, manifest);
        }

        if (phase < RecoveryPhase.Fetched)
        {
            await source.Reader.CheckPacksAsync(manifest, cancellationToken).ConfigureAwait(false);
        }

        List<RecoverySpace> space = phase < RecoveryPhase.Fetched
            ? MeasureSpace(dataDirectory, tablespaces, manifest, source.WalBytes, request.Delta)
            : [];
        CheckSpace(space);

        RecoveryPlan plan = await source.CreatePlanAsync(request, dataDirectory, manifest, phase, cancellationToken).ConfigureAwait(false) with
        {
            Tablespaces = tablespaces,
            Moves = moves,
            Space = space,
            Programs = programs,
            Account = account,
            Warnings = [.. source.Warnings, .. Warnings(details)],
            Abandon = journal is { Phase: not RecoveryPhase.None and not RecoveryPhase.Done } && !same,
        };
        foreach (string line in plan.Describe())
        {
            observer.Verbose(line);
        }

        return plan;
    }

    /// <summary>Carries a plan out. Interrupted at whatever moment, it is finished by planning and executing the same request again.</summary>
    /// <exception cref="SmcException">It failed; the previous directory is still there, in its place or moved aside.</exception>
    public static Task<RecoveryResult> ExecuteAsync(
        RecoveryPlan plan, IOperationObserver observer, CancellationToken cancellationToken) =>
        ExecuteAsync(plan, observer, null, cancellationToken);

    /// <param name="afterPhase">Called when a phase is over and journaled: where tests interrupt.</param>
    internal static async Task<RecoveryResult> ExecuteAsync(
        RecoveryPlan plan, IOperationObserver observer, Action<RecoveryPhase>? afterPhase, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(observer);
        Directory.CreateDirectory(Path.GetDirectoryName(plan.DataDirectory)!);
        using RecoveryState state = RecoveryState.Open(plan.DataDirectory, plan.Account);
        if (plan.Phase == RecoveryPhase.None)
        {
            foreach (RecoveryTablespace tablespace in state.Progress.Intent?.Tablespaces ?? [])
            {
                RecoveryState.DeleteDirectory(tablespace.NewLocation);
            }

            state.Reset();
        }
        else if (state.Progress.Phase != plan.Phase)
        {
            throw new SmcException(
                SmcErrorCode.OperationInProgress,
                $"The recovery of '{plan.DataDirectory}' went on since it was planned.",
                recommendation: "Run the command again.",
                target: plan.DataDirectory);
        }

        if (plan.IsDone)
        {
            observer.Warning(
                $"Nothing was done: the recovery of '{plan.DataDirectory}' to {plan.Target} was finished at {RecoveryPlan.Time(state.Progress.DoneTime!.Value)}. " +
                "Add -Force to recover it anew.");
            return RecoveryRun.Result(state.Progress, resumed: true, HostServer.IsRunning(plan.DataDirectory));
        }

        foreach (string warning in plan.Warnings)
        {
            observer.Warning(warning);
        }

        return await WithoutWritersAsync(
            plan.Request,
            () => new HostRecoveryRun(plan, state, observer, afterPhase).RunAsync(cancellationToken),
            observer,
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Recovers while the writers are stopped. After a failure they stay so, since what they would write to is not what it should be.</summary>
    private static async Task<RecoveryResult> WithoutWritersAsync(
        RecoveryRequest request, Func<Task<RecoveryResult>> recover, IOperationObserver observer, CancellationToken cancellationToken)
    {
        if (request.Writers is not { } writers)
        {
            return await recover().ConfigureAwait(false);
        }

        const string Command = "Resume-SmcWorkload (or 'smcdr workload resume') starts them.";
        string names = string.Join(", ", writers.Names);
        RecoveryResult? result = null;
        try
        {
            await writers.SuspendAsync(cancellationToken).ConfigureAwait(false);
            observer.Verbose($"The writers are stopped: {names}.");
            result = await recover().ConfigureAwait(false);
            if (request.KeepRunning)
            {
                await writers.ResumeAsync(cancellationToken).ConfigureAwait(false);
                observer.Verbose($"The writers are started: {names}.");
            }
            else
            {
                observer.Warning($"The writers are still stopped, as the server is: {names}. {Command}");
            }

            return result;
        }
        catch (SmcException e)
        {
            throw new SmcException(
                e.Code,
                result is null ? $"{e.Message} The writers may be stopped: {names}." : $"The database is recovered, and not all of its writers could be started: {e.Message}",
                e,
                result is null ? $"{e.Recommendation} Only when the database is what it should be: {Command}" : $"{e.Recommendation} {Command}",
                e.Target);
        }
        catch (OperationCanceledException)
        {
            observer.Warning($"The writers may be stopped: {names}. {Command}");
            throw;
        }
    }

    private static RecoveryProgress? TryReadJournal(string dataDirectory, bool force)
    {
        try
        {
            return RecoveryState.TryRead(dataDirectory);
        }
        catch (SmcException) when (force)
        {
            return null;
        }
    }

    internal static bool IsSame(RecoveryIntent intent, RecoveryRequest request, string dataDirectory) =>
        intent.DataDirectory == dataDirectory &&
        intent.RepositoryId == request.Repository.Id &&
        intent.Target == request.Target.Identity &&
        intent.Delta == request.Delta &&
        intent.Isolation == request.Isolation &&
        intent.Standby == (request.Standby is not null) &&
        (request.BackupId is null || intent.BackupId == request.BackupId) &&
        (request.SystemId is null || intent.SystemId == request.SystemId.Value.ToString(CultureInfo.InvariantCulture)) &&
        intent.Tablespaces.All(t => Locate(request, t.Oid, t.Name, null) is not { } location || location == t.Location);

    private static string Absolute(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        return Path.GetDirectoryName(full) is null
            ? throw new SmcException(SmcErrorCode.TargetUnsuitable, $"'{full}' is the root of a file system and no place for a data directory.", target: full)
            : full;
    }

    private static bool IsEmpty(string directory) =>
        !Directory.Exists(directory) || !Directory.EnumerateFileSystemEntries(directory).Any();

    /// <summary>Whether a directory was put in its place by the interrupted run, so that what is there is not in the way.</summary>
    private static bool IsInPlace(RecoveryPhase phase, string source, string destination) =>
        phase >= RecoveryPhase.Moved ||
        (phase == RecoveryPhase.Configured && !Directory.Exists(source) && Directory.Exists(destination));

    private static void CheckDirectory(string dataDirectory, RecoveryProgress? journal, OsAccount? account, bool delta)
    {
        if (File.Exists(dataDirectory))
        {
            throw Unsuitable(dataDirectory, $"'{dataDirectory}' is a file.", null);
        }

        // Before anything in it is looked at: it may be closed to this account.
        if (!OperatingSystem.IsWindows() && !Posix.IsRoot && Directory.Exists(dataDirectory) && account is not null &&
            Posix.GetOwner(dataDirectory).User != account.UserId)
        {
            throw Unsuitable(
                dataDirectory,
                $"'{dataDirectory}' belongs to another account than '{account.Name}'.",
                "Run the command as the directory's owner, or as root.");
        }

        if (HostServer.FindRunning(dataDirectory) is { } running && !HostRecoveryRun.IsOurs(dataDirectory, journal) &&
            journal?.Phase != RecoveryPhase.Cleaned)
        {
            throw new SmcException(
                SmcErrorCode.TargetInUse,
                $"A server (process {running.ProcessId}) runs in '{dataDirectory}'.",
                target: dataDirectory);
        }

        if (!delta)
        {
            CheckPlace(dataDirectory);
        }
    }

    /// <summary>Refuses a place that cannot be renamed, which is how the new takes the place of the old.</summary>
    private static void CheckPlace(string directory)
    {
        if (new DirectoryInfo(directory) is { Exists: true, LinkTarget: { } target })
        {
            throw Unsuitable(
                directory, $"'{directory}' is a link to '{target}'.", $"Name the directory itself, '{target}'.");
        }

        if (Directory.Exists(directory) && FileSystems.IsMountPoint(directory))
        {
            throw Unsuitable(
                directory,
                $"'{directory}' is a mount point, so it cannot be moved aside.",
                $"Restore to a directory in it, such as '{Path.Combine(directory, "data")}', and let the server use that one.");
        }
    }

    private static void PlanMove(string directory, RecoveryRequest request, List<RecoveryMove> moves)
    {
        if (IsEmpty(directory))
        {
            return;
        }

        if (!request.Force)
        {
            throw new SmcException(
                SmcErrorCode.TargetNotEmpty, $"The directory '{directory}' is not empty.", target: directory);
        }

        RefuseRepositoryIn(directory, request, "moved away with it");
        moves.Add(new RecoveryMove(directory, RecoveryRun.FreeName(directory, Path.Exists)));
    }

    /// <summary>
    /// Refuses where the cluster that is recovered has another data directory on this host, with a tablespace that is younger than the base
    /// backup: both would write to the same files, or replay over those of one that is stopped.
    /// </summary>
    private static void RefuseSharedTablespaces(DatabaseBackupDetails details, string dataDirectory, List<RecoveryTablespace> tablespaces)
    {
        foreach ((int process, string directory, uint oid, string location) in HostServer.FindTablespaces())
        {
            if (directory != dataDirectory && details.Tablespaces.All(t => t.Oid != oid) &&
                LateTablespaces.SystemIdOf(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/cwd")) == details.SystemId)
            {
                throw Shared(location, string.Create(CultureInfo.InvariantCulture, $"The server (process {process}) in '{directory}'"));
            }
        }

        // One that is stopped lies where the backup's server had it. Where that is the place of the recovery, by whatever path, it goes aside.
        string former = details.DataDirectory;
        List<(uint, string Location)> own = LateTablespaces.Find(dataDirectory, details, tablespaces);
        if (former != dataDirectory && LateTablespaces.SystemIdOf(former) == details.SystemId &&
            LateTablespaces.Find(former, details, tablespaces)
                .Find(late => LateTablespaces.IsUsed(late.Location) && own.All(o => o.Location != late.Location)) is { Location: { } shared })
        {
            throw Shared(shared, $"The data directory '{former}'");
        }
    }

    private static SmcException Shared(string location, string cluster) => Unsuitable(
        location,
        $"{cluster} is of the same cluster and has a tablespace at '{location}' that is younger than the base backup: " +
        "replaying its creation would put a second server's files there.",
        "Use a base backup that was taken after the tablespace was made, recover in the place of that cluster, or recover on another host.");

    private static void RefuseRepositoryIn(string directory, RecoveryRequest request, string fate)
    {
        if (request.Repository.Locations.FirstOrDefault(location =>
            location.StartsWith("file://", StringComparison.Ordinal) && IsWithin(new Uri(location).LocalPath, directory)) is { } within)
        {
            throw Unsuitable(directory, $"The repository at {within} lies in '{directory}' and would be {fate}.", null);
        }
    }

    private static void CheckDelta(
        RecoveryRequest request, string dataDirectory, List<RecoveryTablespace> tablespaces, Manifest manifest)
    {
        foreach (string directory in tablespaces.Select(static t => t.Location).Append(dataDirectory))
        {
            RefuseRepositoryIn(directory, request, "removed");
        }

        RestoreLayout layout = RestoreLayout.Create(
            manifest,
            manifest.Header.Database!,
            new BaseRestoreTarget { DataDirectory = dataDirectory, Tablespaces = tablespaces.ToDictionary(static t => t.Oid, static t => t.Location) });
        if (!DeltaTarget.IsEmpty(dataDirectory))
        {
            DeltaTarget.Check(layout, manifest.Header, request.Force);
        }
    }

    private static void CheckTablespace(RecoveryTablespace tablespace, RecoveryRequest request, List<RecoveryMove> moves)
    {
        if (File.Exists(tablespace.Location))
        {
            throw Unsuitable(tablespace.Location, $"'{tablespace.Location}' is a file.", null);
        }

        if (HostServer.FindServerUsing(tablespace.Location) is { } server)
        {
            throw new SmcException(
                SmcErrorCode.TargetInUse,
                $"A server (process {server}) uses '{tablespace.Location}' for a tablespace.",
                recommendation: $"Give the tablespace '{tablespace.Name}' another place, or stop that server.",
                target: tablespace.Location);
        }

        CheckPlace(tablespace.Location);
        PlanMove(tablespace.Location, request, moves);
    }

    private static List<RecoveryTablespace> MapTablespaces(
        RecoveryRequest request, DatabaseBackupDetails details, string dataDirectory)
    {
        List<RecoveryTablespace> result = [];
        HashSet<string> used = [];
        // One that lies within the data directory (allow_in_place_tablespaces) comes with it.
        foreach (TablespaceDetails tablespace in details.Tablespaces.Where(static t => Path.IsPathRooted(t.Location)))
        {
            string location = Absolute(
                Locate(request, tablespace.Oid, tablespace.Name, tablespace.Location, used) ??
                // Where it was, production has it.
                (request.Isolation is null
                    ? tablespace.Location
                    : Path.Combine(dataDirectory + ".tablespaces", tablespace.Oid.ToString(CultureInfo.InvariantCulture))));
            string? clash = result.Select(static t => t.Location).Append(dataDirectory)
                .FirstOrDefault(other => IsWithin(other, location) || IsWithin(location, other));
            if (clash is not null)
            {
                throw Unsuitable(
                    location,
                    $"The tablespace '{tablespace.Name}' would lie at '{location}', which is, holds or lies in '{clash}'.",
                    "Give every tablespace a directory of its own, outside of the data directory.");
            }

            result.Add(new RecoveryTablespace(tablespace.Oid, tablespace.Name, location));
        }

        return request.Tablespaces.Keys.FirstOrDefault(k => !used.Contains(k)) is { } unknown
            ? throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The backup has no tablespace '{unknown}'.",
                recommendation: result.Count == 0
                    ? "It has none; leave the tablespaces out."
                    : $"It has {string.Join(", ", result.Select(static t => $"'{t.Name}'"))}.")
            : result;
    }

    private static string? Locate(RecoveryRequest request, uint oid, string name, string? location, HashSet<string>? used = null)
    {
        foreach (string? key in new[] { name, oid.ToString(CultureInfo.InvariantCulture), location })
        {
            if (key is not null && request.Tablespaces.TryGetValue(key, out string? place))
            {
                used?.Add(key);
                return Absolute(place);
            }
        }

        return null;
    }

    private static bool IsWithin(string path, string directory) =>
        path == directory || path.StartsWith(directory + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    private static List<RecoverySpace> MeasureSpace(
        string dataDirectory, List<RecoveryTablespace> tablespaces, Manifest manifest, long walBytes, bool delta)
    {
        const string Prefix = "pg_tblspc/";
        Dictionary<string, long> sizes = tablespaces.ToDictionary(
            static t => Prefix + t.Oid.ToString(CultureInfo.InvariantCulture), static _ => 0L);
        long main = 0;
        foreach (ManifestEntry entry in manifest.Entries)
        {
            int end = entry.Path.StartsWith(Prefix, StringComparison.Ordinal) ? entry.Path.IndexOf('/', Prefix.Length) : -1;
            if (end > 0 && sizes.ContainsKey(entry.Path[..end]))
            {
                sizes[entry.Path[..end]] += entry.Size;
            }
            else
            {
                main += entry.Size;
            }
        }

        // What an interrupted run has written already needs no more room, and neither does what is overwritten in place.
        string state = RecoveryState.PathFor(dataDirectory);
        List<(string Path, long Bytes)> needs =
        [
            (dataDirectory, main + (walBytes * 2 > walBytes + WalReserve ? walBytes + WalReserve : walBytes * 2) - FileSystems.SizeOf(state) -
                (delta ? FileSystems.SizeOf(dataDirectory) : 0)),
        ];
        needs.AddRange(tablespaces.Select(t => (
            t.Location, sizes[Prefix + t.Oid.ToString(CultureInfo.InvariantCulture)] - FileSystems.SizeOf(delta ? t.Location : t.NewLocation))));
        return
        [
            .. needs
                .GroupBy(static n => FileSystems.Identity(n.Path))
                .Select(static g => new RecoverySpace(
                    g.First().Path, Math.Max(0, g.Sum(static n => n.Bytes)), FileSystems.Available(g.First().Path))),
        ];
    }

    private static void CheckSpace(List<RecoverySpace> space)
    {
        foreach (RecoverySpace need in space)
        {
            if (need.AvailableBytes < need.RequiredBytes)
            {
                throw new SmcException(
                    SmcErrorCode.DiskSpaceInsufficient,
                    $"The recovery needs {RecoveryPlan.Bytes(need.RequiredBytes)} at '{need.Path}', where {RecoveryPlan.Bytes(need.AvailableBytes)} are free.",
                    target: need.Path);
            }
        }
    }

    private static IEnumerable<string> Warnings(DatabaseBackupDetails details)
    {
        if (CollationComparison.ForeseeMissing(details, CollationComparison.HasLocale) is { } locales)
        {
            yield return locales;
        }

        if (CollationComparison.Foresee(details, CollationComparison.HostLibrary()) is { } collations)
        {
            yield return collations;
        }
    }

    private static SmcException Unsuitable(string path, string message, string? recommendation) =>
        new(SmcErrorCode.TargetUnsuitable, message, recommendation: recommendation, target: path);
}
