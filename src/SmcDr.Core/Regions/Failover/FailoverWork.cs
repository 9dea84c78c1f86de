using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Leases;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Systems;

namespace SmcDr.Core.Regions.Failover;

/// <summary>What the steps of a failover work with.</summary>
internal sealed class FailoverWork(SitePlanContext context, RegionFailoverIntent intent)
{
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
    public string? OldDirectory => From.Database is { DataDirectory: { } directory } && File.Exists(Path.Combine(directory, "PG_VERSION"))
        ? Path.GetFullPath(directory).TrimEnd(Path.DirectorySeparatorChar)
        : null;

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
    public async Task<HostServer> OpenOldServerAsync(CancellationToken cancellationToken)
    {
        string directory = OldDirectory!;
        string version = await File.ReadAllTextAsync(Path.Combine(directory, "PG_VERSION"), cancellationToken).ConfigureAwait(false);
        PostgresPrograms programs = await PostgresPrograms.FindAsync(
            From.Database!.BinDirectory, int.Parse(version, System.Globalization.CultureInfo.InvariantCulture), cancellationToken).ConfigureAwait(false);
        return new HostServer(programs, directory, From.Database.OsUser);
    }

    /// <summary>Works on the workloads of a region.</summary>
    public async Task<T> WithWorkloadsAsync<T>(
        RegionSettings region, IOperationObserver observer, Func<ClusterWorkloads, Task<T>> work, CancellationToken cancellationToken)
    {
        using KubernetesClient client = await region.Kubernetes!.ConnectAsync(observer, cancellationToken).ConfigureAwait(false);
        WorkloadOptions options = new() { Site = Site.Name, Region = region.Name, Reason = Suspension.ByRecovery };
        return await work(new ClusterWorkloads(client, region.Kubernetes!.Namespace, options, observer)).ConfigureAwait(false);
    }
}
