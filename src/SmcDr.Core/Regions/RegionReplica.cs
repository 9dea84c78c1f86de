using System.Diagnostics;
using System.Globalization;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions;

/// <summary>Makes the database and the Redis of a region follow those of the region that leads. Done twice it changes nothing.</summary>
/// <remarks>
/// The standby is made from the repository, so that the primary is asked for a slot and for nothing else. The slot is made first: from then on the primary
/// keeps what the repository does not have yet.
/// </remarks>
public static class RegionReplica
{
    private const string Activity = "Wait for the standby";
    private static readonly TimeSpan s_linkLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_startLimit = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(200);

    /// <summary>Finds out what is to be done. Changes nothing.</summary>
    /// <exception cref="SmcException">It cannot be done; the code says why.</exception>
    public static async Task<RegionReplicaPlan> PlanAsync(
        Site site, SecretResolver secrets, RegionReplicaRequest request, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(secrets);
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(observer);
        RegionSettings leader = site.GetLeader(await site.ReadEpochAsync(request.Repository, cancellationToken).ConfigureAwait(false));
        RegionSettings follower = site.GetFollower(request.Region, leader);
        RegionReplicaPlan plan = new() { Request = request, Leader = leader, Follower = follower };
        if (follower.Database is null && follower.Redis is null)
        {
            throw new SmcException(
                SmcErrorCode.SiteInvalid,
                $"The region '{follower.Name}' has neither a database nor a Redis.",
                recommendation: $"Add 'database' or 'redis' to the region in '{site.Path}'.",
                target: follower.Name);
        }

        if (follower.Database is { } database && leader.Database is not null)
        {
            plan = await PlanDatabaseAsync(plan, site, secrets, database, observer, cancellationToken).ConfigureAwait(false);
        }

        return follower.Redis is not null && leader.Redis is not null && !request.IsDatabaseAlone
            ? await PlanRedisAsync(plan, site, secrets, cancellationToken).ConfigureAwait(false)
            : plan;
    }

    /// <summary>Carries a plan out. Interrupted at whatever moment, it is finished by planning and executing the same request again.</summary>
    public static async Task<IReadOnlyList<RegionReplicaResult>> ExecuteAsync(
        Site site, SecretResolver secrets, RegionReplicaPlan plan, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(observer);
        List<RegionReplicaResult> results = [];
        if (plan.Source is not null)
        {
            results.Add(await FollowDatabaseAsync(site, secrets, plan, observer, cancellationToken).ConfigureAwait(false));
        }

        if (plan.HasRedis)
        {
            results.Add(await RedisFollowing.FollowAsync(site, secrets, plan, observer, cancellationToken).ConfigureAwait(false));
        }

        return results;
    }

    private static async Task<RegionReplicaPlan> PlanDatabaseAsync(
        RegionReplicaPlan plan,
        Site site,
        SecretResolver secrets,
        DatabaseSettings database,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        RegionReplicaRequest request = plan.Request;
        if (database.DataDirectory is null)
        {
            throw new SmcException(
                SmcErrorCode.SiteInvalid,
                database.Workload is null
                    ? $"The region '{plan.Follower.Name}' does not say which data directory its database has."
                    : $"The database of the region '{plan.Follower.Name}' runs in '{database.Workload}'; a standby is made on its own host only.",
                recommendation: $"Run the command on the host of the standby, with 'dataDirectory' in the region's database in '{site.Path}'.",
                target: plan.Follower.Name);
        }

        if (new RegionHost(site).IsElsewhere(plan.Follower))
        {
            throw new SmcException(
                SmcErrorCode.RegionUnsuitable,
                $"'{database.DataDirectory}' on this host is the data directory of another region: the database of '{plan.Follower.Name}' is on its own " +
                    "host.",
                recommendation: $"Run the command on the host of '{plan.Follower.Name}'. If this is that host, its 'connection' in '{site.Path}' must lead " +
                    "to an address of this host.",
                target: plan.Follower.Name);
        }

        string directory = RegionHost.Full(database.DataDirectory);
        PostgresConnector connector = site.CreateConnector(secrets, plan.Leader.Name);
        NpgsqlConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        ulong systemId;
        ServerPosition position;
        StandbySlot? slot;
        string slotName = site.GetStandbySlot(plan.Follower);
        await using (connection.ConfigureAwait(false))
        {
            if (await ServerFacts.ScalarAsync<bool>(connection, "SELECT pg_catalog.pg_is_in_recovery()", cancellationToken).ConfigureAwait(false))
            {
                throw new SmcException(
                    SmcErrorCode.SettingUnsuitable,
                    $"PostgreSQL at {connector.Display}, in the region '{plan.Leader.Name}' that leads, is a standby itself.",
                    recommendation: "Get-SmcRegion (or 'smcdr region list') shows what each region is; correct the connection, or finish the failover " +
                        "that was begun.",
                    target: connector.Display);
            }

            systemId = unchecked((ulong)await ServerFacts.ScalarAsync<long>(
                connection, "SELECT system_identifier FROM pg_catalog.pg_control_system()", cancellationToken).ConfigureAwait(false));
            position = await ServerPosition.ReadAsync(connection, cancellationToken).ConfigureAwait(false);
            slot = await StandbySlot.ReadAsync(connection, slotName, cancellationToken).ConfigureAwait(false);
        }

        StandbySource source = await StandbySource.CreateAsync(
            site, plan.Leader, plan.Follower, connector, systemId, directory, request.Program, cancellationToken).ConfigureAwait(false);
        List<string> changes = [];
        if (slot is null or { State: "lost", IsActive: false })
        {
            changes.Add($"Make the slot '{slotName}' on {connector.Display}.");
        }

        if (source.IsPasswordMissing)
        {
            changes.Add($"Write the password for the primary to '{source.PasswordFile}'.");
        }

        plan = plan with { Source = source, DataDirectory = directory };
        if (await IsStandbyAsync(directory, systemId, cancellationToken).ConfigureAwait(false))
        {
            string version = await File.ReadAllTextAsync(Path.Combine(directory, "PG_VERSION"), cancellationToken).ConfigureAwait(false);
            PostgresPrograms programs = await PostgresPrograms.FindAsync(
                database.BinDirectory, int.Parse(version, CultureInfo.InvariantCulture), cancellationToken).ConfigureAwait(false);
            if (source.IsConfigurationMissing(directory))
            {
                changes.Add($"Change the settings of the standby in '{directory}'.");
            }

            if (!HostServer.IsRunning(directory))
            {
                changes.Add($"Start the standby in '{directory}'.");
            }

            return plan with { Changes = [.. plan.Changes, .. changes], Programs = programs, Account = OsAccount.ForServer(directory, database.OsUser) };
        }

        // What an interrupted run began it goes on with, also where there is a newer backup by now.
        string? begun = RecoveryState.TryRead(directory) is { Phase: not RecoveryPhase.Done, Intent: { Standby: true } intent } ? intent.BackupId : null;
        if (!request.Force && !request.Delta && begun is null && Directory.Exists(directory) &&
            Directory.EnumerateFileSystemEntries(directory).Any())
        {
            throw new SmcException(
                SmcErrorCode.TargetNotEmpty,
                $"The directory '{directory}' is not empty, and what is there is no standby of this database.",
                recommendation: "Add -Delta (--delta) to keep what is right in it and overwrite the rest, or -Force (--force) to move it aside.",
                target: directory);
        }

        RecoveryPlan recovery = await DatabaseRecovery.PlanAsync(
            new RecoveryRequest
            {
                Repository = request.Repository,
                BackupId = request.BackupId ?? begun ?? await FindBackupAsync(request.Repository, systemId, position, cancellationToken).ConfigureAwait(false),
                SystemId = systemId,
                Target = RecoveryTarget.Immediate,
                DataDirectory = directory,
                BinDirectory = database.BinDirectory,
                OsUser = database.OsUser,
                Force = request.Force,
                Delta = request.Delta,
                Parallelism = request.Parallelism,
                Standby = source.Settings,
            },
            observer,
            cancellationToken).ConfigureAwait(false);
        return plan with { Changes = [.. plan.Changes, .. changes], Recovery = recovery, Programs = recovery.Programs, Account = recovery.Account };
    }

    private static async Task<RegionReplicaPlan> PlanRedisAsync(
        RegionReplicaPlan plan, Site site, SecretResolver secrets, CancellationToken cancellationToken)
    {
        (string? change, long keys) = await RedisFollowing.PlanAsync(site, secrets, plan, cancellationToken).ConfigureAwait(false);
        return plan with { HasRedis = true, RedisKeys = keys, Changes = change is null ? plan.Changes : [.. plan.Changes, change] };
    }

    /// <summary>The newest base backup that lies in the history of the primary: one of a region that was fenced off since may not.</summary>
    private static async Task<string> FindBackupAsync(
        Repository repository, ulong systemId, ServerPosition position, CancellationToken cancellationToken)
    {
        BackupHeader? newest = null;
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.Database, cancellationToken).ConfigureAwait(false))
        {
            if (entry.Header is { Database: { } details } header &&
                details.SystemId == FormattableString.Invariant($"{systemId}") &&
                position.Includes(details.Timeline, details.StopLsn) &&
                (newest is null || details.StopTime > newest.Database!.StopTime))
            {
                newest = header;
            }
        }

        return newest?.Id ?? throw new SmcException(
            SmcErrorCode.BackupNotFound,
            $"There is no base backup in {repository.Location} from which a standby could follow the primary, on timeline {position.Timeline}.",
            recommendation: "Take one of the region that leads: Backup-SmcDatabase (or 'smcdr backup database').",
            target: repository.Location);
    }

    private static async Task<bool> IsStandbyAsync(string directory, ulong systemId, CancellationToken cancellationToken) =>
        RecoveryState.TryRead(directory) is null or { Phase: RecoveryPhase.Done } &&
        File.Exists(Path.Combine(directory, RecoveryConfiguration.StandbySignalName)) &&
        File.Exists(Path.Combine(directory, ControlFile.RelativePath)) &&
        (await ControlFile.ReadAsync(directory, cancellationToken).ConfigureAwait(false)).SystemId == systemId;

    private static async Task<RegionReplicaResult> FollowDatabaseAsync(
        Site site, SecretResolver secrets, RegionReplicaPlan plan, IOperationObserver observer, CancellationToken cancellationToken)
    {
        long begin = Stopwatch.GetTimestamp();
        StandbySource source = plan.Source!;
        string directory = plan.DataDirectory!;
        string slot = site.GetStandbySlot(plan.Follower);
        List<string> changes = [];
        PostgresConnector primary = site.CreateConnector(secrets, plan.Leader.Name);
        if (plan.Recovery is { Backup: { Database: { } details } } && source.RestoreCommand.Length > 0)
        {
            await source.CheckRestoreCommandAsync(
                plan.Account,
                WalSegmentName.Containing(details.StartLsn, details.Timeline, details.WalSegmentSize).ToString(),
                details.WalSegmentSize,
                cancellationToken).ConfigureAwait(false);
        }

        if (await StandbySlot.EnsureAsync(primary, slot, cancellationToken).ConfigureAwait(false) is { } made)
        {
            changes.Add(made);
        }

        if (source.IsPasswordMissing)
        {
            source.WritePassword(plan.Account);
            changes.Add($"The password for the primary was written to '{source.PasswordFile}'.");
        }

        RecoveryResult? recovery = null;
        HostServer server = new(plan.Programs!, directory, plan.Account?.Name);
        if (plan.Recovery is not null)
        {
            recovery = await DatabaseRecovery.ExecuteAsync(plan.Recovery, observer, cancellationToken).ConfigureAwait(false);
            RecoveryState.DeleteDirectory(RecoveryState.PathFor(directory));
            changes.Add($"The standby in '{directory}' was made from the base backup {recovery.BackupId}.");
        }
        else
        {
            if (source.IsConfigurationMissing(directory))
            {
                source.WriteConfiguration(directory, plan.Account);
                changes.Add($"The settings of the standby in '{directory}' were changed.");
                if (server.FindRunning() is not null)
                {
                    await server.RunAsync("pg_ctl", ["reload", "-s", "-D", directory], cancellationToken).ConfigureAwait(false);
                }
            }

            if (server.FindRunning() is null)
            {
                await server.StartAsync(null, null, s_startLimit, cancellationToken).ConfigureAwait(false);
                changes.Add($"The standby in '{directory}' was started.");
            }
        }

        DatabaseSighting standby;
        try
        {
            standby = await WaitForLinkAsync(site.CreateConnector(secrets, plan.Follower.Name), slot, observer, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            observer.Progress(new OperationProgress(Activity, "") { IsCompleted = true });
        }

        return new RegionReplicaResult
        {
            Region = plan.Follower.Name,
            Source = plan.Leader.Name,
            Component = nameof(Component.Database),
            State = recovery is not null ? "Created" : changes.Count > 0 ? "Changed" : "Unchanged",
            Changes = changes,
            Server = standby.Server,
            DataDirectory = directory,
            PreviousDataDirectory = recovery?.PreviousDataDirectory,
            BackupId = recovery?.BackupId,
            FetchedBytes = recovery?.FetchedBytes,
            KeptBytes = recovery?.KeptBytes,
            Slot = slot,
            Link = standby.IsStreaming ? "Streaming" : "Archive",
            Duration = Stopwatch.GetElapsedTime(begin),
        };
    }

    /// <summary>Waits until the standby answers, and for a moment until it hears its primary: it goes through the archive first.</summary>
    private static async Task<DatabaseSighting> WaitForLinkAsync(
        PostgresConnector connector, string slot, IOperationObserver observer, CancellationToken cancellationToken)
    {
        Stopwatch watch = Stopwatch.StartNew();
        using PeriodicTimer timer = new(s_poll);
        Lsn last = Lsn.Zero;
        while (true)
        {
            DatabaseSighting standby = await DatabaseSighting.LookAsync(connector, RegionInspection.Patience, cancellationToken).ConfigureAwait(false);
            if (standby.IsStreaming)
            {
                return standby;
            }

            if (standby is { IsReachable: true, IsStandby: false })
            {
                throw new SmcException(
                    SmcErrorCode.VerificationFailed, $"PostgreSQL at {connector.Display} should be a standby and takes writes.", target: connector.Display);
            }

            if (standby.Lsn > last)
            {
                // What it has to replay first may be a week's WAL.
                last = standby.Lsn;
                watch.Restart();
            }
            else if (watch.Elapsed > s_linkLimit)
            {
                if (!standby.IsReachable)
                {
                    throw new SmcException(
                        SmcErrorCode.ServerUnavailable,
                        $"The standby was started and cannot be asked: {standby.Problem}",
                        recommendation: "Check 'connection' of the region in the site file, and the log of the server.",
                        target: connector.Display);
                }

                observer.Warning(
                    $"The standby at {connector.Display} does not hear its primary after {DisplayText.Duration(s_linkLimit)}, and takes its WAL from " +
                        "the repository. " +
                    $"Check that the primary's pg_hba.conf lets this host in for replication, and the log of the standby; the slot is '{slot}'.");
                return standby;
            }

            observer.Progress(new OperationProgress(Activity, standby.Problem ?? $"replayed up to {standby.Lsn}"));
            await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
