using Npgsql;
using SmcDr.Core.Dns;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Leases;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions;

/// <summary>Finds out how the regions of a site are. Nothing is changed, and what does not answer is a finding.</summary>
public static class RegionInspection
{
    /// <summary>How long one server may take to answer: whoever asks often does so because one is down.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Looks at all regions, or at one.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives passwords and keys.</param>
    /// <param name="name">The region; null = all.</param>
    /// <param name="observer">Hears of the work.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: the site has no such region.</exception>
    public static async Task<IReadOnlyList<RegionInfo>> LookAsync(
        Site site, SecretResolver secrets, string? name, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(secrets);
        ArgumentNullException.ThrowIfNull(observer);
        RegionSettings? wanted = name is null ? null : site.GetRegion(name);
        (Repository? repository, FencingEpoch? epoch, string? storage) = await OpenAsync(site, secrets, cancellationToken).ConfigureAwait(false);
        (IReadOnlyList<string>? led, string? dns) = await ReadDnsAsync(site, observer, cancellationToken).ConfigureAwait(false);
        RegionSettings leader = site.GetLeader(epoch);

        // The one that leads first: what a standby has is then never less than what it was said to lack.
        DatabaseSighting? primary = await LookAsync(leader, secrets, cancellationToken).ConfigureAwait(false);
        RegionInfo[] infos = await Task.WhenAll(site.Regions.Values
            .Where(region => wanted is null || region.Name == wanted.Name)
            .Select(async region =>
            {
                bool leads = region.Name == leader.Name;
                DatabaseSighting? database = leads ? primary : await LookAsync(region, secrets, cancellationToken).ConfigureAwait(false);
                List<string> problems = [];
                List<string> obstacles = [];
                if (storage is not null)
                {
                    (leads ? problems : obstacles).Add(storage);
                }

                if (dns is not null)
                {
                    problems.Add(dns);
                }

                RegionRole role = leads ? RegionRole.Primary : RegionRole.Standby;
                if (role != region.Role)
                {
                    problems.Add(
                        $"The site file calls it {(region.Role == RegionRole.Primary ? "primary" : "standby")}, and the site is in " +
                            $"{epoch!.Describe()}. Commands go by that; correct the roles in the file unless the site is led back soon.");
                }

                RegionInfo info = new()
                {
                    Name = region.Name,
                    Role = role.ToString(),
                    FileRole = region.Role.ToString(),
                    ActualRole = database is null ? "None" : !database.IsReachable ? "Unreachable" : database.IsStandby ? "Standby" : "Primary",
                    Fencing = storage is not null ? "Unknown" : epoch is null ? "Open" : leads ? "Leads" : "Fenced",
                    Epoch = epoch?.Number,
                    DnsLeadsHere = led?.Contains(region.Name),
                    Time = DateTimeOffset.UtcNow,
                };
                info = await AddRedisAsync(info, site, region, secrets, problems, leads, cancellationToken).ConfigureAwait(false);
                info = await AddClusterAsync(info, site, region, problems, obstacles, observer, cancellationToken).ConfigureAwait(false);
                if (database is not null)
                {
                    info = Add(info, database, problems);
                }

                if (leads)
                {
                    if (database is { IsReachable: true, IsStandby: true })
                    {
                        problems.Add("The region leads, and its database is a standby: no database takes writes.");
                    }

                    return info with { Problems = problems };
                }

                if (leader.Database is not null)
                {
                    info = await CompareAsync(
                        info, site, region, leader, secrets, database, primary!, repository, obstacles, problems, cancellationToken).ConfigureAwait(false);
                }

                return info with { CanTakeOver = obstacles.Count == 0, Obstacles = obstacles, Problems = problems };
            })).ConfigureAwait(false);
        return infos;
    }

    /// <summary>Where the WAL ends that the repository has from a position of a timeline on; null where it cannot be told.</summary>
    internal static async Task<Lsn?> FindArchiveEndAsync(
        Repository repository, DatabaseSighting standby, CancellationToken cancellationToken) => standby.Timeline == 0
            ? null
            : (await new WalArchive(repository, standby.SystemId)
                .GetCoverageAsync(standby.Timeline, standby.Lsn, null, cancellationToken).ConfigureAwait(false)).LastRecordEnd;

    /// <summary>Why a region's database cannot be promoted now, each a sentence.</summary>
    internal static IEnumerable<string> FindObstacles(RegionSettings region, DatabaseSighting? database, DatabaseSighting? primary)
    {
        if (database is null)
        {
            yield return $"The region '{region.Name}' has no database.";
            yield break;
        }

        if (!database.IsReachable)
        {
            yield return database.Problem!;
            yield break;
        }

        if (!database.IsStandby)
        {
            yield return $"PostgreSQL at {database.Server} is a primary of its own, on timeline {database.Timeline}, and follows nobody. " +
                "Start-SmcRegionFailback (or 'smcdr region failback') on its host keeps what it alone has, and makes a standby of it.";
            yield break;
        }

        if (primary is { IsReachable: true } && primary.SystemId != database.SystemId)
        {
            yield return $"PostgreSQL at {database.Server} is the database cluster {database.SystemId}, and the primary is {primary.SystemId}.";
        }

        if (database.IsPaused)
        {
            yield return $"Replay at {database.Server} is paused: SELECT pg_wal_replay_resume() lets it go on.";
        }

        if (database.ApplyDelay > TimeSpan.Zero)
        {
            yield return $"The standby at {database.Server} replays {DisplayText.Duration(database.ApplyDelay)} late on purpose (recovery_min_apply_delay).";
        }
    }

    private static async Task<(Repository? Repository, FencingEpoch? Epoch, string? Problem)> OpenAsync(
        Site site, SecretResolver secrets, CancellationToken cancellationToken)
    {
        try
        {
            Repository repository = await site.OpenRepositoryAsync(secrets, cancellationToken).ConfigureAwait(false);
            return (repository, await site.ReadEpochAsync(repository, cancellationToken).ConfigureAwait(false), null);
        }
        catch (SmcException e)
        {
            return (null, null, $"The repository cannot be read, so nobody can say which region leads: {e.Message}");
        }
    }

    private static async Task<(IReadOnlyList<string>? Regions, string? Problem)> ReadDnsAsync(
        Site site, IOperationObserver observer, CancellationToken cancellationToken)
    {
        if (site.Dns is null)
        {
            return (null, null);
        }

        try
        {
            using DnsRecords records = site.CreateDns(observer);
            return ([.. (await site.ReadDnsAsync(records, null, null, askServers: false, cancellationToken).ConfigureAwait(false))
                .Select(static record => record.Region).OfType<string>()], null);
        }
        catch (SmcException e)
        {
            return (null, $"Where the DNS record leads to cannot be told: {e.Message}");
        }
    }

    private static async Task<DatabaseSighting?> LookAsync(RegionSettings region, SecretResolver secrets, CancellationToken cancellationToken) =>
        region.Database is { } database
            ? await DatabaseSighting.LookAsync(database.CreateConnector(region, secrets), Patience, cancellationToken).ConfigureAwait(false)
            : null;

    private static RegionInfo Add(RegionInfo info, DatabaseSighting database, List<string> problems)
    {
        if (!database.IsReachable)
        {
            problems.Add(database.Problem!);
            return info with { DatabaseServer = database.Server };
        }

        if (database is { IsStandby: false, IsReadOnly: true })
        {
            problems.Add($"PostgreSQL at {database.Server} takes no writes by default (default_transaction_read_only).");
        }

        return info with
        {
            DatabaseServer = database.Server,
            SystemId = FormattableString.Invariant($"{database.SystemId}"),
            Timeline = (int)database.Timeline,
            Lsn = database.Lsn.ToString(),
            ReceivedLsn = database.ReceivedLsn?.ToString(),
            Replication = !database.IsStandby ? null : database.IsStreaming ? "Streaming" : "Archive",
        };
    }

    private static async Task<RegionInfo> AddRedisAsync(
        RegionInfo info,
        Site site,
        RegionSettings region,
        SecretResolver secrets,
        List<string> problems,
        bool leads,
        CancellationToken cancellationToken)
    {
        if (region.Redis is null)
        {
            return info;
        }

        RedisSighting redis = await RedisSighting
            .LookAsync(site.CreateRedisConnector(secrets, region.Name), Patience, cancellationToken).ConfigureAwait(false);
        if (redis.Info is not { } said)
        {
            problems.Add(redis.Problem!);
            return info with { RedisServer = redis.Server, RedisRole = "Unreachable" };
        }

        if (said.IsMaster != leads)
        {
            problems.Add(leads
                ? $"The region leads, and Redis at {redis.Server} is a replica."
                : $"Redis at {redis.Server} is a master of its own: it has none of the changes of the region that leads.");
        }
        else if (!leads && !said.IsLinkUp)
        {
            problems.Add($"Redis at {redis.Server} does not hear its master.");
        }

        return info with
        {
            RedisServer = redis.Server,
            RedisRole = said.IsMaster ? "Master" : "Replica",
            RedisLinkUp = said.IsMaster ? null : said.IsLinkUp,
        };
    }

    private static async Task<RegionInfo> AddClusterAsync(
        RegionInfo info,
        Site site,
        RegionSettings region,
        List<string> problems,
        List<string> obstacles,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        if (region.Kubernetes is not { } settings)
        {
            return info;
        }

        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        string problem;
        try
        {
            using KubernetesClient client = await settings.ConnectAsync(observer, limit.Token).ConfigureAwait(false);
            await client.GetVersionAsync(limit.Token).ConfigureAwait(false);
            return info with { ClusterReachable = true };
        }
        catch (SmcException e)
        {
            problem = e.Message;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            problem = $"The cluster did not answer within {DisplayText.Duration(Patience)}.";
        }

        // Without it nobody could start the writers there.
        (site.Writers.Count > 0 ? obstacles : problems).Add(problem);
        return info with { ClusterReachable = false };
    }

    private static async Task<RegionInfo> CompareAsync(
        RegionInfo info,
        Site site,
        RegionSettings region,
        RegionSettings leader,
        SecretResolver secrets,
        DatabaseSighting? database,
        DatabaseSighting primary,
        Repository? repository,
        List<string> obstacles,
        List<string> problems,
        CancellationToken cancellationToken)
    {
        obstacles.AddRange(FindObstacles(region, database, primary));
        // What keeps it from being asked was said already.
        problems.RemoveAll(obstacles.Contains);
        bool isPrimaryKnown = primary is { IsReachable: true, IsStandby: false };
        if (isPrimaryKnown)
        {
            info = await AddSlotAsync(
                info, leader.Database!.CreateConnector(leader, secrets), database?.Slot ?? site.GetStandbySlot(region), problems, cancellationToken)
                .ConfigureAwait(false);
        }

        if (database is not { IsReachable: true, IsStandby: true })
        {
            return info;
        }

        if (!database.IsStreaming)
        {
            problems.Add(database.HasRestoreCommand
                ? $"The standby at {database.Server} has no connection to its primary, and takes its WAL from the repository."
                : $"The standby at {database.Server} has no connection to its primary, and no restore_command either: it falls behind. " +
                    "Initialize-SmcRegionReplica (or 'smcdr region init') gives it one.");
        }

        Lsn? end = isPrimaryKnown && primary.SystemId == database.SystemId ? primary.Lsn : database.PrimaryLsn;
        long? lag = end is { } last ? Math.Max(0, last - database.Lsn) : null;
        info = info with
        {
            LagBytes = lag,
            LagSeconds = lag == 0 ? 0 : database.ReplayedTime is { } time ? Math.Max(0, (database.ServerTime - time).TotalSeconds) : null,
        };
        Lsn reachable = database.ReachableLsn;
        try
        {
            if (repository is not null && await FindArchiveEndAsync(repository, database, cancellationToken).ConfigureAwait(false) is { } archived)
            {
                // Without a restore_command what only the repository has does not come to the standby by itself.
                reachable = archived > reachable && database.HasRestoreCommand ? archived : reachable;
            }
        }
        catch (SmcException e)
        {
            problems.Add($"What the repository has of the WAL cannot be told: {e.Message}");
        }

        return isPrimaryKnown ? info with { LossBytes = Math.Max(0, primary.Lsn - reachable) } : info;
    }

    private static async Task<RegionInfo> AddSlotAsync(
        RegionInfo info, PostgresConnector primary, string slot, List<string> problems, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        try
        {
            NpgsqlConnection connection = await primary.WithTimeout(Patience).OpenAsync(limit.Token).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                if (await StandbySlot.ReadAsync(connection, slot, limit.Token).ConfigureAwait(false) is { } found)
                {
                    if (found.State is "lost" or "unreserved")
                    {
                        problems.Add($"The slot '{slot}' on {primary.Display} is {found.State}: WAL that the standby lacks comes from the repository alone.");
                    }

                    return info with { Slot = slot, SlotState = found.State };
                }
            }
        }
        catch (Exception e) when (e is SmcException or NpgsqlException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            problems.Add($"The slot '{slot}' on {primary.Display} cannot be asked for: {primary.Translate(e).Message}");
        }

        return info;
    }
}
