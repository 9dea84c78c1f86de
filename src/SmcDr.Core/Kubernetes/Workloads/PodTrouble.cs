using System.Globalization;
using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>Why a pod does not do what it should, as its status tells.</summary>
internal static class PodTrouble
{
    /// <summary>Whether a pod does what it should.</summary>
    public static bool IsReady(KubernetesObject pod) => (pod.Raw["status"]?["conditions"] as JsonArray ?? [])
        .Any(static condition => (string?)condition?["type"] == "Ready" && (string?)condition["status"] == "True");

    /// <summary>Why a pod is not ready.</summary>
    public static string Describe(KubernetesObject pod)
    {
        JsonNode? status = pod.Raw["status"];
        string phase = KubeText.Clean((string?)status?["phase"], 40);
        // What became of the pod as a whole, such as its eviction, is the reason; how its containers ended then (137) is not.
        if (phase == "Failed" && (string?)status?["reason"] is { } fate)
        {
            return $"{phase}: {KubeText.Clean(fate, 80)}{Colon((string?)status["message"])}";
        }

        foreach (JsonNode? condition in status?["conditions"] as JsonArray ?? [])
        {
            if ((string?)condition?["type"] == "PodScheduled" && (string?)condition["status"] == "False")
            {
                return $"no node takes it: {KubeText.Clean((string?)condition["message"], 300)}";
            }
        }

        foreach (JsonNode? container in (status?["initContainerStatuses"] as JsonArray ?? []).Concat(status?["containerStatuses"] as JsonArray ?? []))
        {
            string name = KubeText.Clean((string?)container?["name"], 63);
            if (container?["state"]?["waiting"] is { } waiting && (string?)waiting["reason"] is { } reason and not ("ContainerCreating" or "PodInitializing"))
            {
                string last = container["lastState"]?["terminated"] is { } ended ? $", its last run {Ending(ended)}" : "";
                return $"the container '{name}' waits: {KubeText.Clean(reason, 80)}{Colon((string?)waiting["message"])}{last}";
            }

            if (container?["state"]?["terminated"] is { } terminated && (int?)terminated["exitCode"] != 0)
            {
                return $"the container '{name}' {Ending(terminated)}";
            }
        }

        return (string?)status?["reason"] is { } why
            ? $"{phase}: {KubeText.Clean(why, 80)}{Colon((string?)status["message"])}"
            : phase == "Running" ? "it runs and is not ready" : $"it is {(phase.Length > 0 ? phase : "not seen by its node yet")}";
    }

    /// <summary>Why a pod that should go is still there.</summary>
    public static string DescribeEnd(KubernetesObject pod)
    {
        string node = (string?)pod.Raw["spec"]?["nodeName"] is { } name ? $" on the node {KubeText.Clean(name, 253)}" : "";
        return pod.DeletionTime is not { } time
            ? $"{KubeText.Clean((string?)pod.Raw["status"]?["phase"], 40)}{node}, and not asked to go"
            : $"ending{node}, was to be gone {KubeText.Time(time)}" +
                (pod.Finalizers.Count > 0 ? $", waits for {string.Join(", ", pod.Finalizers)}" : "");
    }

    private static string Ending(JsonNode terminated) =>
        string.Create(CultureInfo.InvariantCulture, $"ended with exit code {(int?)terminated["exitCode"]}{Colon((string?)terminated["reason"])}");

    private static string Colon(string? text) => KubeText.Clean(text, 300) is { Length: > 0 } clean ? $" ({clean})" : "";
}
