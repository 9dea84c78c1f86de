namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>The tokens of an account are named in it; those that the cluster made do not exist elsewhere.</summary>
internal sealed class ServiceAccountCleaner : IResourceCleaner
{
    public bool AppliesTo(string group, string kind) => group.Length == 0 && kind == "ServiceAccount";

    public string? Clean(KubernetesObject item)
    {
        item.Raw.RemoveWhere("secrets", each =>
            each.TextAt("name") is string name
            && (SecretCleaner.IsGenerated(name, item.Name, "-token-") || SecretCleaner.IsGenerated(name, item.Name, "-dockercfg-")));
        return null;
    }
}
