using Npgsql;
using SmcDr.Core.Certification;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Recovery;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites;

/// <summary>Tests of a site's recovery.</summary>
public static class SiteRecoveryTests
{
    /// <summary>A test of the primary database: the site's queries are asked, and its objective for the recovery time counts.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">Where backups and WAL are.</param>
    /// <param name="workDirectory">Where the cluster lies for the while; null = <see cref="SideInstance.DefaultWorkDirectory"/>.</param>
    public static RecoveryTestOptions CreateRecoveryTest(this Site site, Repository repository, string? workDirectory)
    {
        ArgumentNullException.ThrowIfNull(site);
        DatabaseSettings database = site.GetDatabase();
        string? name = new NpgsqlConnectionStringBuilder(database.GetConnectionString()).Database;
        return new RecoveryTestOptions
        {
            Repository = repository,
            Site = site.Name,
            WorkDirectory = workDirectory ?? SideInstance.DefaultWorkDirectory,
            BinDirectory = database.BinDirectory,
            OsUser = database.OsUser,
            Database = string.IsNullOrEmpty(name) ? null : name,
            Checks = site.Checks.Sql,
            Objective = site.Objectives.Database?.Rto,
        };
    }

    /// <summary>Where in the primary region's cluster a recovery is tested.</summary>
    /// <param name="site">The site; its database is in a workload there.</param>
    /// <param name="namespace">The namespace; null = the database's own with <c>-recovery-test</c> behind it.</param>
    /// <param name="observer">Hears of the cluster.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SiteInvalid"/>: the database is in no workload.</exception>
    public static PodSideInstanceOptions CreateTestPlace(this Site site, string? @namespace, IOperationObserver observer)
    {
        KubernetesSettings settings = site.GetKubernetes();
        string workload = site.GetDatabase().Workload ?? throw new SmcException(
            SmcErrorCode.SiteInvalid,
            $"The database of the site '{site.Name}' is in no workload, so nothing says what it would be tested like in a cluster.",
            recommendation: $"Test it on this host, or add 'workload: statefulset/…' to the database in '{site.Path}'.",
            target: site.Name);
        return new PodSideInstanceOptions
        {
            Connect = token => settings.ConnectAsync(observer, token),
            SourceNamespace = settings.Namespace,
            Workload = WorkloadName.Parse(workload),
            Namespace = @namespace ?? $"{settings.Namespace}-recovery-test",
        };
    }
}
