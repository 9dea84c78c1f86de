namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>How patient a helper pod is waited for.</summary>
internal sealed record HelperPodOptions
{
    /// <summary>How long it may take to start.</summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromMinutes(3);

    /// <summary>How long it may take to go.</summary>
    public TimeSpan EndTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>How often whoever has it leaves a sign of life.</summary>
    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long one that is there already must be without a sign of life before it is taken for left over.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(35);
}
