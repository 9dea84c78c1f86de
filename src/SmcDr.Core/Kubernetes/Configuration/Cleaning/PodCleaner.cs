using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>A pod that nobody controls is kept without its place and without the token that was put into it.</summary>
internal sealed class PodCleaner : IResourceCleaner
{
    private const string TokenPath = "/var/run/secrets/kubernetes.io/serviceaccount";

    public bool AppliesTo(string group, string kind) => group.Length == 0 && kind == "Pod";

    public string? Clean(KubernetesObject item)
    {
        if (item.Raw.TextAt("status", "phase") is "Succeeded" or "Failed")
        {
            return "completed";
        }

        if (item.Annotations.ContainsKey("kubernetes.io/config.mirror"))
        {
            return "a node's own";
        }

        if (item.Raw["spec"] is not JsonObject spec)
        {
            return null;
        }

        spec.Remove("nodeName");
        spec.Remove("priority");
        spec.Remove("ephemeralContainers");
        string account = spec.TextAt("serviceAccountName") ?? "default";
        spec.RemoveWhere("volumes", volume =>
            (volume.TextAt("secret", "secretName") is string secret && SecretCleaner.IsGenerated(secret, account, "-token-"))
            || (volume.At("projected") is not null && volume.TextAt("name")?.StartsWith("kube-api-access-", StringComparison.Ordinal) == true));
        foreach (JsonObject container in spec["containers"].Maps().Concat(spec["initContainers"].Maps()))
        {
            container.RemoveWhere("volumeMounts", static mount => mount.TextAt("mountPath") == TokenPath);
        }

        return null;
    }
}
