using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>The workload of Kubernetes that a backup of Redis is restored to by its files.</summary>
public sealed record RedisPodRestoreOptions
{
    /// <summary>Gives a client of the cluster, which is disposed of here.</summary>
    public required Func<CancellationToken, Task<KubernetesClient>> Connect { get; init; }

    /// <summary>The namespace.</summary>
    public required string Namespace { get; init; }

    /// <summary>The StatefulSet or Deployment.</summary>
    public required WorkloadName Workload { get; init; }

    /// <summary>How long the workload may take to stop, and to become ready, which it does when it has loaded the data.</summary>
    public TimeSpan WorkloadTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How many keys, chosen by chance, are compared afterwards; 0 = none.</summary>
    public int SampleSize { get; init; } = 1000;

    internal HelperPodOptions Helper { get; init; } = new();

    /// <summary>How often the workload is looked at while it starts.</summary>
    internal TimeSpan PollInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Called after each phase that is journaled: where tests interrupt.</summary>
    internal Action<string>? AfterStep { get; init; }
}
