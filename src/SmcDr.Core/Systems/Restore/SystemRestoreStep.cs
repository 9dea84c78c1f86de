using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Plans;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Systems.Restore;

/// <summary>The base of the steps of a restore.</summary>
internal abstract class SystemRestoreStep(SitePlanContext context, SystemRestoreIntent intent) : PlanStep
{
    protected SitePlanContext Context => context;

    protected Site Site => context.Site;

    protected SystemRestoreIntent Intent => intent;

    /// <summary>Where the region is, for people.</summary>
    protected string Cluster => Site.PrimaryRegion.Kubernetes is { } settings ? $"namespace {settings.Namespace}" : $"region {Site.PrimaryRegion.Name}";

    protected Task<KubernetesClient> ConnectAsync(StepContext step, CancellationToken cancellationToken) =>
        Site.ConnectPatientlyAsync(null, step.Observer, cancellationToken);

    /// <summary>The writers, of which some may be gone.</summary>
    protected ClusterWriters CreateWriters(StepContext step) => new(
        [.. Intent.Writers.Select(WorkloadName.Parse)],
        Site.GetKubernetes().Namespace,
        token => ConnectAsync(step, token),
        new WorkloadOptions { Site = Site.Name, Region = Site.PrimaryRegion.Name, Reason = Suspension.ByRecovery },
        step.Observer)
    {
        MayBeMissing = true,
        WaitUntilReady = true,
    };

    /// <summary>Notes when the step was begun first.</summary>
    protected static async Task<PartRecord> BeginAsync(StepContext step, CancellationToken cancellationToken)
    {
        if (step.GetSaved(SystemRestoreJson.Default.PartRecord) is { } known)
        {
            return known;
        }

        PartRecord part = new(DateTimeOffset.UtcNow, null, null);
        await step.SaveAsync(part, SystemRestoreJson.Default.PartRecord, cancellationToken).ConfigureAwait(false);
        return part;
    }

    /// <summary>Notes that what it restores is back.</summary>
    protected static Task EndAsync(StepContext step, PartRecord part, DateTimeOffset? recoveredTime, CancellationToken cancellationToken) => step.SaveAsync(
        part with { EndTime = DateTimeOffset.UtcNow, RecoveredTime = recoveredTime }, SystemRestoreJson.Default.PartRecord, cancellationToken);
}
