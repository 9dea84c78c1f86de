using SmcDr.Core.Kubernetes;
using SmcDr.Core.Plans;
using SmcDr.Core.Sites;

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
