using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>What is no configuration: what clusters tell of themselves, measure, or hold for a moment.</summary>
internal sealed class TransientCleaner : IResourceCleaner
{
    private static readonly HashSet<(string Group, string Kind)> s_kinds =
    [
        ("", "Event"), ("events.k8s.io", "Event"), ("coordination.k8s.io", "Lease"), ("coordination.k8s.io", "LeaseCandidate"),
        ("apps", "ControllerRevision"), ("storage.k8s.io", "CSIStorageCapacity"),
    ];

    /// <summary>Whether a kind is none that is kept, so that it need not be listed.</summary>
    public static bool IsTransient(string group, string kind) =>
        s_kinds.Contains((group, kind)) || group is "metrics.k8s.io" or "custom.metrics.k8s.io" or "external.metrics.k8s.io";

    public bool AppliesTo(string group, string kind) => true;

    public string? Clean(KubernetesObject item)
    {
        // Deleted and not yet gone: restored it would live.
        return item.DeletionTime is not null ? "being deleted"
            : item.Metadata?["annotations"] is JsonObject annotations && annotations.ContainsKey("control-plane.alpha.kubernetes.io/leader") ? "election of a leader"
            : null;
    }
}
