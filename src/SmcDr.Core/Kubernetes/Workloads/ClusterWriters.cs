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

    /// <summary>Whether one that is not there is passed over, as where the namespace was lost in part or whole.</summary>
    public bool MayBeMissing { get; init; }

    /// <summary>Whether those that are started are waited for until they are ready.</summary>
    public bool WaitUntilReady { get; init; }

    public Task SuspendAsync(CancellationToken cancellationToken) => StopAsync(cancellationToken);

    public Task ResumeAsync(CancellationToken cancellationToken) => StartAsync(cancellationToken);

    /// <summary>Stops them in order, and gives those that were there.</summary>
    public async Task<IReadOnlyList<WorkloadName>> StopAsync(CancellationToken cancellationToken)
    {
        using KubernetesClient client = await connect(cancellationToken).ConfigureAwait(false);
        ClusterWorkloads cluster = new(client, @namespace, options, observer);
        List<WorkloadName> stopped = [];
        foreach (WorkloadName workload in workloads)
        {
            if (!MayBeMissing || await FindAsync(cluster, workload, cancellationToken).ConfigureAwait(false) is not null)
            {
                await cluster.SuspendAsync(workload, cancellationToken).ConfigureAwait(false);
                stopped.Add(workload);
            }
        }

        // The first may have been scaled back while the last was waited for; and what a CronJob was just about to start is there by now.
        foreach (WorkloadName workload in stopped)
        {
            if ((await cluster.GetAsync(workload, cancellationToken).ConfigureAwait(false)).State is not ("Suspended" or "Stopped"))
            {
                await cluster.SuspendAsync(workload, cancellationToken).ConfigureAwait(false);
            }
        }

        return stopped;
    }

    /// <summary>Starts those that were stopped for the same reason, from the last to the first, and gives them.</summary>
    public async Task<IReadOnlyList<WorkloadName>> StartAsync(CancellationToken cancellationToken)
    {
        using KubernetesClient client = await connect(cancellationToken).ConfigureAwait(false);
        ClusterWorkloads cluster = new(client, @namespace, options, observer);
        List<WorkloadName> started = [];
        List<SmcException> failures = [];
        foreach (WorkloadName workload in workloads.Reverse())
        {
            await TryAsync(failures, workload, async () =>
            {
                if (await FindAsync(cluster, workload, cancellationToken).ConfigureAwait(false) is not { } info)
                {
                    observer.Warning($"'{workload}' is not there, so it cannot be started.");
                }
                else if (info.SuspendedBy is { } reason && reason != options.Reason)
                {
                    observer.Warning($"'{workload}' was stopped by hand before, and stays so: Resume-SmcWorkload (or 'smcdr workload resume') starts it.");
                }
                else
                {
                    await cluster.ResumeAsync(workload, wait: false, cancellationToken).ConfigureAwait(false);
                    started.Add(workload);
                }
            }).ConfigureAwait(false);
        }

        // All are started before one is waited for: one may need another to become ready.
        foreach (WorkloadName workload in WaitUntilReady ? started : [])
        {
            await TryAsync(failures, workload, () => cluster.ResumeAsync(workload, wait: true, cancellationToken)).ConfigureAwait(false);
        }

        return failures.Count > 0 ? throw failures[0] : started;
    }

    /// <summary>One that cannot be started is no reason to leave the others down.</summary>
    private async Task TryAsync(List<SmcException> failures, WorkloadName workload, Func<Task> start)
    {
        try
        {
            await start().ConfigureAwait(false);
        }
        catch (SmcException e)
        {
            failures.Add(e);
            observer.Warning($"'{workload}' could not be started: {e.Message}");
        }
    }

    private async Task<WorkloadInfo?> FindAsync(ClusterWorkloads cluster, WorkloadName workload, CancellationToken cancellationToken)
    {
        try
        {
            return await cluster.GetAsync(workload, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (MayBeMissing && e.Code == SmcErrorCode.ResourceNotFound)
        {
            return null;
        }
    }
}
