using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Recovery;
using SmcDr.Core.Recovery.Pods;

namespace SmcDr.Core.Sites;

/// <summary>From what a site file says of a database in Kubernetes to its recovery there.</summary>
public static class SitePodRecovery
{
    /// <summary>Whether a recovery goes to the workload of the primary region's database, since no directory of this host is named.</summary>
    public static bool RecoversInPod(this Site site, string? dataDirectory)
    {
        ArgumentNullException.ThrowIfNull(site);
        return dataDirectory is null && site.GetDatabase().Workload is not null;
    }

    /// <summary>A recovery of the primary region's database in its workload.</summary>
    /// <param name="site">The site.</param>
    /// <param name="recovery">What is to be recovered; its directory is found out in the pod.</param>
    /// <param name="secrets">Gives the password with which the database is asked afterwards.</param>
    /// <param name="observer">Hears of the cluster.</param>
    public static PodRecoveryRequest CreatePodRecoveryRequest(
        this Site site, RecoveryRequest recovery, SecretResolver secrets, IOperationObserver observer)
    {
        KubernetesSettings settings = site.GetKubernetes();
        return new PodRecoveryRequest
        {
            Recovery = recovery,
            Connect = token => settings.ConnectAsync(observer, token),
            Namespace = settings.Namespace,
            Workload = WorkloadName.Parse(site.GetDatabase().Workload!),
            Connector = site.CreateConnector(secrets),
        };
    }
}
