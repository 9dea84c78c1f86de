using SmcDr.Core.Leases;
using SmcDr.Core.Plans;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Looks whether the region that the site was led to does lead: all that is left to do where the same command is run twice.</summary>
internal sealed class LeadsStep(FailoverWork work) : FailoverStep(work, StepKey, "Look at the region that leads", work.To.Name)
{
    public const string StepKey = "leads-already";

    public override bool CanUndo => true;

    public override string Describe() => $"Nothing is to be done: '{Intent.To}' leads. Looks whether its database takes writes.";

    public override async Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken)
    {
        FencingEpochs epochs = await Work.OpenEpochsAsync(cancellationToken).ConfigureAwait(false);
        FencingEpoch? epoch = await epochs.ReadAsync(cancellationToken).ConfigureAwait(false);
        DatabaseSighting there = await Work.LookAtNewAsync(cancellationToken).ConfigureAwait(false);
        return !there.IsReachable ? throw new SmcException(
                SmcErrorCode.ServerUnavailable,
                $"The region '{Intent.To}' leads the site, and its database does not answer: {there.Problem}",
                recommendation: "If it is lost, name the region that the site is to be led to by -Region (--region).",
                target: there.Server)
            : there.IsStandby ? throw new SmcException(
                SmcErrorCode.RegionUnsuitable,
                $"'{Intent.To}' leads, and its database at {there.Server} is a standby: no database takes writes.",
                target: Intent.To)
            : StepCheck.AlreadyDone(
                $"'{Intent.To}' leads already, on timeline {there.Timeline}" +
                    $"{(epoch is null ? "" : $", in {epoch.Describe()}")}. Nothing was changed{(there.IsReadOnly ? "; it takes no writes by default" : "")}.");
    }

    public override Task<string> ActAsync(StepContext context, CancellationToken cancellationToken) => Task.FromResult("Nothing is to be done.");

    public override Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken) => Task.FromResult("Nothing was changed by it.");
}
