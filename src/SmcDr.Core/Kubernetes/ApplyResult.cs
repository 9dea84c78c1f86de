namespace SmcDr.Core.Kubernetes;

/// <summary>What became of an object that was applied.</summary>
/// <param name="Item">The object as the cluster has it now.</param>
/// <param name="ByServer">Whether the server applied it; else it was created or merged, and what it no longer names has stayed.</param>
public sealed record ApplyResult(KubernetesObject Item, bool ByServer);
