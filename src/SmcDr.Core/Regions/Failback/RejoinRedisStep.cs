using System.Globalization;
using SmcDr.Core.Operations;
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
        await KeepRdbAsync(Former, temporary, context.Observer, cancellationToken).ConfigureAwait(false);
        server.GiveToAccount(temporary);
        File.Move(temporary, path, overwrite: true);
        Posix.SyncDirectory(kept.Directory);
        return string.Create(CultureInfo.InvariantCulture, $" It had {keys} keys as a master of its own, which are in '{path}'.");
    }

    /// <summary>Writes all data of a master to a file, and reads that again, since the master's own is overwritten next.</summary>
    /// <exception cref="SmcException">What came, or what is in the file, is not what the server made.</exception>
    internal static async Task KeepRdbAsync(RedisConnector master, string path, IOperationObserver observer, CancellationToken cancellationToken)
    {
        RedisReplication replication = await RedisReplication.OpenAsync(master, observer, cancellationToken).ConfigureAwait(false);
        await using (replication.ConfigureAwait(false))
        {
            FileStream file = new(path, FileMode.Create, FileAccess.Write);
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

        string source = $"Redis at {master.Display}, as it was kept in '{path}',";
        RdbIntegrity integrity = new(source);
        RdbInspector inspector = new(source, observer);
        await using (inspector.ConfigureAwait(false))
        {
            try
            {
                byte[] buffer = new byte[1 << 20];
                FileStream file = File.OpenRead(path);
                await using (file.ConfigureAwait(false))
                {
                    while (await file.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is > 0 and int length)
                    {
                        integrity.Append(buffer.AsSpan(0, length));
                        await inspector.ObserveAsync(buffer.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
                    }
                }

                integrity.Complete();
                await inspector.CompleteAsync(integrity, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.BackupInterrupted or SmcErrorCode.RdbInvalid or SmcErrorCode.VersionUnsupported)
            {
                throw new SmcException(
                    e.Code,
                    e.Message,
                    e,
                    "Nothing of that Redis was overwritten. Run the command again; if it stays, read the server's log, and test its memory, the disk that the " +
                        "file lies on and the network between.",
                    master.Display);
            }
        }
    }
}
