using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Plans;
using SmcDr.Core.Sites.Plans;

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
        IReadOnlyList<WorkloadName> started = await CreateWriters(context).StartAsync(cancellationToken).ConfigureAwait(false);
        return started.Count == 0 ? "None of them was to be started." : $"Started and ready: {string.Join(", ", started)}.";
    }
}
