using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Plans;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Systems.Restore;

/// <summary>Stops what writes, as far as it is there.</summary>
internal sealed class SuspendWritersStep(SitePlanContext context, SystemRestoreIntent intent) : SystemRestoreStep(context, intent)
{
    public override string Key => SystemRestore.SuspendKey;

    public override string Title => "Suspend writers";

    public override string Target => Cluster;

    public override IReadOnlyList<string> After => [SystemRestore.AssessKey];

    public override bool CanUndo => true;

    public override string Describe() => $"Scale {string.Join(", ", Intent.Writers)} to none, in this order, and wait until their pods are gone.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        IReadOnlyList<WorkloadName> stopped = await CreateWriters(context).StopAsync(cancellationToken).ConfigureAwait(false);
        return stopped.Count == 0 ? "None of them is there." : $"Stopped: {string.Join(", ", stopped)}.";
    }

    public override async Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken)
    {
        IReadOnlyList<WorkloadName> started = await CreateWriters(context).StartAsync(cancellationToken).ConfigureAwait(false);
        return started.Count == 0 ? "None of them was stopped." : $"Started: {string.Join(", ", started)}.";
    }
}
