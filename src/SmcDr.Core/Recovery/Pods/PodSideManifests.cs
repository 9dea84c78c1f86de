using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>The objects of a side instance in a cluster.</summary>
internal static class PodSideManifests
{
    /// <summary>A StatefulSet without replicas that has the image, the account and the volumes of the database's own workload, and nothing that it runs.</summary>
    public static KubernetesObject Set(DatabaseWorkload production, string @namespace, string name, string holder)
    {
        JsonObject template = (JsonObject)production.Item.Raw["spec"]!["template"]!["spec"]!;
        JsonObject source = (template["containers"] as JsonArray)!.OfType<JsonObject>().First(each => (string?)each["name"] == production.Container);
        JsonObject container = new()
        {
            ["name"] = production.Container,
            ["image"] = production.Image,
            // Were it ever started: never the image's own entry point, which would run a server as production configures it.
            ["command"] = new JsonArray("sh", "-c", "exec sleep 3600"),
        };
        ManifestParts.Copy(source, container, "imagePullPolicy", "securityContext", "workingDir", "resources");
        HashSet<string> volumes = [.. production.Claims.Select(static mount => mount.Volume)];
        container["volumeMounts"] = new JsonArray(
            [.. (source["volumeMounts"] as JsonArray ?? []).Where(mount => volumes.Contains((string?)mount?["name"] ?? "")).Select(static mount => mount!.DeepClone())]);
        if (production.Variable("PGDATA") is { } data)
        {
            container["env"] = new JsonArray(new JsonObject { ["name"] = "PGDATA", ["value"] = data });
        }

        JsonObject spec = new()
        {
            ["automountServiceAccountToken"] = false,
            ["containers"] = new JsonArray(container),
            ["volumes"] = new JsonArray([.. volumes.Select(volume => (JsonNode)new JsonObject
            {
                ["name"] = volume,
                ["persistentVolumeClaim"] = new JsonObject { ["claimName"] = ClaimName(name, volume) },
            })]),
        };
        ManifestParts.Copy(template, spec, "securityContext", "nodeSelector", "tolerations", "imagePullSecrets", "schedulerName", "runtimeClassName");
        return new KubernetesObject(new JsonObject
        {
            ["apiVersion"] = "apps/v1",
            ["kind"] = "StatefulSet",
            ["metadata"] = new JsonObject
            {
                ["name"] = name,
                ["namespace"] = @namespace,
                ["labels"] = PodTestNamespace.Labels(name),
                ["annotations"] = new JsonObject { [HelperPod.HolderAnnotation] = holder },
            },
            ["spec"] = new JsonObject
            {
                ["replicas"] = 0,
                ["serviceName"] = name,
                ["selector"] = new JsonObject { ["matchLabels"] = new JsonObject { ["smcdr/test"] = name } },
                ["template"] = new JsonObject
                {
                    ["metadata"] = new JsonObject { ["labels"] = new JsonObject { ["smcdr/test"] = name } },
                    ["spec"] = spec,
                },
            },
        });
    }

    /// <summary>What a claim asks for, without the volume that it has got.</summary>
    public static JsonObject ClaimSpec(KubernetesObject claim)
    {
        JsonObject spec = [];
        ManifestParts.Copy((JsonObject)claim.Raw["spec"]!, spec, "accessModes", "resources", "storageClassName", "volumeMode");
        return spec;
    }

    /// <summary>A claim of the instance.</summary>
    public static KubernetesObject Claim(KubernetesObject set, string volume, JsonObject spec) => new(new JsonObject
    {
        ["apiVersion"] = "v1",
        ["kind"] = "PersistentVolumeClaim",
        ["metadata"] = Metadata(set, ClaimName(set.Name, volume)),
        ["spec"] = spec,
    });

    /// <summary>What lets nothing into its pod and nothing out of it. Port forwarding and commands do not come over the network of pods.</summary>
    public static KubernetesObject Policy(KubernetesObject set) => new(new JsonObject
    {
        ["apiVersion"] = "networking.k8s.io/v1",
        ["kind"] = "NetworkPolicy",
        ["metadata"] = Metadata(set, set.Name),
        ["spec"] = new JsonObject
        {
            ["podSelector"] = new JsonObject { ["matchLabels"] = new JsonObject { [HelperPod.WorkloadLabel] = set.Name } },
            ["policyTypes"] = new JsonArray("Ingress", "Egress"),
        },
    });

    private static string ClaimName(string test, string volume) => $"{volume}-{test}";

    private static JsonObject Metadata(KubernetesObject set, string name) => new()
    {
        ["name"] = name,
        ["namespace"] = set.Namespace,
        ["labels"] = PodTestNamespace.Labels(set.Name),
        ["ownerReferences"] = ManifestParts.OwnedBy(set),
    };
}
