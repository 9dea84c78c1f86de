using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Plans;

namespace SmcDr.Core.Systems.Restore;

/// <summary>Starts what writes again, when all that it needs is there.</summary>
internal sealed class ResumeWritersStep(SitePlanContext context, SystemRestoreIntent intent, IReadOnlyList<string> after) : SystemRestoreStep(context, intent)
{
    public override string Key => SystemRestore.ResumeKey;

    public override string Title => "Resume writers";

    public override string Target => Cluster;

    public override IReadOnlyList<string> After => after;

    public override string Describe() => $"Start {string.Join(", ", Intent.Writers.Reverse())}, and wait until they are ready.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        using KubernetesClient client = await ConnectAsync(context, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<WorkloadName> started = await new SiteWriters(Site, Intent.Writers, client, context.Observer)
            .ResumeAsync(cancellationToken).ConfigureAwait(false);
        return started.Count == 0 ? "None of them was to be started." : $"Started and ready: {string.Join(", ", started)}.";
    }
}
