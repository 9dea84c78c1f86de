namespace SmcDr.Core.Kubernetes;

/// <summary>An event of a watch.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="Item">To which object; null where it is about none.</param>
public sealed record WatchEvent(WatchEventKind Kind, KubernetesObject? Item);
