using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>Whose an object is, and who else changes it.</summary>
internal static class Ownership
{
    // What GitOps tools write on the objects that they keep as a repository has them: the label or annotation, and what its value names.
    private static readonly (string Key, string What)[] s_marks =
    [
        ("argocd.argoproj.io/tracking-id", "the Argo CD application"),
        ("argocd.argoproj.io/instance", "the Argo CD application"),
        ("kustomize.toolkit.fluxcd.io/name", "the Flux kustomization"),
        ("helm.toolkit.fluxcd.io/name", "the Flux Helm release"),
    ];

    /// <summary>The owner that controls an object; null where it stands for itself.</summary>
    public static JsonObject? ControllerOf(KubernetesObject item) => (item.Metadata?["ownerReferences"] as JsonArray ?? [])
        .OfType<JsonObject>()
        .FirstOrDefault(static owner => (bool?)owner["controller"] == true);

    /// <summary>What keeps an object as it wants it, in words; null where nothing is seen that would.</summary>
    public static string? ManagerOf(KubernetesObject item)
    {
        if (ControllerOf(item) is { } owner)
        {
            return $"{KubeText.Clean((string?)owner["kind"], 80)}/{KubeText.Clean((string?)owner["name"], 253)}";
        }

        foreach ((string key, string what) in s_marks)
        {
            if ((item.Annotations.GetValueOrDefault(key) ?? item.Labels.GetValueOrDefault(key)) is { } value)
            {
                // Argo CD's tracking id goes on with the object's own group, kind and name.
                return $"{what} '{KubeText.Clean(value.Split(':')[0], 253)}'";
            }
        }

        return null;
    }

    /// <summary>Who set the number of replicas last, by the name under which the server keeps that; null where it is not told.</summary>
    public static string? LastScaledBy(KubernetesObject item) => (item.Metadata?["managedFields"] as JsonArray ?? [])
        .OfType<JsonObject>()
        .Where(static entry => entry["fieldsV1"]?["f:spec"]?["f:replicas"] is not null)
        .OrderBy(static entry => (string?)entry["time"], StringComparer.Ordinal)
        .Select(static entry => KubeText.Clean((string?)entry["manager"], 120))
        .LastOrDefault();
}
