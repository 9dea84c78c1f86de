using SmcDr.Core.Plans;
using SmcDr.Core.Redis;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Makes the old Redis a replica of the new one.</summary>
internal sealed class FollowRedisStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Make the old Redis a replica", work.From.Redis!.Endpoint, after)
{
    public const string StepKey = "follow-redis";

    public override string Describe() => $"Has it follow that of '{Intent.To}'.";

    public override async Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken)
    {
        if (RedisFollowing.FindAddressProblem(Work.To) is { } problem)
        {
            context.Observer.Warning($"{problem} The old one stays a master: stop what writes to it.");
            return StepCheck.Skip(problem);
        }

        RedisSighting there = await RedisSighting.LookAsync(OldRedis, RegionInspection.Patience, cancellationToken).ConfigureAwait(false);
        return there.Info is not { } info ? throw new SmcException(SmcErrorCode.ServerUnavailable, there.Problem!, target: there.Server)
            : RedisFollowing.Follows(info, NewRedis) ? StepCheck.AlreadyDone("It follows.")
            : StepCheck.Needed;
    }

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        RedisConnection connection = await OldRedis.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            await RedisFollowing.FollowAsync(
                Work.Site, Work.Context.Secrets, connection, NewRedis, Work.To, context.Observer, cancellationToken).ConfigureAwait(false);
            // Who was held up is told now that it takes no writes.
            await connection.TryExecuteAsync(new RedisCommand("CLIENT", "UNPAUSE"), cancellationToken).ConfigureAwait(false);
        }

        return $"It follows {NewRedis.Display}.";
    }

    private RedisConnector OldRedis => Work.Site.CreateRedisConnector(Work.Context.Secrets, Intent.From);

    private RedisConnector NewRedis => Work.Site.CreateRedisConnector(Work.Context.Secrets, Intent.To);
}
