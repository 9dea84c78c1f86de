namespace SmcDr.Core.Kubernetes.Jobs;

/// <summary>What of the cluster a pod of a Job has in a directory: exactly one of the three is named.</summary>
public sealed record JobMount
{
    /// <summary>The directory in the pod.</summary>
    public required string Path { get; init; }

    /// <summary>A Secret, each key a file.</summary>
    public string? Secret { get; init; }

    /// <summary>A ConfigMap, each key a file.</summary>
    public string? ConfigMap { get; init; }

    /// <summary>A PersistentVolumeClaim.</summary>
    public string? Claim { get; init; }

    /// <summary>The keys of a Secret that are wanted; none = all.</summary>
    public IReadOnlyList<string> Keys { get; init; } = [];
}
