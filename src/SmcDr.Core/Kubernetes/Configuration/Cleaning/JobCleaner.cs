using System.Text.Json.Nodes;

namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>A job that ran must not run again. Of one that has not ended the labels go that bind its pods to this very job.</summary>
internal sealed class JobCleaner : IResourceCleaner
{
    private static readonly string[] s_labels =
        ["controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name"];

    public bool AppliesTo(string group, string kind) => group == "batch" && kind == "Job";

    public string? Clean(KubernetesObject item)
    {
        if (item.Raw.At("status", "conditions").Maps().Any(static condition =>
            condition.TextAt("type") is "Complete" or "Failed" && condition.TextAt("status") == "True"))
        {
            return "completed";
        }

        if (item.Raw["spec"] is JsonObject spec && spec["manualSelector"]?.GetValue<bool>() != true)
        {
            (spec["selector"] as JsonObject)?.RemoveFrom("matchLabels", s_labels);
            if (spec["selector"] is JsonObject { Count: 0 })
            {
                spec.Remove("selector");
            }

            (spec.At("template", "metadata") as JsonObject)?.RemoveFrom("labels", s_labels);
            item.Metadata?.RemoveFrom("labels", s_labels);
        }

        return null;
    }
}
