using System.Diagnostics;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Waits until the standby has replayed all that there is: what it has received, and what the repository has.</summary>
internal sealed class DrainStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Replay what there is", work.NewDatabase.Display, after)
{
    public const string StepKey = "drain-wal";
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    // Where nothing can come any more: what the standby has it replays at once.
    private static readonly TimeSpan s_cutOff = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(200);
    private const int QuietLooks = 3;

    public override bool CanUndo => true;

    public override string Describe() => "Waits until the standby has replayed all WAL that it has received and that the repository has.";

    public override async Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken) =>
        await Work.LookAtNewAsync(cancellationToken).ConfigureAwait(false) is { IsReachable: true, IsStandby: false } promoted
            ? StepCheck.AlreadyDone($"It is promoted, to timeline {promoted.Timeline}.")
            : StepCheck.Needed;

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        try
        {
            return await DrainAsync(context, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            context.Observer.Progress(new OperationProgress(Title, "") { IsCompleted = true });
        }
    }

    public override Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken) => Task.FromResult("Nothing was changed by it.");

    private async Task<string> DrainAsync(StepContext context, CancellationToken cancellationToken)
    {
        Lsn? shutdown = context.GetOutput(StopPrimaryStep.StepKey, RegionFailoverJson.Default.PrimaryStop)?.Lsn;
        Lsn? archived = null;
        Lsn last = Lsn.Zero;
        int quiet = 0;
        Stopwatch watch = Stopwatch.StartNew();
        using PeriodicTimer timer = new(s_poll);
        while (true)
        {
            DatabaseSighting standby = await Work.LookAtNewAsync(cancellationToken).ConfigureAwait(false);
            if (!standby.IsReachable)
            {
                throw new SmcException(SmcErrorCode.ServerUnavailable, standby.Problem!, target: standby.Server);
            }

            // Behind the fence nothing more comes in that was acknowledged to anybody, so once is enough.
            archived ??= await RegionInspection.FindArchiveEndAsync(Work.Context.Repository, standby, cancellationToken).ConfigureAwait(false) ?? standby.Lsn;
            // A shutdown checkpoint is passed when replay stands behind its beginning.
            bool hasAll = standby.Lsn >= archived && (shutdown is null || standby.Lsn > shutdown);
            quiet = standby.Lsn == last ? quiet + 1 : 0;
            if (hasAll && (standby.Lsn >= standby.ReachableLsn || quiet >= QuietLooks))
            {
                return $"All is replayed, up to {standby.Lsn}; the repository's WAL ends at {archived}.";
            }

            if (quiet == 0)
            {
                watch.Restart();
            }

            if (watch.Elapsed > (standby.IsStreaming || standby.HasRestoreCommand ? s_patience : s_cutOff))
            {
                return Refuse(context, standby, archived.Value, shutdown);
            }

            last = standby.Lsn;
            long total = Math.Max(0, (shutdown > archived ? shutdown.Value : archived.Value) - standby.Lsn);
            context.Observer.Progress(new OperationProgress(Title, $"{DisplayText.Size(total)} to go"));
            await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private string Refuse(StepContext context, DatabaseSighting standby, Lsn archived, Lsn? shutdown)
    {
        string missing = standby.IsPaused
            ? $"Replay at {standby.Server} is paused at {standby.Lsn}."
            : standby.Lsn < archived
                ? $"The repository has WAL up to {archived}, and the standby at {standby.Server} stands at {standby.Lsn}: it lacks " +
                    $"{DisplayText.Size(archived - standby.Lsn)}" +
                    (standby.HasRestoreCommand ? ", which its restore_command does not bring." : " and has no restore_command to fetch it by.")
                : $"The old primary ended at {shutdown}, and the standby at {standby.Server} stands at {standby.Lsn}.";
        if (Intent.Force && !Intent.Planned)
        {
            context.Observer.Warning(missing);
            return $"{missing} It is lost, as was accepted by -Force.";
        }

        throw new SmcException(
            SmcErrorCode.RegionUnsuitable,
            missing,
            recommendation: "Look into the standby's log for why, and correct it. To go on without that WAL, which is lost then, add -Force and " +
                "-AbandonUnfinished " +
                "(--force, --abandon-unfinished).",
            target: Intent.To);
    }
}
