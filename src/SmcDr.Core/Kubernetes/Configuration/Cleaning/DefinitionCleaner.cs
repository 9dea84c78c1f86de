using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>Of CustomResourceDefinitions: what the first version of their API leaves behind, and the authority that another program puts in.</summary>
internal sealed class DefinitionCleaner : IResourceCleaner
{
    public bool AppliesTo(string group, string kind) => group == "apiextensions.k8s.io" && kind == "CustomResourceDefinition";

    public string? Clean(KubernetesObject item)
    {
        if (item.Raw["spec"] is JsonObject spec)
        {
            spec.Remove("preserveUnknownFields");
            if (AdmissionCleaner.IsInjected(item))
            {
                (spec.At("conversion", "webhook", "clientConfig") as JsonObject)?.Remove("caBundle");
            }
        }

        return null;
    }
}
