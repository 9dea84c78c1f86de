using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>
/// What is the same for all kinds, done last, since others look at what it takes away. An owner is known by its uid, which is another one in another
/// life: a reference to one that is not there has the garbage collector delete the object.
/// </summary>
internal sealed class MetadataCleaner : IResourceCleaner
{
    private static readonly string[] s_fields =
    [
        "generateName", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
        "ownerReferences", "managedFields", "clusterName",
    ];

    /// <summary>What servers and controllers note on objects for themselves.</summary>
    private static readonly string[] s_annotations =
    [
        "deployment.kubernetes.io/revision", "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas",
        "deployment.kubernetes.io/revision-history", "deprecated.daemonset.template.generation", "endpoints.kubernetes.io/last-change-trigger-time",
        "pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller", "volume.beta.kubernetes.io/storage-provisioner",
        "volume.kubernetes.io/storage-provisioner", "volume.kubernetes.io/selected-node", "autoscaling.alpha.kubernetes.io/conditions",
        "autoscaling.alpha.kubernetes.io/current-metrics", "batch.kubernetes.io/job-tracking",
    ];

    /// <summary>Finalizers that the API server itself puts on; a controller's own stay, since they say what is to be done before the end.</summary>
    private static readonly HashSet<string> s_finalizers = new(StringComparer.Ordinal)
    {
        "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection", "foregroundDeletion", "orphan", "kubernetes",
        "service.kubernetes.io/load-balancer-cleanup", "customresourcecleanup.apiextensions.k8s.io", "batch.kubernetes.io/job-tracking",
        "external-provisioner.volume.kubernetes.io/finalizer",
    };

    public bool AppliesTo(string group, string kind) => true;

    public string? Clean(KubernetesObject item)
    {
        JsonObject raw = item.Raw;
        raw.Remove("status");
        if (item.Metadata is JsonObject metadata)
        {
            foreach (string field in s_fields)
            {
                metadata.Remove(field);
            }

            metadata.RemoveFrom("annotations", s_annotations);
            metadata.RemoveWhere("finalizers", static each => each is JsonValue value && s_finalizers.Contains(value.GetValue<string>()));
            if (metadata["labels"] is JsonObject { Count: 0 })
            {
                metadata.Remove("labels");
            }
        }

        RemoveNullTimes(raw);
        return null;
    }

    /// <summary>Templates within objects have a time of their creation, which is never set.</summary>
    private static void RemoveNullTimes(JsonNode? node)
    {
        if (node is JsonObject map)
        {
            if (map.TryGetPropertyValue("creationTimestamp", out JsonNode? time) && time is null)
            {
                map.Remove("creationTimestamp");
            }

            foreach ((string _, JsonNode? value) in map)
            {
                RemoveNullTimes(value);
            }
        }
        else if (node is JsonArray list)
        {
            foreach (JsonNode? value in list)
            {
                RemoveNullTimes(value);
            }
        }
    }
}
