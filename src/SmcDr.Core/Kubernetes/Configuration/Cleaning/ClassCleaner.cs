namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>The priority classes of the system are in every cluster.</summary>
internal sealed class ClassCleaner : IResourceCleaner
{
    public bool AppliesTo(string group, string kind) => group == "scheduling.k8s.io" && kind == "PriorityClass";

    public string? Clean(KubernetesObject item) =>
        item.Name.StartsWith("system-", StringComparison.Ordinal) ? "the cluster's own" : null;
}
