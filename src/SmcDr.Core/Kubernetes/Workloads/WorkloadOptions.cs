namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>How workloads are stopped and started.</summary>
public sealed record WorkloadOptions
{
    /// <summary>How long the pods of one workload may take to go, or to become ready.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Who stops it: what is remembered with the replicas. See <see cref="Suspension"/>.</summary>
    public string Reason { get; init; } = Suspension.ByOperator;

    /// <summary>The site, for results.</summary>
    public string? Site { get; init; }

    /// <summary>The site's region, for results.</summary>
    public string? Region { get; init; }

    /// <summary>How often the cluster is asked while something is waited for.</summary>
    internal TimeSpan PollInterval { get; init; } = TimeSpan.FromSeconds(1);
}
