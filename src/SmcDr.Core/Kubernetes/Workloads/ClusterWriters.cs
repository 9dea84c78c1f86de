using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>The writers of a database that are workloads of a cluster.</summary>
/// <param name="workloads">Which, in the order in which they are stopped.</param>
/// <param name="namespace">Where they are.</param>
/// <param name="connect">Gives a client, which is disposed here.</param>
/// <param name="options">How they are stopped.</param>
/// <param name="observer">Hears of it.</param>
internal sealed class ClusterWriters(
    IReadOnlyList<WorkloadName> workloads,
    string @namespace,
    Func<CancellationToken, Task<KubernetesClient>> connect,
    WorkloadOptions options,
    IOperationObserver observer) : IDatabaseWriters
{
    public IReadOnlyList<string> Names { get; } = [.. workloads.Select(static workload => workload.ToString())];

    public async Task SuspendAsync(CancellationToken cancellationToken)
    {
        using KubernetesClient client = await connect(cancellationToken).ConfigureAwait(false);
        ClusterWorkloads cluster = new(client, @namespace, options, observer);
        foreach (WorkloadName workload in workloads)
        {
            await cluster.SuspendAsync(workload, cancellationToken).ConfigureAwait(false);
        }

        // The first may have been scaled back while the last was waited for; and what a CronJob was just about to start is there by now.
        foreach (WorkloadName workload in workloads)
        {
            if ((await cluster.GetAsync(workload, cancellationToken).ConfigureAwait(false)).State is not ("Suspended" or "Stopped"))
            {
                await cluster.SuspendAsync(workload, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    public async Task ResumeAsync(CancellationToken cancellationToken)
    {
        using KubernetesClient client = await connect(cancellationToken).ConfigureAwait(false);
        ClusterWorkloads cluster = new(client, @namespace, options, observer);
        List<SmcException> failures = [];
        foreach (WorkloadName workload in workloads.Reverse())
        {
            try
            {
                WorkloadInfo info = await cluster.GetAsync(workload, cancellationToken).ConfigureAwait(false);
                if (info.SuspendedBy is { } reason && reason != options.Reason)
                {
                    observer.Warning($"'{workload}' was stopped by hand before, and stays so: Resume-SmcWorkload (or 'smcdr workload resume') starts it.");
                    continue;
                }

                await cluster.ResumeAsync(workload, wait: false, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e)
            {
                // One that cannot be started is no reason to leave the others down.
                failures.Add(e);
                observer.Warning($"'{workload}' could not be started: {e.Message}");
            }
        }

        if (failures.Count > 0)
        {
            throw failures[0];
        }
    }
}
