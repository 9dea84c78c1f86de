using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>
/// A claim is kept without the name of its volume. A volume that is restored names its claim, and the cluster binds the two; one that is not would leave the
/// claim waiting for ever.
/// </summary>
internal sealed class ClaimCleaner : IResourceCleaner
{
    public bool AppliesTo(string group, string kind) => group.Length == 0 && kind == "PersistentVolumeClaim";

    public string? Clean(KubernetesObject item)
    {
        (item.Raw["spec"] as JsonObject)?.Remove("volumeName");
        return null;
    }
}
