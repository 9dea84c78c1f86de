using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>When a workload was last restarted is no part of what it is, but would restart it again.</summary>
internal sealed class WorkloadCleaner : IResourceCleaner
{
    public bool AppliesTo(string group, string kind) =>
        (group, kind) is ("apps" or "extensions", "Deployment" or "StatefulSet" or "DaemonSet" or "ReplicaSet") or ("", "ReplicationController");

    public string? Clean(KubernetesObject item)
    {
        if (item.Raw.At("spec", "template", "metadata") is JsonObject template)
        {
            template.RemoveFrom("annotations", "kubectl.kubernetes.io/restartedAt");
        }

        foreach (JsonObject claim in item.Raw.At("spec", "volumeClaimTemplates").Maps())
        {
            claim.Remove("status");
        }

        return null;
    }
}
