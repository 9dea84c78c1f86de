namespace SmcDr.Core.Kubernetes.Workloads;

/// <summary>What the cluster said about an object: of a volume that cannot be mounted, or a pod that is not made, its own state says nothing.</summary>
internal static class PodEvents
{
    private static readonly KubernetesResource s_events = new() { Version = "v1", Plural = "events", Kind = "Event", IsNamespaced = true };

    /// <summary>The last warning about an object; empty where there is none, or events may not be read.</summary>
    public static async Task<string> LastWarningAsync(
        KubernetesClient client, string @namespace, string name, string? uid, CancellationToken cancellationToken)
    {
        try
        {
            string warned = "";
            await foreach (KubernetesObject item in client.ListAsync(
                s_events, @namespace, new ListOptions { FieldSelector = "involvedObject.name=" + name }, cancellationToken).ConfigureAwait(false))
            {
                if ((string?)item.Raw["type"] == "Warning" && (string?)item.Raw["involvedObject"]?["uid"] == uid)
                {
                    warned = KubeText.Clean((string?)item.Raw["message"], 300);
                }
            }

            return warned;
        }
        catch (SmcException)
        {
            // Who may not read events gets what the object says itself.
            return "";
        }
    }
}
