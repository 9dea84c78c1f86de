using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>Where in a cluster a side instance is made, and like what.</summary>
public sealed record PodSideInstanceOptions
{
    /// <summary>Gives a client of the cluster.</summary>
    public required Func<CancellationToken, Task<KubernetesClient>> Connect { get; init; }

    /// <summary>The namespace of the database's own workload.</summary>
    public required string SourceNamespace { get; init; }

    /// <summary>The database's own workload: it gives the image, the account and the sizes of the volumes, and is left alone.</summary>
    public required WorkloadName Workload { get; init; }

    /// <summary>
    /// The namespace that it is made in, another one. It is made where it is not there, and removed then; one that is there must have the label
    /// <c>smcdr/purpose=recovery-test</c>, and stays.
    /// </summary>
    public required string Namespace { get; init; }

    internal HelperPodOptions Helper { get; init; } = new();
}
