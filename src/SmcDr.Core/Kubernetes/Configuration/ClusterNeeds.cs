using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes.Configuration.Cleaning;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>What of the cluster the objects of namespaces need: definitions of their kinds, volumes, classes, and what their accounts may do.</summary>
internal sealed class ClusterNeeds(IReadOnlyCollection<string> namespaces)
{
    private const string Rbac = "rbac.authorization.k8s.io";

    private readonly HashSet<(string Kind, string Name)> _known = [];
    private readonly Queue<(string Kind, string Name)> _queue = new();

    /// <summary>The kinds of which all are looked at, since no object names them.</summary>
    public static IReadOnlyList<string> ListedKinds { get; } =
    [
        $"clusterrolebindings.{Rbac}", "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io", "apiservices.apiregistration.k8s.io",
    ];

    /// <summary>The next object that is named and was not told yet; null where there is none.</summary>
    public (string Kind, string Name)? Next() => _queue.TryDequeue(out (string, string) next) ? next : null;

    /// <summary>Whether an object of a listed kind has to do with the namespaces.</summary>
    public bool Concerns(KubernetesObject item) => item.Kind switch
    {
        "ClusterRoleBinding" => item.Raw["subjects"].Maps().Any(IsOurs),
        "APIService" => IsOurService(item.Raw.At("spec", "service")),
        _ => item.Raw["webhooks"].Maps().Any(webhook => IsOurService(webhook.At("clientConfig", "service"))),
    };

    /// <summary>Takes note of what an object names.</summary>
    public void Look(KubernetesResource resource, KubernetesObject item)
    {
        JsonObject raw = item.Raw;
        if (!ConfigurationLevel.IsBuiltIn(resource.Group))
        {
            Need("customresourcedefinitions.apiextensions.k8s.io", resource.FullName);
        }

        switch (resource.Group, resource.Kind)
        {
            case ("", "PersistentVolumeClaim"):
                NeedClass(raw["spec"], item.Annotations);
                Need("persistentvolumes", raw.TextAt("spec", "volumeName"));
                break;
            case ("", "PersistentVolume"):
                NeedClass(raw["spec"], item.Annotations);
                break;
            case ("", "Pod"):
                LookAtPod(raw["spec"]);
                break;
            case ("batch", "CronJob"):
                LookAtPod(raw.At("spec", "jobTemplate", "spec", "template", "spec"));
                break;
            case ("networking.k8s.io" or "extensions", "Ingress"):
                Need("ingressclasses.networking.k8s.io", raw.TextAt("spec", "ingressClassName"));
                Need("ingressclasses.networking.k8s.io", item.Annotations.GetValueOrDefault("kubernetes.io/ingress.class"));
                break;
            case (Rbac, "RoleBinding" or "ClusterRoleBinding"):
                if (raw.TextAt("roleRef", "kind") == "ClusterRole")
                {
                    Need($"clusterroles.{Rbac}", raw.TextAt("roleRef", "name"));
                }

                break;
            default:
                LookAtPod(raw.At("spec", "template", "spec"));
                foreach (JsonObject claim in raw.At("spec", "volumeClaimTemplates").Maps())
                {
                    NeedClass(claim["spec"], new KubernetesObject(claim).Annotations);
                }

                break;
        }
    }

    private void LookAtPod(JsonNode? spec)
    {
        Need("priorityclasses.scheduling.k8s.io", spec.TextAt("priorityClassName"));
        Need("runtimeclasses.node.k8s.io", spec.TextAt("runtimeClassName"));
        foreach (JsonObject volume in spec.At("volumes").Maps())
        {
            NeedClass(volume.At("ephemeral", "volumeClaimTemplate", "spec"), null);
        }
    }

    private void NeedClass(JsonNode? spec, IReadOnlyDictionary<string, string>? annotations) => Need(
        "storageclasses.storage.k8s.io", spec.TextAt("storageClassName") ?? annotations?.GetValueOrDefault("volume.beta.kubernetes.io/storage-class"));

    private void Need(string kind, string? name)
    {
        if (!string.IsNullOrEmpty(name) && _known.Add((kind, name)))
        {
            _queue.Enqueue((kind, name));
        }
    }

    private bool IsOurs(JsonObject subject) => subject.TextAt("kind") switch
    {
        "ServiceAccount" => namespaces.Contains(subject.TextAt("namespace") ?? ""),
        "Group" => namespaces.Any(name => subject.TextAt("name") == $"system:serviceaccounts:{name}"),
        "User" => namespaces.Any(name => subject.TextAt("name")?.StartsWith($"system:serviceaccount:{name}:", StringComparison.Ordinal) == true),
        _ => false,
    };

    private bool IsOurService(JsonNode? service) => namespaces.Contains(service.TextAt("namespace") ?? "");
}
