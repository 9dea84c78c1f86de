using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>A recovery of a database cluster that runs in a workload of Kubernetes, as it is asked for.</summary>
public sealed record PodRecoveryRequest
{
    /// <summary>
    /// What is to be recovered. Its directory is found out in the pod; it can be neither a side instance nor a delta restore, and the server starts with
    /// its own settings.
    /// </summary>
    public required RecoveryRequest Recovery { get; init; }

    /// <summary>Gives a client of the cluster, which is disposed of here.</summary>
    public required Func<CancellationToken, Task<KubernetesClient>> Connect { get; init; }

    /// <summary>The namespace.</summary>
    public required string Namespace { get; init; }

    /// <summary>The StatefulSet or Deployment.</summary>
    public required WorkloadName Workload { get; init; }

    /// <summary>Opens connections to the database once it runs again; null = it is not asked.</summary>
    public PostgresConnector? Connector { get; init; }

    /// <summary>How long the workload may take to stop, and to become ready.</summary>
    public TimeSpan WorkloadTimeout { get; init; } = TimeSpan.FromMinutes(10);

    internal HelperPodOptions Helper { get; init; } = new();
}
