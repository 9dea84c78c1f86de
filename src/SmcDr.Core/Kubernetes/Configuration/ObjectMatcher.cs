using System.IO.Enumeration;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>A filter whose words have been looked up in what a cluster has.</summary>
internal sealed class ObjectMatcher
{
    private readonly ObjectFilter _filter;
    private readonly HashSet<string> _kinds;
    private readonly HashSet<string> _excluded;
    private readonly LabelSelector? _labels;
    private readonly NamespaceMapper _mapper;
    private readonly HashSet<(string Group, string Kind, string? Namespace, string Name)>? _objects;

    /// <param name="filter">The filter.</param>
    /// <param name="catalog">What the cluster has.</param>
    /// <param name="mapper">Where the objects that are asked for move to, before they are moved.</param>
    public ObjectMatcher(ObjectFilter filter, ResourceCatalog catalog, NamespaceMapper mapper)
    {
        _filter = filter;
        _mapper = mapper;
        _objects = filter.Objects?.Select(static each => (ConfigurationLevel.GroupOf(each.ApiVersion), each.Kind, each.Namespace, each.Name)).ToHashSet();
        _kinds = Resolve(filter.Kinds, catalog);
        _excluded = Resolve(filter.ExcludeKinds, catalog);
        _labels = filter.LabelSelector is null ? null : LabelSelector.Parse(filter.LabelSelector);
    }

    /// <summary>Whether objects of a kind may be meant.</summary>
    /// <param name="resource">The kind's full name, such as <c>deployments.apps</c>.</param>
    /// <param name="kind">The kind as objects have it, where that is known.</param>
    public bool MatchesKind(string resource, string? kind) =>
        (_kinds.Count == 0 || Has(_kinds, resource, kind)) && !Has(_excluded, resource, kind);

    /// <summary>Whether an object is meant.</summary>
    public bool Matches(string resource, KubernetesObject item) =>
        MatchesKind(resource, item.Kind)
        && (_filter.Names.Count == 0 || _filter.Names.Any(name => FileSystemName.MatchesSimpleExpression(name, item.Name, ignoreCase: false)))
        && (_labels is null || _labels.Matches(item.Labels))
        && (_objects is null || _objects.Contains((
            ConfigurationLevel.GroupOf(item.ApiVersion),
            item.Kind,
            item.Namespace is string name ? _mapper.Map(name) : null,
            item.Kind == "Namespace" ? _mapper.Map(item.Name) : item.Name)));

    /// <summary>Kinds that the cluster does not have yet, since their definitions are still to be restored, are known by what is in the backup alone.</summary>
    private static bool Has(HashSet<string> kinds, string resource, string? kind) =>
        kinds.Contains(resource) || kinds.Contains(resource.Split('.', 2)[0]) || (kind is not null && kinds.Contains(kind));

    private static HashSet<string> Resolve(IReadOnlyList<string> names, ResourceCatalog catalog)
    {
        HashSet<string> kinds = new(StringComparer.OrdinalIgnoreCase);
        foreach (string name in names)
        {
            kinds.Add(catalog.Find(name) is KubernetesResource resource ? resource.FullName : name);
        }

        return kinds;
    }
}
