namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>All cleaners, in the order in which they see an object.</summary>
internal static class ResourceCleaners
{
    private static readonly IResourceCleaner[] s_all =
    [
        new TransientCleaner(),
        new NamespaceCleaner(),
        new DefinitionCleaner(),
        new ClassCleaner(),
        new VolumeCleaner(),
        new ClaimCleaner(),
        new ServiceAccountCleaner(),
        new ClusterRoleCleaner(),
        new SecretCleaner(),
        new ConfigMapCleaner(),
        new ServiceCleaner(),
        new EndpointSliceCleaner(),
        new PodCleaner(),
        new JobCleaner(),
        new WorkloadCleaner(),
        new AdmissionCleaner(),
        new MetadataCleaner(),
    ];

    /// <summary>Cleans an object in place, so that it is as somebody would have written it.</summary>
    /// <returns>Why it is no part of a configuration; null where it is.</returns>
    public static string? Clean(KubernetesObject item)
    {
        ArgumentNullException.ThrowIfNull(item);
        string group = ConfigurationLevel.GroupOf(item.ApiVersion);
        string? skipped = null;
        foreach (IResourceCleaner cleaner in s_all)
        {
            if (cleaner.AppliesTo(group, item.Kind))
            {
                skipped ??= cleaner.Clean(item);
            }
        }

        return skipped;
    }

    /// <summary>A cleaned copy; the object itself stays as it is.</summary>
    public static KubernetesObject Cleaned(KubernetesObject item)
    {
        ArgumentNullException.ThrowIfNull(item);
        KubernetesObject copy = new((System.Text.Json.Nodes.JsonObject)item.Raw.DeepClone());
        Clean(copy);
        return copy;
    }
}
