using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>A namespace has a label with its name, and a finalizer in its specification, both by the server.</summary>
internal sealed class NamespaceCleaner : IResourceCleaner
{
    public bool AppliesTo(string group, string kind) => group.Length == 0 && kind == "Namespace";

    public string? Clean(KubernetesObject item)
    {
        item.Metadata?.RemoveFrom("labels", "kubernetes.io/metadata.name");
        item.Raw.RemoveFrom("spec", "finalizers");
        return null;
    }
}
