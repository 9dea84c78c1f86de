using System.Globalization;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;

namespace SmcDr.Core.Systems.Restore;

/// <summary>
/// The volume claims of a StatefulSet that is stopped: its controller makes them with the pods only, and data is brought to the volumes before there is one.
/// </summary>
internal static class StatefulSetClaims
{
    /// <summary>Makes those that are missing, as the controller would (kubernetes, stateful_set_utils.go, getPersistentVolumeClaims).</summary>
    /// <returns>How many.</returns>
    public static async Task<int> EnsureAsync(
        KubernetesClient client, string @namespace, WorkloadName workload, CancellationToken cancellationToken)
    {
        if (workload.Kind != WorkloadKind.StatefulSet)
        {
            return 0;
        }

        KubernetesResource sets = await ClusterWorkloads.ResourceOfAsync(client, workload.Kind, cancellationToken).ConfigureAwait(false);
        KubernetesObject set = await client.GetAsync(sets, @namespace, workload.Name, cancellationToken).ConfigureAwait(false);
        KubernetesResource claims = (await client.GetCatalogAsync(refresh: false, cancellationToken).ConfigureAwait(false)).Get("v1", "PersistentVolumeClaim");
        int replicas = Suspension.Of(set)?.Replicas ?? ClusterWorkloads.ReplicasOf(workload, set) ?? 1;
        int first = (int?)set.Raw["spec"]?["ordinals"]?["start"] ?? 0;
        int made = 0;
        foreach (JsonObject template in (set.Raw["spec"]?["volumeClaimTemplates"] as JsonArray ?? []).OfType<JsonObject>())
        {
            for (int ordinal = first; ordinal < first + replicas; ordinal++)
            {
                string name = string.Create(CultureInfo.InvariantCulture, $"{(string?)template["metadata"]?["name"]}-{workload.Name}-{ordinal}");
                if (await client.TryGetAsync(claims, @namespace, name, cancellationToken).ConfigureAwait(false) is not null)
                {
                    continue;
                }

                JsonObject labels = (JsonObject?)template["metadata"]?["labels"]?.DeepClone() ?? [];
                foreach ((string key, JsonNode? value) in set.Raw["spec"]?["selector"]?["matchLabels"] as JsonObject ?? [])
                {
                    labels[key] = value?.DeepClone();
                }

                await client.CreateAsync(
                    claims,
                    new KubernetesObject(new JsonObject
                    {
                        ["apiVersion"] = "v1",
                        ["kind"] = "PersistentVolumeClaim",
                        ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = @namespace, ["labels"] = labels },
                        ["spec"] = template["spec"]?.DeepClone(),
                    }),
                    dryRun: false,
                    cancellationToken).ConfigureAwait(false);
                made++;
            }
        }

        return made;
    }
}
