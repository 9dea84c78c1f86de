using System.Globalization;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Jobs;

/// <summary>What every pod that runs the image of smcdr has, whatever makes it: an ordinary user, a root that is read only, and volumes from the site file.</summary>
internal static class JobPod
{
    /// <summary>The image's own user and its group (New-OciImage.ps1); files of volumes belong to the group, so that secrets need not be open to all.</summary>
    public const int UserId = 65532;

    // 440 in decimal, as the API has it.
    private const int GroupMode = 0x120;

    /// <summary>The pod's security.</summary>
    public static JsonObject Security() => new()
    {
        ["runAsNonRoot"] = true,
        ["fsGroup"] = UserId,
        ["seccompProfile"] = new JsonObject { ["type"] = "RuntimeDefault" },
    };

    /// <summary>The container's security.</summary>
    public static JsonObject ContainerSecurity() => new()
    {
        ["readOnlyRootFilesystem"] = true,
        ["allowPrivilegeEscalation"] = false,
        ["capabilities"] = new JsonObject { ["drop"] = new JsonArray("ALL") },
    };

    /// <summary>What of a node the container is sure of, and the memory that it may take. A processor that is idle is anybody's.</summary>
    /// <param name="cpu">Of a processor, such as <c>250m</c>.</param>
    /// <param name="memory">In bytes.</param>
    /// <param name="memoryLimit">In bytes.</param>
    public static JsonObject Resources(string cpu, long memory, long memoryLimit) => new()
    {
        ["requests"] = new JsonObject { ["cpu"] = cpu, ["memory"] = Bytes(memory) },
        ["limits"] = new JsonObject { ["memory"] = Bytes(memoryLimit) },
    };

    /// <summary>Secrets of which each key is an environment variable.</summary>
    public static JsonArray EnvironmentFrom(IEnumerable<string> secrets) =>
        new([.. secrets.Select(static name => new JsonObject { ["secretRef"] = new JsonObject { ["name"] = name } })]);

    /// <summary>Gives a pod its account, and that by which its image is pulled; without, the namespace's.</summary>
    public static void SetAccounts(JsonObject pod, string? serviceAccount, IReadOnlyList<string> imagePullSecrets)
    {
        if (serviceAccount is not null)
        {
            pod["serviceAccountName"] = serviceAccount;
        }

        if (imagePullSecrets.Count > 0)
        {
            pod["imagePullSecrets"] = new JsonArray([.. imagePullSecrets.Select(static name => new JsonObject { ["name"] = name })]);
        }
    }

    /// <summary>Where a volume is in a container. A claim alone can be written to.</summary>
    public static JsonObject Mount(string name, JobMount mount) =>
        new() { ["name"] = name, ["mountPath"] = mount.Path, ["readOnly"] = mount.Claim is null };

    /// <summary>The volume of a mount.</summary>
    public static JsonObject Volume(string name, JobMount mount)
    {
        if (mount.Claim is not null)
        {
            return new() { ["name"] = name, ["persistentVolumeClaim"] = new JsonObject { ["claimName"] = mount.Claim } };
        }

        if (mount.ConfigMap is not null)
        {
            return new() { ["name"] = name, ["configMap"] = new JsonObject { ["name"] = mount.ConfigMap } };
        }

        JsonObject secret = new() { ["secretName"] = mount.Secret, ["defaultMode"] = GroupMode };
        if (mount.Keys.Count > 0)
        {
            secret["items"] = new JsonArray([.. mount.Keys.Select(static key => new JsonObject { ["key"] = key, ["path"] = key })]);
        }

        return new() { ["name"] = name, ["secret"] = secret };
    }

    /// <summary>The volume of a mount that has a Secret's or ConfigMap's files and others beside them in one directory.</summary>
    public static JsonObject VolumeWith(string name, JobMount mount, JsonObject other)
    {
        JsonObject source = mount.Secret is not null
            ? new JsonObject { ["secret"] = new JsonObject { ["name"] = mount.Secret } }
            : new JsonObject { ["configMap"] = new JsonObject { ["name"] = mount.ConfigMap } };
        return new()
        {
            ["name"] = name,
            ["projected"] = new JsonObject { ["defaultMode"] = GroupMode, ["sources"] = new JsonArray(source, other) },
        };
    }

    private static string Bytes(long count) => count.ToString(CultureInfo.InvariantCulture);
}
