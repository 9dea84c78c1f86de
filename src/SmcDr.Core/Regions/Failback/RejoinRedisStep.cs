using System.Globalization;
using SmcDr.Core.Plans;
using SmcDr.Core.Platform;
using SmcDr.Core.Redis;
using SmcDr.Core.Recovery;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions.Failback;

/// <summary>Makes the Redis of the former region a replica of the one that leads. What it has of its own is kept as an RDB before.</summary>
internal sealed class RejoinRedisStep(FailbackWork work, params string[] after)
    : FailbackStep(work, StepKey, "Make the former Redis a replica", work.Former.Redis!.Endpoint, after)
{
    public const string StepKey = "rejoin-redis";
    public const string FileName = "redis.rdb";

    public override string Describe() => $"Keeps what it has of its own as a file, and has it follow that of '{Work.Leader.Name}'.";

    public override async Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken)
    {
        RedisSighting there = await RedisSighting.LookAsync(Former, RegionInspection.Patience, cancellationToken).ConfigureAwait(false);
        return there.Info is not { } info ? throw new SmcException(SmcErrorCode.ServerUnavailable, there.Problem!, target: there.Server)
            : RedisFollowing.Follows(info, Leader) && info.IsLinkUp ? StepCheck.AlreadyDone("It follows.")
            : StepCheck.Needed;
    }

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        string kept = await KeepAsync(context, cancellationToken).ConfigureAwait(false);
        RegionReplicaPlan plan = new()
        {
            // Only what is kept above is lost by it.
            Request = new RegionReplicaRequest { Repository = Work.Context.Repository, Program = [], Force = true },
            Leader = Work.Leader,
            Follower = Work.Former,
        };
        RegionReplicaResult result = await RedisFollowing.FollowAsync(
            Work.Site, Work.Context.Secrets, plan, context.Observer, cancellationToken).ConfigureAwait(false);
        return result.Link == "Up"
            ? $"It follows {Leader.Display}.{kept}"
            : throw new SmcException(
                SmcErrorCode.RegionUnsuitable, $"Redis at {Former.Display} does not hear its master at {Leader.Display}.", target: Work.Former.Name);
    }

    private RedisConnector Former => Work.Site.CreateRedisConnector(Work.Context.Secrets, Work.Former.Name);

    private RedisConnector Leader => Work.Site.CreateRedisConnector(Work.Context.Secrets, Work.Leader.Name);

    private async Task<string> KeepAsync(StepContext context, CancellationToken cancellationToken)
    {
        RedisSighting there = await RedisSighting.LookAsync(Former, RegionInspection.Patience, cancellationToken).ConfigureAwait(false);
        long keys = there.Info is { IsMaster: true } info ? info.Databases.Sum(static database => database.Keys) : 0;
        if (keys == 0)
        {
            return "";
        }

        HostServer server = await Work.OpenServerAsync(cancellationToken).ConfigureAwait(false);
        KeptLoss kept = context.GetOutput(KeepLostStep.StepKey, RegionFailbackJson.Default.KeptLoss) ??
            context.GetSaved(RegionFailbackJson.Default.KeptLoss) ?? new KeptLoss(Work.NewKeptDirectory(), null, null);
        await context.SaveAsync(kept, RegionFailbackJson.Default.KeptLoss, cancellationToken).ConfigureAwait(false);
        server.CreateOwnedDirectory(kept.Directory);
        string path = Path.Combine(kept.Directory, FileName);
        string temporary = path + ".tmp";
        RedisReplication replication = await RedisReplication.OpenAsync(Former, context.Observer, cancellationToken).ConfigureAwait(false);
        await using (replication.ConfigureAwait(false))
        {
            FileStream file = new(temporary, FileMode.Create, FileAccess.Write);
            await using (file.ConfigureAwait(false))
            {
                RdbPayload payload = await replication.ReadPayloadAsync(cancellationToken).ConfigureAwait(false);
                await using (payload.ConfigureAwait(false))
                {
                    await payload.CopyToAsync(file, cancellationToken).ConfigureAwait(false);
                }

                file.Flush(flushToDisk: true);
            }
        }

        server.GiveToAccount(temporary);
        File.Move(temporary, path, overwrite: true);
        Posix.SyncDirectory(kept.Directory);
        return string.Create(CultureInfo.InvariantCulture, $" It had {keys} keys as a master of its own, which are in '{path}'.");
    }
}
