using SmcDr.Core.Objectives;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Recovery;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Systems.Restore;

/// <summary>Recovers the database cluster, on this host or in its workload.</summary>
internal sealed class RestoreDatabaseStep(SitePlanContext context, SystemRestoreIntent intent, IReadOnlyList<string> after)
    : SystemRestoreStep(context, intent)
{
    private ChosenDatabase Chosen => Intent.Database!;

    private RecoveryTarget RecoveryTarget =>
        (Intent.TargetTime is { } time ? RecoveryTarget.AtTime(time) : RecoveryTarget.Latest) with { Timeline = Chosen.Timeline };

    public override string Key => SystemRestore.DatabaseKey;

    public override string Title => "Restore database";

    public override string Target => Site.GetDatabase().Workload ?? Site.GetDatabase().DataDirectory ?? Site.PrimaryRegion.Name;

    public override IReadOnlyList<string> After => after;

    public override long? SizeBytes => Chosen.SizeBytes;

    public override string Describe() => $"Restore the base backup {Chosen.BackupId}, replay WAL of timeline {Chosen.Timeline} to {RecoveryTarget} " +
        $"(there is WAL up to {Chosen.EndLsn}), and start the server. What is there now is moved aside, not deleted.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        PartRecord part = await BeginAsync(context, cancellationToken).ConfigureAwait(false);
        RecoveryResult result = (context.IsRetry ? await TryGoOnAsync(context, part, cancellationToken).ConfigureAwait(false) : null)
            ?? await RecoverAsync(force: true, context.Observer, cancellationToken).ConfigureAwait(false);
        await EndAsync(context, part, result.RecoveredTime, cancellationToken).ConfigureAwait(false);
        await Context.Notes.NoteAsync(Site.Name, result, context.Observer, cancellationToken).ConfigureAwait(false);
        string aside = result.PreviousDataDirectory is { } previous ? $" What was there before lies in '{previous}'." : "";
        return $"{result.BackupId} is restored and replayed to {result.Target ?? RecoveryTarget.ToString()}, on timeline {result.Timeline}; " +
            $"the last commit is of {DisplayText.Time(result.RecoveredTime)}.{aside} Take a new base backup.";
    }

    /// <summary>
    /// Goes on with what an earlier run has begun. By force a recovery that was finished would be done anew, since an operator may want that; the one of
    /// this very step is not: it is known by having been begun after the step was.
    /// </summary>
    private async Task<RecoveryResult?> TryGoOnAsync(StepContext context, PartRecord part, CancellationToken cancellationToken)
    {
        try
        {
            RecoveryResult result = await RecoverAsync(force: false, context.Observer, cancellationToken).ConfigureAwait(false);
            return result.StartTime >= part.StartTime ? result : null;
        }
        catch (SmcException e) when (e.Code is SmcErrorCode.TargetNotEmpty or SmcErrorCode.OperationInProgress)
        {
            context.Observer.Verbose($"The recovery that was begun is gone on with by force: {e.Message}");
            return null;
        }
    }

    private async Task<RecoveryResult> RecoverAsync(bool force, IOperationObserver observer, CancellationToken cancellationToken)
    {
        RecoveryRequest request = Site.CreateRecoveryRequest(Context.Repository, null) with
        {
            BackupId = Chosen.BackupId,
            Target = RecoveryTarget,
            Force = force,
        };
        if (Site.RecoversInPod(null))
        {
            PodRecoveryPlan inPod = await PodRecovery.PlanAsync(
                Site.CreatePodRecoveryRequest(request, Context.Secrets, observer), observer, cancellationToken).ConfigureAwait(false);
            return await PodRecovery.ExecuteAsync(inPod, observer, cancellationToken).ConfigureAwait(false);
        }

        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(request, observer, cancellationToken).ConfigureAwait(false);
        return await DatabaseRecovery.ExecuteAsync(plan, observer, cancellationToken).ConfigureAwait(false);
    }
}
