using System.Diagnostics;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Leases;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Regions.Failover;

/// <summary>What the steps of a failover work with.</summary>
internal sealed class FailoverWork(SitePlanContext context, RegionFailoverIntent intent)
{
    // A cluster that is lost with its region drops what it is sent, and each question would wait as long as for one that is only busy.
    private static readonly KubernetesClientOptions s_impatient = new()
    {
        ConnectTimeout = TimeSpan.FromSeconds(5), RequestTimeout = TimeSpan.FromSeconds(15), RetryTime = TimeSpan.FromSeconds(5),
    };

    // For all that is stopped there together. Pods on a node that is dead never go, whatever the API says of them.
    private static readonly TimeSpan s_podLimit = TimeSpan.FromSeconds(15);

    private readonly RegionHost _host = new(context.Site);

    public SitePlanContext Context => context;

    public Site Site => context.Site;

    public RegionFailoverIntent Intent => intent;

    public RegionSettings From { get; } = context.Site.GetRegion(intent.From);

    public RegionSettings To { get; } = context.Site.GetRegion(intent.To);

    /// <summary>What opens connections to the database that led.</summary>
    public PostgresConnector OldDatabase => From.Database!.CreateConnector(From, context.Secrets);

    /// <summary>What opens connections to the database that is to lead.</summary>
    public PostgresConnector NewDatabase => To.Database!.CreateConnector(To, context.Secrets);

    /// <summary>The data directory of the database that led, where it is on this host; null where it is not.</summary>
    public string? OldDirectory => _host.FindDirectory(From);

    /// <summary>The data directory of the database that is to lead, where it is on this host; null where it is not.</summary>
    public string? NewDirectory => _host.FindDirectory(To);

    public Task<DatabaseSighting> LookAtOldAsync(CancellationToken cancellationToken) =>
        DatabaseSighting.LookAsync(OldDatabase, RegionInspection.Patience, cancellationToken);

    public Task<DatabaseSighting> LookAtNewAsync(CancellationToken cancellationToken) =>
        DatabaseSighting.LookAsync(NewDatabase, RegionInspection.Patience, cancellationToken);

    /// <summary>The epochs, in the repository alone: what a copy says of them is old.</summary>
    public async Task<FencingEpochs> OpenEpochsAsync(CancellationToken cancellationToken)
    {
        Repository repository = await Site.OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        return new FencingEpochs(repository, Site.Name);
    }

    /// <summary>The server in <see cref="OldDirectory"/>.</summary>
    public Task<HostServer> OpenOldServerAsync(CancellationToken cancellationToken) => OpenServerAsync(From, OldDirectory!, cancellationToken);

    /// <summary>Works on the workloads of a region. That which is left behind, and may be lost, is not waited for long.</summary>
    public async Task<T> WithWorkloadsAsync<T>(
        RegionSettings region, IOperationObserver observer, Func<ClusterWorkloads, Task<T>> work, CancellationToken cancellationToken)
    {
        using KubernetesClient client = await ConnectAsync(region, observer, cancellationToken).ConfigureAwait(false);
        return await work(new ClusterWorkloads(client, region.Kubernetes!.Namespace, CreateOptions(region), observer)).ConfigureAwait(false);
    }

    /// <summary>
    /// Stops workloads of the region that is left behind, where its cluster answers. It may be half dead, so all are told to stop, and none is waited for longer
    /// than a moment: what goes on writing there the fence keeps out.
    /// </summary>
    /// <returns>What did not stop, each a sentence.</returns>
    /// <exception cref="SmcException">The cluster does not answer, or does not let us in.</exception>
    public async Task<IReadOnlyList<string>> StopBehindAsync(
        IEnumerable<WorkloadName> workloads, IOperationObserver observer, CancellationToken cancellationToken)
    {
        using KubernetesClient client = await ConnectAsync(From, observer, cancellationToken).ConfigureAwait(false);
        Stopwatch watch = Stopwatch.StartNew();
        List<string> problems = [];
        foreach (WorkloadName workload in workloads)
        {
            TimeSpan left = s_podLimit - watch.Elapsed;
            WorkloadOptions options = CreateOptions(From) with { Timeout = left > TimeSpan.Zero ? left : TimeSpan.Zero };
            try
            {
                await new ClusterWorkloads(client, From.Kubernetes!.Namespace, options, observer).SuspendAsync(workload, cancellationToken)
                    .ConfigureAwait(false);
            }
            catch (SmcException e) when (!IsClusterLost(e))
            {
                problems.Add(e.Message);
            }
        }

        return problems;
    }

    /// <summary>
    /// Starts workloads of the region that leads, in order, and then waits until all are ready, for as long together as for one. One may need another to become
    /// ready, and one that does not come up keeps no other down.
    /// </summary>
    /// <returns>How each is.</returns>
    /// <exception cref="SmcException">What the first one failed with that did not come up; each is told as a warning.</exception>
    public async Task<IReadOnlyList<WorkloadInfo>> StartAheadAsync(
        IEnumerable<WorkloadName> workloads, IOperationObserver observer, CancellationToken cancellationToken)
    {
        using KubernetesClient client = await ConnectAsync(To, observer, cancellationToken).ConfigureAwait(false);
        WorkloadOptions options = CreateOptions(To);
        List<WorkloadInfo> started = [];
        List<SmcException> failures = [];
        foreach (WorkloadName workload in workloads)
        {
            await TryAsync(workload, options.Timeout, wait: false, started).ConfigureAwait(false);
        }

        List<WorkloadInfo> ready = [];
        Stopwatch watch = Stopwatch.StartNew();
        foreach (WorkloadInfo one in started)
        {
            if (one.State is "Stopped" or "Stopping")
            {
                // Not by SmcDr, which was told.
                ready.Add(one);
                continue;
            }

            TimeSpan left = options.Timeout - watch.Elapsed;
            await TryAsync(WorkloadName.Parse(one.Name), left > TimeSpan.Zero ? left : TimeSpan.Zero, wait: true, ready).ConfigureAwait(false);
        }

        return failures.Count > 0 ? throw failures[0] : ready;

        async Task TryAsync(WorkloadName workload, TimeSpan timeout, bool wait, List<WorkloadInfo> done)
        {
            try
            {
                ClusterWorkloads cluster = new(client, To.Kubernetes!.Namespace, options with { Timeout = timeout }, observer);
                done.Add(await cluster.ResumeAsync(workload, wait, cancellationToken).ConfigureAwait(false));
            }
            catch (SmcException e) when (!IsClusterLost(e))
            {
                failures.Add(e);
                observer.Warning($"'{workload}' did not come up: {e.Message}");
            }
        }
    }

    /// <summary>Whether a cluster does not answer, or does not let us in.</summary>
    public static bool IsClusterLost(SmcException failure) => failure.Code is SmcErrorCode.ClusterUnavailable or SmcErrorCode.ClusterAuthenticationFailed;

    private Task<KubernetesClient> ConnectAsync(RegionSettings region, IOperationObserver observer, CancellationToken cancellationToken) =>
        region.Kubernetes!.ConnectAsync(observer, cancellationToken, region.Name == From.Name && !Intent.Planned ? s_impatient : null);

    private WorkloadOptions CreateOptions(RegionSettings region) => new() { Site = Site.Name, Region = region.Name, Reason = Suspension.ByRecovery };

    /// <summary>The server of a region in a data directory on this host.</summary>
    public static async Task<HostServer> OpenServerAsync(RegionSettings region, string directory, CancellationToken cancellationToken)
    {
        string version = await File.ReadAllTextAsync(Path.Combine(directory, "PG_VERSION"), cancellationToken).ConfigureAwait(false);
        PostgresPrograms programs = await PostgresPrograms.FindAsync(
            region.Database!.BinDirectory, int.Parse(version, System.Globalization.CultureInfo.InvariantCulture), cancellationToken).ConfigureAwait(false);
        return new HostServer(programs, directory, region.Database.OsUser);
    }
}
