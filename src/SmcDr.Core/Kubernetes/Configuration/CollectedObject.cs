namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>An object of a configuration, cleaned.</summary>
/// <param name="Resource">Its kind.</param>
/// <param name="Item">The object.</param>
/// <param name="Path">Where its document lies in a backup.</param>
internal sealed record CollectedObject(KubernetesResource Resource, KubernetesObject Item, string Path);
