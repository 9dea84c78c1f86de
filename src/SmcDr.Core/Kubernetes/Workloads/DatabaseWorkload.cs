using System.Globalization;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>A workload of one pod whose container keeps its data on a volume claim, as its object describes it.</summary>
internal sealed class DatabaseWorkload
{
    private static readonly string[] s_wordKeys = ["command", "args"];

    /// <summary>Where a helper pod sees the whole of volumes of which the container sees a part only.</summary>
    public const string VolumesDirectory = "/smcdr-volumes";

    private readonly JsonObject _template;
    private readonly JsonObject _container;

    private DatabaseWorkload(WorkloadName name, KubernetesObject item, JsonObject template, JsonObject container)
    {
        (Name, Item, _template, _container) = (name, item, template, container);
    }

    public WorkloadName Name { get; }

    public KubernetesObject Item { get; }

    /// <summary>How many replicas it has, or had before it was suspended.</summary>
    public int Replicas => Suspension.Of(Item)?.Replicas ?? (int?)Item.Raw["spec"]?["replicas"] ?? 1;

    /// <summary>Whether it is scaled to none now.</summary>
    public bool IsStopped => ((int?)Item.Raw["spec"]?["replicas"] ?? 1) == 0;

    public string Container => (string?)_container["name"] ?? "";

    public string Image => (string?)_container["image"] ?? "";

    /// <summary>What the object itself has the container run: its command and arguments. Empty where it leaves both to the image.</summary>
    public IReadOnlyList<string> Words => [.. s_wordKeys
        .SelectMany(key => _container[key] as JsonArray ?? [])
        .Select(static word => (string?)word ?? "")];

    /// <summary>The volumes of the container that are claims.</summary>
    public IReadOnlyList<ClaimMount> Claims { get; private set; } = [];

    /// <summary>The container's limit of memory in bytes; null = none.</summary>
    public long? MemoryLimit => ParseQuantity((string?)_container["resources"]?["limits"]?["memory"]);

    /// <summary>A variable of the container that the object itself sets; null where it does not, or takes it from elsewhere.</summary>
    public string? Variable(string name) => (_container["env"] as JsonArray ?? [])
        .Where(each => (string?)each?["name"] == name)
        .Select(static each => (string?)each?["value"])
        .LastOrDefault();

    /// <summary>Reads a workload.</summary>
    /// <param name="client">The cluster.</param>
    /// <param name="namespace">The namespace.</param>
    /// <param name="name">The workload.</param>
    /// <param name="variables">Variables by which the container is known where there are several.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.WorkloadUnsuitable"/>: nothing can be restored to its volume.</exception>
    public static async Task<DatabaseWorkload> ReadAsync(
        KubernetesClient client, string @namespace, WorkloadName name, IReadOnlyList<string> variables, CancellationToken cancellationToken)
    {
        if (name.Kind is not (WorkloadKind.StatefulSet or WorkloadKind.Deployment))
        {
            throw Unsuitable(name, $"'{name}' is neither a StatefulSet nor a Deployment.");
        }

        KubernetesObject item = await client.GetAsync(
            await ClusterWorkloads.ResourceOfAsync(client, name.Kind, cancellationToken).ConfigureAwait(false), @namespace, name.Name, cancellationToken)
            .ConfigureAwait(false);
        return Read(name, item, variables);
    }

    internal static DatabaseWorkload Read(WorkloadName name, KubernetesObject item, IReadOnlyList<string> variables)
    {
        JsonObject template = item.Raw["spec"]?["template"]?["spec"] as JsonObject ?? throw Unsuitable(name, $"'{name}' has no pods of its own.");
        Dictionary<string, string> claims = ClaimsOf(name, item, template);
        List<JsonObject> candidates = [.. (template["containers"] as JsonArray ?? []).OfType<JsonObject>().Where(each => Mounts(each).Any(m => claims.ContainsKey(m.Volume)))];
        JsonObject? container = candidates.Count == 1
            ? candidates[0]
            : candidates.Where(each => (each["env"] as JsonArray ?? []).Any(v => variables.Contains((string?)v?["name"] ?? ""))).ToList() is [{ } known] ? known : null;
        if (container is null)
        {
            throw Unsuitable(
                name,
                candidates.Count == 0
                    ? $"No container of '{name}' keeps its data on a volume claim, so what was restored would go with its pod."
                    : $"Several containers of '{name}' have volume claims ({string.Join(", ", candidates.Select(static each => (string?)each["name"]))}), and it cannot be told which one is the server.");
        }

        DatabaseWorkload workload = new(name, item, template, container)
        {
            Claims = [.. Mounts(container).Where(m => claims.ContainsKey(m.Volume)).Select(m => m with { Claim = claims[m.Volume] })],
        };
        if (workload.Replicas > 1)
        {
            throw Unsuitable(
                name,
                string.Create(CultureInfo.InvariantCulture, $"'{name}' has {workload.Replicas} replicas, and which of their volumes is to be restored to cannot be told."));
        }

        return workload;
    }

    /// <summary>The path of a directory of the container as a helper pod is to see it: through the whole volume where the container sees a part of it.</summary>
    /// <param name="directory">The directory as the container sees it.</param>
    /// <returns>The path, and whether it is the root of a volume; null where it lies on no claim.</returns>
    public (string Path, bool IsVolumeRoot)? Locate(string directory)
    {
        string path = directory.TrimEnd('/');
        ClaimMount? mount = Claims
            .Where(m => path == m.MountPath || path.StartsWith(m.MountPath + "/", StringComparison.Ordinal))
            .MaxBy(static m => m.MountPath.Length);
        if (mount is null)
        {
            return null;
        }

        // What is mounted cannot be renamed. A directory of the volume that is mounted can, where the volume itself is seen.
        return path != mount.MountPath ? (path, false)
            : mount.SubPath is null ? (path, true)
            : ($"{VolumesDirectory}/{mount.Volume}/{mount.SubPath.Trim('/')}", false);
    }

    /// <summary>A pod beside the workload: the same image, account, node and volumes, and nothing that runs.</summary>
    /// <param name="podName">Its name.</param>
    /// <param name="labels">Its labels, by which no Service and no workload may take it for one of its own.</param>
    /// <param name="annotations">Its annotations.</param>
    public KubernetesObject CreateHelper(string podName, JsonObject labels, JsonObject annotations)
    {
        JsonObject container = new()
        {
            ["name"] = "helper",
            ["image"] = Image,
            // It waits, and reaps what its servers leave. It ends as soon as it is asked to.
            ["command"] = new JsonArray("sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"),
        };
        ManifestParts.Copy(_container, container, "imagePullPolicy", "securityContext", "volumeMounts", "workingDir");
        // The workload has made room for these by stopping.
        container["resources"] = _container["resources"]?.DeepClone() is JsonObject { Count: > 0 } resources
            ? resources
            : new JsonObject { ["requests"] = new JsonObject { ["cpu"] = "100m", ["memory"] = "256Mi" } };
        if (Variable("PGDATA") is { } data)
        {
            container["env"] = new JsonArray(new JsonObject { ["name"] = "PGDATA", ["value"] = data });
        }

        JsonArray mounts = (JsonArray)container["volumeMounts"]!;
        foreach (ClaimMount part in Claims.Where(static m => m.SubPath is not null).DistinctBy(static m => m.Volume))
        {
            mounts.Add(new JsonObject { ["name"] = part.Volume, ["mountPath"] = $"{VolumesDirectory}/{part.Volume}" });
        }

        HashSet<string> used = [.. mounts.Select(static m => (string?)m?["name"] ?? "")];
        JsonArray volumes = [];
        foreach (JsonNode? volume in _template["volumes"] as JsonArray ?? [])
        {
            if (used.Contains((string?)volume?["name"] ?? "") && Claims.All(m => m.Volume != (string?)volume?["name"]))
            {
                volumes.Add(volume!.DeepClone());
            }
        }

        foreach (ClaimMount claim in Claims.DistinctBy(static m => m.Volume))
        {
            volumes.Add(new JsonObject
            {
                ["name"] = claim.Volume,
                ["persistentVolumeClaim"] = new JsonObject { ["claimName"] = claim.Claim },
            });
        }

        JsonObject spec = new()
        {
            ["restartPolicy"] = "Never",
            ["terminationGracePeriodSeconds"] = 5,
            ["automountServiceAccountToken"] = false,
            ["containers"] = new JsonArray(container),
            ["volumes"] = volumes,
        };
        ManifestParts.Copy(
            _template, spec, "securityContext", "nodeSelector", "tolerations", "affinity", "serviceAccountName", "imagePullSecrets", "priorityClassName",
            "schedulerName", "runtimeClassName");
        return new KubernetesObject(new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Pod",
            ["metadata"] = new JsonObject
            {
                ["name"] = podName,
                ["namespace"] = Item.Namespace,
                ["labels"] = labels,
                ["annotations"] = annotations,
                // Goes with the workload, should that be deleted meanwhile.
                ["ownerReferences"] = ManifestParts.OwnedBy(Item),
            },
            ["spec"] = spec,
        });
    }

    /// <summary>A quantity such as <c>512Mi</c> in bytes; null where it is none.</summary>
    internal static long? ParseQuantity(string? text)
    {
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        string number = text.TrimEnd([.. "KMGTPEkim"]);
        double? factor = text[number.Length..] switch
        {
            "" => 1, "m" => 0.001, "k" => 1e3, "M" => 1e6, "G" => 1e9, "T" => 1e12,
            "Ki" => 1L << 10, "Mi" => 1L << 20, "Gi" => 1L << 30, "Ti" => 1L << 40,
            _ => null,
        };
        return factor is { } times && double.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? (long)(value * times) : null;
    }

    private static Dictionary<string, string> ClaimsOf(WorkloadName name, KubernetesObject item, JsonObject template)
    {
        Dictionary<string, string> claims = new(StringComparer.Ordinal);
        foreach (JsonNode? volume in template["volumes"] as JsonArray ?? [])
        {
            if ((string?)volume?["persistentVolumeClaim"]?["claimName"] is { } claim)
            {
                claims[(string?)volume["name"] ?? ""] = claim;
            }
        }

        int first = (int?)item.Raw["spec"]?["ordinals"]?["start"] ?? 0;
        foreach (JsonNode? claim in item.Raw["spec"]?["volumeClaimTemplates"] as JsonArray ?? [])
        {
            string volumeName = (string?)claim?["metadata"]?["name"] ?? "";
            claims[volumeName] = string.Create(CultureInfo.InvariantCulture, $"{volumeName}-{name.Name}-{first}");
        }

        return claims;
    }

    private static IEnumerable<ClaimMount> Mounts(JsonObject container) => (container["volumeMounts"] as JsonArray ?? [])
        .OfType<JsonObject>()
        .Where(static mount => mount["subPathExpr"] is null)
        .Select(static mount => new ClaimMount(
            (string?)mount["name"] ?? "",
            "",
            ((string?)mount["mountPath"] ?? "").TrimEnd('/'),
            (string?)mount["subPath"] is { Length: > 0 } part ? part : null));

    private static SmcException Unsuitable(WorkloadName name, string message) => new(SmcErrorCode.WorkloadUnsuitable, message, target: name.ToString());
}
