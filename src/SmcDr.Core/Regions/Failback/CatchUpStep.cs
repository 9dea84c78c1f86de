using System.Diagnostics;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Regions.Failover;

namespace SmcDr.Core.Regions.Failback;

/// <summary>Waits until the former primary streams from the one that leads and has replayed all that this had when it was asked first.</summary>
internal sealed class CatchUpStep(FailbackWork work, params string[] after)
    : FailbackStep(work, StepKey, "Wait until it has caught up", work.Switch.NewDatabase.Display, after)
{
    public const string StepKey = "catch-up";
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(200);

    public override string Describe() => $"Waits until it streams from '{Work.Leader.Name}' and has replayed what that has now.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        DatabaseSighting leader = await Work.Switch.LookAtOldAsync(cancellationToken).ConfigureAwait(false);
        if (leader is not { IsReachable: true, IsStandby: false })
        {
            throw new SmcException(
                SmcErrorCode.RegionUnsuitable, leader.Problem ?? $"PostgreSQL at {leader.Server} is a standby, and should lead.", target: leader.Server);
        }

        try
        {
            return await WaitAsync(context, leader.Lsn, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            context.Observer.Progress(new OperationProgress(Title, "") { IsCompleted = true });
        }
    }

    private async Task<string> WaitAsync(StepContext context, Lsn wanted, CancellationToken cancellationToken)
    {
        Lsn last = Lsn.Zero;
        Stopwatch watch = Stopwatch.StartNew();
        using PeriodicTimer timer = new(s_poll);
        while (true)
        {
            (DatabaseSighting there, bool follows) = await Work.LookAsync(cancellationToken).ConfigureAwait(false);
            if (follows && there.Lsn >= wanted)
            {
                return $"It streams, and has replayed up to {there.Lsn}.";
            }

            if (there.Lsn > last)
            {
                last = there.Lsn;
                watch.Restart();
            }
            else if (watch.Elapsed > s_patience)
            {
                throw new SmcException(
                    SmcErrorCode.RegionUnsuitable,
                    there.Problem ?? (there.IsPaused
                        ? $"Replay at {there.Server} is paused at {there.Lsn}: SELECT pg_wal_replay_resume() lets it go on."
                        : there.IsStreaming
                            ? $"The standby at {there.Server} does not get beyond {there.Lsn}, and the one that leads was at {wanted}."
                            : $"The standby at {there.Server} has no connection to the one that leads, and stands at {there.Lsn}."),
                    recommendation: "Look into its log for why, and correct it.",
                    target: Work.Former.Name);
            }

            context.Observer.Progress(new OperationProgress(Title, there.Problem ?? (there.Lsn < wanted
                ? $"{DisplayText.Size(wanted - there.Lsn)} to go"
                : "it takes its WAL from the repository, and does not stream yet")));
            await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
