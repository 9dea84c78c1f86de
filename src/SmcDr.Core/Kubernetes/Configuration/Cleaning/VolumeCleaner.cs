using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>A volume knows its claim by name, and by the uid of a claim that is no more.</summary>
internal sealed class VolumeCleaner : IResourceCleaner
{
    public bool AppliesTo(string group, string kind) => group.Length == 0 && kind == "PersistentVolume";

    /// <summary>
    /// Whether a volume was made for its claim and goes with it, data and all. Restored after the claim was deleted it would point to nothing.
    /// </summary>
    public static bool IsGoneWithItsClaim(KubernetesObject volume) =>
        volume.Raw.TextAt("spec", "persistentVolumeReclaimPolicy") == "Delete" && volume.Annotations.ContainsKey("pv.kubernetes.io/provisioned-by");

    public string? Clean(KubernetesObject item)
    {
        if (item.Raw.At("spec", "claimRef") is JsonObject claim)
        {
            claim.Remove("uid");
            claim.Remove("resourceVersion");
        }

        return null;
    }
}
