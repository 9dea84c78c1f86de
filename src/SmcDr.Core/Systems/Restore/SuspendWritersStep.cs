using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Plans;
using SmcDr.Core.Sites;

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
        using KubernetesClient client = await ConnectAsync(context, cancellationToken).ConfigureAwait(false);
        SiteWriters writers = new(Site, Intent.Writers, client, context.Observer);
        IReadOnlyList<WorkloadName> stopped = await writers.SuspendAsync(cancellationToken).ConfigureAwait(false);
        return stopped.Count == 0 ? "None of them is there." : $"Stopped: {string.Join(", ", stopped)}.";
    }

    public override async Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken)
    {
        using KubernetesClient client = await ConnectAsync(context, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<WorkloadName> started = await new SiteWriters(Site, Intent.Writers, client, context.Observer)
            .ResumeAsync(cancellationToken).ConfigureAwait(false);
        return started.Count == 0 ? "None of them was stopped." : $"Started: {string.Join(", ", started)}.";
    }
}
