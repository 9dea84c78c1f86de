using System.Diagnostics;
using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Redis;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions;

/// <summary>Makes the Redis of a region a replica of another region's.</summary>
internal static class RedisFollowing
{
    private const string Activity = "Wait for the replica";
    private static readonly TimeSpan s_linkLimit = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(200);

    /// <summary>What is to be done, in a sentence, null where nothing is; and how many keys the server would lose by it.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetNotEmpty"/>: it has keys of its own.</exception>
    public static async Task<(string? Change, long Keys)> PlanAsync(
        Site site, SecretResolver secrets, RegionReplicaPlan plan, CancellationToken cancellationToken)
    {
        RedisConnector master = GetMaster(site, secrets, plan.Leader);
        RedisConnector own = site.CreateRedisConnector(secrets, plan.Follower.Name);
        RedisConnection connection = await own.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            RedisInfo info = await RedisSource.ReadInfoAsync(connection, cancellationToken).ConfigureAwait(false);
            if (Follows(info, master))
            {
                return (null, 0);
            }

            long keys = info.IsMaster ? info.Databases.Sum(static database => database.Keys) : 0;
            if (keys > 0 && !plan.Request.Force)
            {
                throw new SmcException(
                    SmcErrorCode.TargetNotEmpty,
                    $"Redis at {own.Display} is a master and has {keys} keys of its own, which a replica of {master.Display} loses.",
                    recommendation: "Add -Force (--force) where they are not needed; Backup-SmcRedis keeps them.",
                    target: own.Display);
            }

            return ($"Make Redis at {own.Display} a replica of {master.Display}{(keys > 0 ? $": its {keys} keys go" : "")}.", keys);
        }
    }

    /// <summary>Does it, where it is not so, and waits for the data.</summary>
    public static async Task<RegionReplicaResult> FollowAsync(
        Site site, SecretResolver secrets, RegionReplicaPlan plan, IOperationObserver observer, CancellationToken cancellationToken)
    {
        long begin = Stopwatch.GetTimestamp();
        RedisConnector master = GetMaster(site, secrets, plan.Leader);
        RedisConnector own = site.CreateRedisConnector(secrets, plan.Follower.Name);
        List<string> changes = [];
        bool isUp;
        RedisConnection connection = await own.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            RedisInfo info = await RedisSource.ReadInfoAsync(connection, cancellationToken).ConfigureAwait(false);
            if (!Follows(info, master) || !info.IsLinkUp)
            {
                await FollowAsync(site, secrets, connection, master, plan.Leader, observer, cancellationToken).ConfigureAwait(false);
                changes.Add(Follows(info, master)
                    ? $"Redis at {own.Display} was told again to follow {master.Display}, which it did not hear."
                    : $"Redis at {own.Display} was made a replica of {master.Display}.");
            }

            try
            {
                isUp = await WaitForLinkAsync(connection, own, observer, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                observer.Progress(new OperationProgress(Activity, "") { IsCompleted = true });
            }
        }

        if (!isUp)
        {
            observer.Warning(
                $"Redis at {own.Display} does not hear its master at {master.Display} after {DisplayText.Duration(s_linkLimit)}: check that it can " +
                    "reach it, and its log.");
        }

        return new RegionReplicaResult
        {
            Region = plan.Follower.Name,
            Source = plan.Leader.Name,
            Component = nameof(Component.Redis),
            State = changes.Count > 0 ? "Changed" : "Unchanged",
            Changes = changes,
            Server = own.Display,
            Link = isUp ? "Up" : "Down",
            Duration = Stopwatch.GetElapsedTime(begin),
        };
    }

    /// <summary>Makes a server the replica of another, which it can reach by the same address as we.</summary>
    public static async Task FollowAsync(
        Site site,
        SecretResolver secrets,
        RedisConnection connection,
        RedisConnector master,
        RegionSettings leader,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        RedisSettings settings = leader.Redis!;
        // All of them: what is left from another master, a user that this one has not or TLS that it does not speak, keeps the link down for ever.
        string password = settings.Password is { } reference
            ? await secrets.Of(leader).ResolveAsync(reference, cancellationToken).ConfigureAwait(false)
            : "";
        await connection.ExecuteAsync(new RedisCommand("CONFIG", "SET", "masterauth", password), cancellationToken).ConfigureAwait(false);
        await connection.ExecuteAsync(new RedisCommand("CONFIG", "SET", "masteruser", settings.Username ?? ""), cancellationToken).ConfigureAwait(false);
        RedisCommand tls = new("CONFIG", "SET", "tls-replication", settings.Tls ? "yes" : "no");
        RedisReply answer = await connection.TryExecuteAsync(tls, cancellationToken).ConfigureAwait(false);
        if (answer.IsError && (settings.Tls || !IsUnknownSetting(answer)))
        {
            throw connection.Translate(answer, tls.Name);
        }

        await connection.ExecuteAsync(
            new RedisCommand("REPLICAOF", master.Host, master.Port.ToString(CultureInfo.InvariantCulture)), cancellationToken).ConfigureAwait(false);
        await RewriteAsync(connection, $"the next start of the site '{site.Name}' finds it as it was", observer, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Whether a server has no such setting, as one that was built without TLS has none of that (redis 6.2 and 7, config.c).</summary>
    private static bool IsUnknownSetting(RedisReply answer) =>
        answer.Text.StartsWith("ERR Unsupported CONFIG parameter", StringComparison.OrdinalIgnoreCase) ||
        answer.Text.StartsWith("ERR Unknown option", StringComparison.OrdinalIgnoreCase);

    /// <summary>Has a server keep what it was told while it runs; one that was started without a configuration file cannot.</summary>
    public static async Task RewriteAsync(RedisConnection connection, string otherwise, IOperationObserver observer, CancellationToken cancellationToken)
    {
        RedisReply answer = await connection.TryExecuteAsync(new RedisCommand("CONFIG", "REWRITE"), cancellationToken).ConfigureAwait(false);
        if (answer.IsError)
        {
            observer.Warning($"Redis at {connection.Display} cannot write its configuration, so {otherwise}: {RedisErrors.Clean(answer.Text)}.");
        }
    }

    /// <summary>Why a server cannot follow that of a region, in a sentence; null where it can.</summary>
    public static string? FindAddressProblem(RegionSettings leader) => leader is { Redis.Workload: { } workload, Kubernetes.PortForward: not false }
        ? $"Redis of the region '{leader.Name}' is reached through '{workload}' by a forwarded port, and a replica needs an address that lasts."
        : null;

    /// <summary>Whether a server that says this is a replica of another.</summary>
    public static bool Follows(RedisInfo info, RedisConnector master) =>
        !info.IsMaster && info["master_host"] == master.Host && info.Number("master_port") == master.Port;

    private static RedisConnector GetMaster(Site site, SecretResolver secrets, RegionSettings leader) => FindAddressProblem(leader) is { } problem
        ? throw new SmcException(
            SmcErrorCode.SiteInvalid,
            problem,
            recommendation: "Give it a Service that can be reached from the replica, name it as its endpoint, and set 'portForward: false' under " +
                $"the region's kubernetes in '{site.Path}'.",
            target: leader.Name)
        : site.CreateRedisConnector(secrets, leader.Name);

    private static async Task<bool> WaitForLinkAsync(
        RedisConnection connection, RedisConnector own, IOperationObserver observer, CancellationToken cancellationToken)
    {
        Stopwatch watch = Stopwatch.StartNew();
        using PeriodicTimer timer = new(s_poll);
        while (watch.Elapsed < s_linkLimit)
        {
            RedisInfo info = await RedisSource.ReadInfoAsync(connection, cancellationToken).ConfigureAwait(false);
            if (info.IsLinkUp)
            {
                return true;
            }

            if (info.Number("master_sync_in_progress") is > 0)
            {
                // Data comes, however much it is.
                watch.Restart();
            }

            observer.Progress(new OperationProgress(Activity, own.Display));
            await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false);
        }

        return false;
    }
}
