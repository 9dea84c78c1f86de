namespace SmcDr.Core.Kubernetes;

/// <summary>Which cluster is meant, as far as the caller says it.</summary>
public sealed record KubeconfigOptions
{
    /// <summary>The kubeconfig file; null = those of <c>KUBECONFIG</c>, else <c>~/.kube/config</c>, else the account of the pod that this runs in.</summary>
    public string? Path { get; init; }

    /// <summary>The context; null = the current one.</summary>
    public string? Context { get; init; }

    /// <summary>The namespace; null = that of the context, else <c>default</c>.</summary>
    public string? Namespace { get; init; }
}
