using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes.Workloads;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>Keeps a workload from starting by being restored.</summary>
internal static class HeldWorkload
{
    /// <summary>Whether a workload is held, and who starts it then.</summary>
    public static bool TryFind(ConfigurationRestoreOptions options, KubernetesObject item, out string reason)
    {
        reason = "";
        return options.Held.Count > 0 && Enum.TryParse(item.Kind, out WorkloadKind kind) &&
            options.Held.TryGetValue(new WorkloadName(kind, item.Name), out reason!);
    }

    /// <summary>The workload as it is to be applied.</summary>
    /// <param name="wanted">As the backup has it.</param>
    /// <param name="live">As the cluster has it; null = it has none.</param>
    /// <param name="reason">Who starts it.</param>
    public static KubernetesObject Hold(KubernetesObject wanted, KubernetesObject? live, string reason)
    {
        WorkloadName name = new(Enum.Parse<WorkloadKind>(wanted.Kind), wanted.Name);
        Suspension? kept = Suspension.Of(wanted);
        KubernetesObject held = new((JsonObject)wanted.Raw.DeepClone());
        int? replicas = kept is null ? ClusterWorkloads.ReplicasOf(name, wanted) : kept.Replicas;
        Suspension? suspension = live is null
            // What nobody had started when it was backed up is not started either.
            ? kept ?? (ClusterWorkloads.IsStopped(name, wanted) ? null : new Suspension(replicas, DateTimeOffset.UtcNow, reason))
            : Suspension.Of(live) is { } now ? now with { Replicas = replicas } : null;
        SetAnnotation(held, suspension?.ToJson());
        JsonObject spec = (JsonObject)held.Raw["spec"]!;
        switch (name.Kind)
        {
            case WorkloadKind.CronJob:
                spec["suspend"] = live is null || ClusterWorkloads.IsStopped(name, live);
                break;
            case WorkloadKind.DaemonSet:
                JsonObject pod = (JsonObject)spec["template"]!["spec"]!;
                JsonObject selector = pod["nodeSelector"] as JsonObject ?? [];
                selector.Remove(ClusterWorkloads.NoNode);
                if (live is null || ClusterWorkloads.IsStopped(name, live))
                {
                    selector[ClusterWorkloads.NoNode] = "true";
                }

                pod["nodeSelector"] = selector.Parent is null ? selector : selector.DeepClone();
                break;
            default:
                spec["replicas"] = live is null ? 0 : ClusterWorkloads.ReplicasOf(name, live);
                break;
        }

        return held;
    }

    private static void SetAnnotation(KubernetesObject item, string? value)
    {
        JsonObject metadata = (JsonObject)item.Raw["metadata"]!;
        JsonObject annotations = metadata["annotations"] as JsonObject ?? [];
        annotations.Remove(Suspension.Annotation);
        if (value is not null)
        {
            annotations[Suspension.Annotation] = value;
        }

        if (annotations.Count > 0 && annotations.Parent is null)
        {
            metadata["annotations"] = annotations;
        }
    }
}
