namespace SmcDr;

/// <summary>A workload in Kubernetes that writes to the site's database, and whether it is at work.</summary>
public sealed record WorkloadInfo
{
    /// <summary>Kind and name as the site file has them, such as <c>deployment/trading-engine</c>.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// <c>Running</c>: all that it should have is ready; <c>NotReady</c>: not all of it; <c>Stopping</c>: stopped, and pods are still there;
    /// <c>Suspended</c>: stopped by SmcDr, no pod is left, and it is remembered how it was; <c>Stopped</c>: stopped by somebody else, no pod is left.
    /// </summary>
    public required string State { get; init; }

    /// <summary>How many replicas it is to have; none where its kind has no replicas.</summary>
    public int? Replicas { get; init; }

    /// <summary>How many pods are ready.</summary>
    public int ReadyCount { get; init; }

    /// <summary>How many pods are there that have not ended, those that are just going among them.</summary>
    public int PodCount { get; init; }

    /// <summary>How many replicas it gets when it is resumed.</summary>
    public int? RememberedReplicas { get; init; }

    /// <summary>When SmcDr stopped it, in UTC.</summary>
    public DateTimeOffset? SuspendedTime { get; init; }

    /// <summary>Who asked for that: <c>operator</c>, <c>recovery</c>, or <c>restore</c> of the whole system, which has made it without its data yet.</summary>
    public string? SuspendedBy { get; init; }

    /// <summary>The HorizontalPodAutoscaler that scales it, with its limits; it does nothing while there are no replicas.</summary>
    public string? Autoscaler { get; init; }

    /// <summary>What else may scale it: an owner, or the GitOps application that it belongs to.</summary>
    public string? ManagedBy { get; init; }

    /// <summary>The namespace.</summary>
    public required string Namespace { get; init; }

    /// <summary>The cluster, by its context in the kubeconfig.</summary>
    public required string Cluster { get; init; }

    /// <summary>The site.</summary>
    public string? Site { get; init; }

    /// <summary>The site's region.</summary>
    public string? Region { get; init; }
}
