namespace SmcDr.Core.Kubernetes;

/// <summary>A container of a pod.</summary>
/// <param name="Namespace">The namespace; null = that of the client.</param>
/// <param name="Pod">The pod.</param>
/// <param name="Container">The container; null = the only one, or the pod's default.</param>
public sealed record PodTarget(string? Namespace, string Pod, string? Container = null)
{
    /// <summary>The pod, and the container where one is named, for messages.</summary>
    public override string ToString() =>
        (Namespace is null ? Pod : $"{Namespace}/{Pod}") + (Container is null ? "" : $" ({Container})");
}
