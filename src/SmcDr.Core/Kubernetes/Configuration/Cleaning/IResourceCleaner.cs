namespace SmcDr.Core.Kubernetes.Configuration.Cleaning;

/// <summary>Takes from objects of some kinds what a server put into them, so that any cluster takes them as if they were new.</summary>
internal interface IResourceCleaner
{
    /// <summary>Whether objects of a kind are this cleaner's.</summary>
    bool AppliesTo(string group, string kind);

    /// <summary>Cleans an object in place.</summary>
    /// <returns>Why the object is not kept at all; null where it is.</returns>
    string? Clean(KubernetesObject item);
}
