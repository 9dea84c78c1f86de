using System.Diagnostics;
using SmcDr.Core.Plans;
using SmcDr.Core.Redis;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Makes the Redis of the new region a master.</summary>
internal sealed class PromoteRedisStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Make Redis a master", work.To.Redis!.Endpoint, after)
{
    public const string StepKey = "promote-redis";
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(100);

    public override string Describe() => Intent.Planned
        ? $"Waits until it has all changes of '{Intent.From}', and makes it a master."
        : "Makes it a master, with the changes that it has received.";

    public override async Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken)
    {
        RedisSighting there = await RedisSighting.LookAsync(NewRedis, RegionInspection.Patience, cancellationToken).ConfigureAwait(false);
        return there.Info is not { } info ? throw new SmcException(SmcErrorCode.ServerUnavailable, there.Problem!, target: there.Server)
            : info.IsMaster ? StepCheck.AlreadyDone("It is a master.")
            : StepCheck.Needed;
    }

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        string lag = "";
        RedisConnection connection = await NewRedis.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            if (Intent.Planned)
            {
                lag = await CatchUpAsync(connection, context, cancellationToken).ConfigureAwait(false)
                    ? ", with all changes of the old one"
                    : ", with the changes that the old one had when it was looked at; what was written to that since is lost, as it could not be paused";
            }

            await connection.ExecuteAsync(new RedisCommand("REPLICAOF", "NO", "ONE"), cancellationToken).ConfigureAwait(false);
            await RedisFollowing.RewriteAsync(connection, "it would follow its old master after a restart", context.Observer, cancellationToken)
                .ConfigureAwait(false);
        }

        return $"It is a master{lag}.";
    }

    public override async Task VerifyAsync(StepContext context, CancellationToken cancellationToken)
    {
        RedisSighting there = await RedisSighting.LookAsync(NewRedis, RegionInspection.Patience, cancellationToken).ConfigureAwait(false);
        if (there.Info is not { IsMaster: true })
        {
            throw new SmcException(SmcErrorCode.VerificationFailed, there.Problem ?? $"Redis at {there.Server} is a replica still.", target: there.Server);
        }
    }

    private RedisConnector NewRedis => Work.Site.CreateRedisConnector(Work.Context.Secrets, Intent.To);

    /// <returns>Whether nobody could write to the old master meanwhile.</returns>
    private async Task<bool> CatchUpAsync(RedisConnection replica, StepContext context, CancellationToken cancellationToken)
    {
        RedisConnector old = Work.Site.CreateRedisConnector(Work.Context.Secrets, Intent.From);
        RedisConnection master = await old.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (master.ConfigureAwait(false))
        {
            // Whoever writes waits, until this is over or the time is.
            RedisReply paused = await master.TryExecuteAsync(
                new RedisCommand("CLIENT", "PAUSE", (long)s_pause.TotalMilliseconds, "WRITE"), cancellationToken).ConfigureAwait(false);
            if (paused.IsError)
            {
                context.Observer.Warning(
                    $"Writes to Redis at {old.Display} could not be paused: {RedisErrors.Clean(paused.Text)}. What clients write there from now on is lost, " +
                        "except where they are writers of the site, which are stopped. To have it paused, run on that server: ACL SETUSER <user> +client|pause.");
            }

            Stopwatch watch = Stopwatch.StartNew();
            using PeriodicTimer timer = new(s_poll);
            while (true)
            {
                // The master first: what it has grown by since, such as a PING, carries no data once nobody writes.
                long? wanted = (await RedisSource.ReadInfoAsync(master, cancellationToken).ConfigureAwait(false)).Offset;
                RedisInfo info = await RedisSource.ReadInfoAsync(replica, cancellationToken).ConfigureAwait(false);
                if (info.IsLinkUp && info.Number("slave_repl_offset") >= wanted)
                {
                    return !paused.IsError;
                }

                if (watch.Elapsed > s_patience)
                {
                    throw new SmcException(
                        SmcErrorCode.RegionUnsuitable,
                        $"Redis at {replica.Display} does not get all changes of its master at {old.Display}.",
                        recommendation: "See INFO replication on both. Without -Planned (--planned) it becomes a master with what it has.",
                        target: Intent.To);
                }

                await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }
}
