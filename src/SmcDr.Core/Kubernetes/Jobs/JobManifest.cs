using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Jobs;

/// <summary>The objects that a command runs by: a Job or a Deployment, and the ConfigMap with the site file, which goes with it.</summary>
internal static class JobManifest
{
    public const string ContainerName = "smcdr";
    public const string InstanceLabel = "app.kubernetes.io/instance";
    public const string RevisionLabel = "smcdr/revision";
    public const string SiteDirectory = "/run/smcdr/site";
    private const string SiteFileName = "smcdr.yaml";

    /// <summary>Which command, image and site it is: what changes makes other pods.</summary>
    public static string RevisionOf(JobSpec spec)
    {
        string content = PodSpec(spec, "", "Always").ToJsonString() + spec.SiteText;
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content)).AsSpan(0, 5));
    }

    public static string ConfigMapNameOf(JobSpec spec) => $"{spec.Name}-{RevisionOf(spec)}";

    /// <summary>The labels by which the pods are found.</summary>
    public static string SelectorOf(JobSpec spec) => $"{InstanceLabel}={spec.Name},{RevisionLabel}={RevisionOf(spec)}";

    public static KubernetesObject Job(JobSpec spec) => new(new JsonObject
    {
        ["apiVersion"] = "batch/v1",
        ["kind"] = "Job",
        ["metadata"] = Metadata(spec, spec.Name),
        ["spec"] = new JsonObject
        {
            // A backup that failed is looked at; begun again by itself it would only fail later.
            ["backoffLimit"] = 0,
            ["completions"] = 1,
            ["parallelism"] = 1,
            ["ttlSecondsAfterFinished"] = (long)spec.TimeToLive.TotalSeconds,
            ["template"] = Template(spec, "Never"),
        },
    });

    public static KubernetesObject Deployment(JobSpec spec) => new(new JsonObject
    {
        ["apiVersion"] = "apps/v1",
        ["kind"] = "Deployment",
        ["metadata"] = Metadata(spec, spec.Name),
        ["spec"] = new JsonObject
        {
            ["replicas"] = 1,
            // Two streams of one cluster would only meet at the claim.
            ["strategy"] = new JsonObject { ["type"] = "Recreate" },
            ["selector"] = new JsonObject { ["matchLabels"] = new JsonObject { [InstanceLabel] = spec.Name } },
            ["template"] = Template(spec, "Always"),
        },
    });

    /// <summary>The site file, which the cluster's garbage collector removes with its owner.</summary>
    public static KubernetesObject ConfigMap(JobSpec spec, KubernetesObject owner)
    {
        JsonObject metadata = Metadata(spec, ConfigMapNameOf(spec));
        metadata["ownerReferences"] = ManifestParts.OwnedBy(owner);
        return new(new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "ConfigMap",
            ["metadata"] = metadata,
            ["data"] = new JsonObject { [SiteFileName] = spec.SiteText },
        });
    }

    private static JsonObject Metadata(JobSpec spec, string name) => new()
    {
        ["name"] = name,
        ["namespace"] = spec.Namespace,
        ["labels"] = Labels(spec),
    };

    private static JsonObject Labels(JobSpec spec) => new()
    {
        ["app.kubernetes.io/name"] = "smcdr",
        ["app.kubernetes.io/managed-by"] = "smcdr",
        [InstanceLabel] = spec.Name,
        [RevisionLabel] = RevisionOf(spec),
        ["smcdr/site"] = spec.SiteLabel,
    };

    private static JsonObject Template(JobSpec spec, string restartPolicy) => new()
    {
        ["metadata"] = new JsonObject
        {
            ["labels"] = Labels(spec),
            ["annotations"] = new JsonObject
            {
                // The proxy of a mesh does not end with the command, and a Job with it is never over.
                ["sidecar.istio.io/inject"] = "false",
                ["linkerd.io/inject"] = "disabled",
            },
        },
        ["spec"] = PodSpec(spec, ConfigMapNameOf(spec), restartPolicy),
    };

    private static JsonObject PodSpec(JobSpec spec, string configMap, string restartPolicy)
    {
        JsonArray volumes =
        [
            new JsonObject { ["name"] = "site", ["configMap"] = new JsonObject { ["name"] = configMap } },
            new JsonObject { ["name"] = "tmp", ["emptyDir"] = new JsonObject() },
        ];
        JsonArray mounts =
        [
            new JsonObject { ["name"] = "site", ["mountPath"] = SiteDirectory, ["readOnly"] = true },
            new JsonObject { ["name"] = "tmp", ["mountPath"] = "/tmp" },
        ];
        for (int i = 0; i < spec.Mounts.Count; i++)
        {
            JobMount mount = spec.Mounts[i];
            string name = string.Create(CultureInfo.InvariantCulture, $"mount-{i}");
            volumes.Add((JsonNode)JobPod.Volume(name, mount));
            mounts.Add((JsonNode)JobPod.Mount(name, mount));
        }

        JsonObject pod = new()
        {
            ["restartPolicy"] = restartPolicy,
            ["terminationGracePeriodSeconds"] = (long)spec.EndTimeout.TotalSeconds,
            ["securityContext"] = JobPod.Security(),
            ["containers"] = new JsonArray(new JsonObject
            {
                ["name"] = ContainerName,
                ["image"] = spec.Image,
                ["imagePullPolicy"] = "IfNotPresent",
                ["args"] = Texts(["--site", $"{SiteDirectory}/{SiteFileName}", .. spec.Arguments]),
                ["envFrom"] = JobPod.EnvironmentFrom(spec.EnvironmentSecrets),
                ["resources"] = JobPod.Resources(spec.Cpu, spec.Memory, spec.MemoryLimit),
                ["securityContext"] = JobPod.ContainerSecurity(),
                ["volumeMounts"] = mounts,
            }),
            ["volumes"] = volumes,
        };
        JobPod.SetAccounts(pod, spec.ServiceAccount, spec.ImagePullSecrets);
        return pod;
    }

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(static text => (JsonNode)text)]);
}
