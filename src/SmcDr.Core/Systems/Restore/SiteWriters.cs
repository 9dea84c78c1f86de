using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Systems.Restore;

/// <summary>The writers of a system that may be gone in part or whole.</summary>
internal sealed class SiteWriters(Site site, IReadOnlyList<string> names, KubernetesClient client, IOperationObserver observer)
{
    private readonly WorkloadName[] _names = [.. names.Select(WorkloadName.Parse)];
    private readonly ClusterWorkloads _workloads = new(
        client,
        site.GetKubernetes().Namespace,
        new WorkloadOptions { Site = site.Name, Region = site.PrimaryRegion.Name, Reason = Suspension.ByRecovery },
        observer);

    /// <summary>Stops those that are there, in order, and gives them.</summary>
    public async Task<IReadOnlyList<WorkloadName>> SuspendAsync(CancellationToken cancellationToken)
    {
        List<WorkloadName> stopped = [];
        foreach (WorkloadName name in _names)
        {
            if (await TryGetAsync(name, cancellationToken).ConfigureAwait(false) is not null)
            {
                await _workloads.SuspendAsync(name, cancellationToken).ConfigureAwait(false);
                stopped.Add(name);
            }
        }

        return stopped;
    }

    /// <summary>Starts those that a recovery has stopped, from the last to the first, waits until they are ready, and gives them.</summary>
    public async Task<IReadOnlyList<WorkloadName>> ResumeAsync(CancellationToken cancellationToken)
    {
        List<WorkloadName> started = [];
        foreach (WorkloadName name in _names.Reverse())
        {
            if (await TryGetAsync(name, cancellationToken).ConfigureAwait(false) is not { } info)
            {
                observer.Warning($"'{name}' is not there, so it cannot be started.");
            }
            else if (info.SuspendedBy is not null and not Suspension.ByRecovery)
            {
                observer.Warning($"'{name}' was stopped by hand before, and stays so: Resume-SmcWorkload (or 'smcdr workload resume') starts it.");
            }
            else
            {
                await _workloads.ResumeAsync(name, wait: false, cancellationToken).ConfigureAwait(false);
                started.Add(name);
            }
        }

        // All at once, and only then waited for: one may need another to become ready.
        foreach (WorkloadName name in started)
        {
            await _workloads.ResumeAsync(name, wait: true, cancellationToken).ConfigureAwait(false);
        }

        return started;
    }

    private async Task<WorkloadInfo?> TryGetAsync(WorkloadName name, CancellationToken cancellationToken)
    {
        try
        {
            return await _workloads.GetAsync(name, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ResourceNotFound)
        {
            return null;
        }
    }
}
