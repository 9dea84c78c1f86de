namespace SmcDr.Core.Kubernetes.Jobs;

/// <summary>A command of <c>smcdr</c> that is to run in a pod.</summary>
public sealed record JobSpec
{
    /// <summary>The name of the Job or Deployment, of at most 52 characters: its pods' names are longer.</summary>
    public required string Name { get; init; }

    public required string Namespace { get; init; }

    /// <summary>What is run, for people: <c>backup database of orders</c>.</summary>
    public required string Title { get; init; }

    public required string Image { get; init; }

    /// <summary>The command and its options. No secrets: whoever may look at the pod reads them.</summary>
    public required IReadOnlyList<string> Arguments { get; init; }

    /// <summary>The site file as it is valid in the pod. No secrets: it goes into a ConfigMap.</summary>
    public required string SiteText { get; init; }

    /// <summary>The name of the site as a label's value.</summary>
    public required string SiteLabel { get; init; }

    /// <summary>The account that the pod has; null = the namespace's default one.</summary>
    public string? ServiceAccount { get; init; }

    public IReadOnlyList<string> ImagePullSecrets { get; init; } = [];

    /// <summary>Secrets of which each key becomes an environment variable.</summary>
    public IReadOnlyList<string> EnvironmentSecrets { get; init; } = [];

    public IReadOnlyList<JobMount> Mounts { get; init; } = [];

    /// <summary>What of a processor the pod is sure of, such as <c>250m</c>.</summary>
    public string Cpu { get; init; } = "250m";

    /// <summary>The memory that the pod is sure of, in bytes.</summary>
    public long Memory { get; init; } = 256L << 20;

    /// <summary>The memory that the pod may take, in bytes.</summary>
    public long MemoryLimit { get; init; } = 2L << 30;

    /// <summary>How long the Job stays when it is over, and its log with it.</summary>
    public TimeSpan TimeToLive { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How long the pod may take to start.</summary>
    public TimeSpan StartTimeout { get; init; } = TimeSpan.FromMinutes(3);

    /// <summary>How long the pod may take to end when it is asked to.</summary>
    public TimeSpan EndTimeout { get; init; } = TimeSpan.FromMinutes(1);
}
