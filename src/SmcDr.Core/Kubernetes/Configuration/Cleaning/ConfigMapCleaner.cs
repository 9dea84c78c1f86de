namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>The authority of a cluster is put into every namespace by the cluster.</summary>
internal sealed class ConfigMapCleaner : IResourceCleaner
{
    public bool AppliesTo(string group, string kind) => group.Length == 0 && kind == "ConfigMap";

    public string? Clean(KubernetesObject item) =>
        item.Name is "kube-root-ca.crt" or "openshift-service-ca.crt" ? "authority of the cluster" : null;
}
