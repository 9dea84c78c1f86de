using SmcDr.Core.Plans;

namespace SmcDr.Core.Regions.Failback;

/// <summary>
/// Sees that the region that leads can be shut down from here, before its writers are stopped: who is on the host of the former primary may not be on that of
/// the other one, and the plan then goes on there.
/// </summary>
internal sealed class HandOverStep(FailbackWork work, params string[] after)
    : FailbackStep(work, StepKey, "Look whether it can be led over from here", work.Leader.Name, after)
{
    public const string StepKey = "hand-over";

    public override string Describe() =>
        $"Sees that the database of '{Work.Leader.Name}' is on this host or in a workload, so that it can be shut down; otherwise the plan goes on there.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        // The plan may have rested here for a while, on its way to the other host.
        (DatabaseSighting there, bool follows) = await Work.LookAsync(cancellationToken).ConfigureAwait(false);
        return !follows ? throw new SmcException(
                SmcErrorCode.RegionUnsuitable,
                there.Problem ?? $"The standby at {there.Server} does not stream from '{Work.Leader.Name}' any more, and stands at {there.Lsn}.",
                target: Work.Former.Name)
            : Work.Switch.OldDirectory is not null ? "Its database is on this host."
            : Work.Leader is { Database.Workload: { } workload, Kubernetes: not null } ? $"Its database runs in '{workload}'."
            : throw new SmcException(
                SmcErrorCode.RegionUnsuitable,
                $"'{Work.Former.Name}' follows and has caught up; the primary at {Work.Switch.OldDatabase.Display} is neither on this host nor in a " +
                    "workload, so it cannot be shut down from here. Nothing has changed for its clients.",
                recommendation: $"Go on with the plan on the host of '{Work.Leader.Name}': Resume-SmcPlan, or 'smcdr plan resume'.",
                target: Work.Leader.Name);
    }
}
