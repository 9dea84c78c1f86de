namespace SmcDr.Core.Kubernetes;

/// <summary>Which kinds of object a cluster has, as it was when it was asked.</summary>
public sealed class ResourceCatalog
{
    internal ResourceCatalog(IReadOnlyList<KubernetesResource> all, IReadOnlyList<UnavailableApi> unavailable, bool isAggregated)
    {
        All = all;
        Unavailable = unavailable;
        IsAggregated = isAggregated;
    }

    /// <summary>Every kind in every version, groups and versions in the order in which the cluster prefers them.</summary>
    public IReadOnlyList<KubernetesResource> All { get; }

    /// <summary>What the cluster cannot tell about: kinds in there are missing in <see cref="All"/>.</summary>
    public IReadOnlyList<UnavailableApi> Unavailable { get; }

    /// <summary>Whether the cluster told all at once, as it can from 1.27 on.</summary>
    public bool IsAggregated { get; }

    /// <summary>Every kind once, in its group's preferred version.</summary>
    public IEnumerable<KubernetesResource> Preferred => All.Where(static resource => resource.IsPreferred);

    /// <summary>The resource of a kind as an object names it.</summary>
    /// <exception cref="SmcException">The cluster has no such kind.</exception>
    public KubernetesResource Get(string apiVersion, string kind) => Find(apiVersion, kind) ?? throw NotThere(
        $"kind '{kind}' of '{apiVersion}'",
        All.Where(resource => resource.Kind == kind).Select(static resource => resource.ApiVersion));

    /// <summary>The resource of a kind as an object names it; null where there is none.</summary>
    public KubernetesResource? Find(string apiVersion, string kind) =>
        All.FirstOrDefault(resource => resource.Kind == kind && resource.ApiVersion == apiVersion);

    /// <summary>
    /// The resource by the name that an operator gives it: <c>deployments</c>, <c>deployment</c>, <c>deploy</c>, <c>deployments.apps</c> or
    /// <c>deployments.v1.apps</c>, in the preferred version unless one is named.
    /// </summary>
    /// <exception cref="SmcException">The cluster has no such kind.</exception>
    public KubernetesResource Get(string name) => Find(name) ?? throw NotThere($"kind '{name}'", []);

    /// <inheritdoc cref="Get(string)"/>
    public KubernetesResource? Find(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        // A kind without a group is looked for in all, those of the core first: that is the order of the list.
        return Match(Preferred, name, "") ?? Dotted(name);
    }

    private static KubernetesResource? Match(IEnumerable<KubernetesResource> resources, string name, string suffix)
    {
        KubernetesResource[] candidates = [.. resources.Where(resource => suffix.Length == 0 || resource.Group == suffix)];
        return candidates.FirstOrDefault(resource => Same(resource.Plural, name) || Same(resource.Singular, name) || Same(resource.Kind, name))
            ?? candidates.FirstOrDefault(resource => resource.ShortNames.Any(each => Same(each, name)));
    }

    private static bool Same(string left, string right) => left.Equals(right, StringComparison.OrdinalIgnoreCase);

    private KubernetesResource? Dotted(string name)
    {
        string[] parts = name.Split('.', 2);
        if (parts.Length < 2)
        {
            return null;
        }

        string[] rest = parts[1].Split('.', 2);
        string group = rest.Length > 1 ? rest[1] : "";
        return Match(Preferred, parts[0], parts[1])
            ?? Match(All.Where(resource => resource.Version == rest[0] && resource.Group == group), parts[0], "");
    }

    private SmcException NotThere(string what, IEnumerable<string> others)
    {
        string[] versions = [.. others.Distinct(StringComparer.Ordinal)];
        string dead = Unavailable.Count == 0 ? "" : $" The cluster cannot tell about {string.Join(", ", Unavailable.Select(static api => api.ApiVersion))}, where it may be.";
        return new SmcException(
            SmcErrorCode.ResourceNotFound,
            $"The cluster has no {what}{(versions.Length > 0 ? $", which it has in {string.Join(", ", versions)}" : "")}.{dead}",
            recommendation: Unavailable.Count == 0
                ? "Install what defines the kind (its CustomResourceDefinition), or correct the name; kubectl api-resources lists what there is."
                : "Bring up what serves the missing part of the API (kubectl get apiservices), then run the command again.");
    }
}
