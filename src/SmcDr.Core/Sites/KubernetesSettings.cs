namespace SmcDr.Core.Sites;

/// <summary>The Kubernetes cluster of a region.</summary>
public sealed record KubernetesSettings
{
    [SiteKey("The kubeconfig file; without it, KUBECONFIG, ~/.kube/config or the pod's own account.", Kind = SiteValueKind.Path)]
    public string? Kubeconfig { get; init; }

    [SiteKey("The context of the kubeconfig; without it, its current one.")]
    public string? Context { get; init; }

    [SiteKey("The namespace that the system runs in.", Kind = SiteValueKind.Name)]
    public string Namespace { get; init; } = "default";

    [SiteKey("Whether database and Redis, where they name a workload, are reached by port forwarding; without it, unless this runs in a pod of the cluster.")]
    public bool? PortForward { get; init; }

    [SiteKey("How commands run in the cluster, as Jobs.")]
    public JobSettings? Job { get; init; }
}
