using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes.Configuration.Cleaning;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>
/// Reads the configuration of namespaces from a cluster: all kinds that it has in them, and what of the cluster they need. Page by page, so that memory does
/// not grow with the objects but for their names. For one reading.
/// </summary>
internal sealed class ConfigurationCollector(KubernetesClient client, IReadOnlyList<string> namespaces, bool withSecrets, IOperationObserver observer)
{
    private readonly ClusterNeeds _needs = new(namespaces);
    private readonly HelmReleases _helm = new();
    private readonly Dictionary<string, long> _counts = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _skipped = new(StringComparer.Ordinal);
    private readonly List<ConfigurationGap> _missing = [];

    // By uid: what was seen and is dealt with. An object that one of them controls is made anew by its controller.
    private readonly HashSet<string> _settled = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Dependent> _dependents = new(StringComparer.Ordinal);
    private readonly HashSet<(string, string)> _selecting = [];
    private readonly Dictionary<string, string> _deadGroups = new(StringComparer.Ordinal);
    private ResourceCatalog _catalog = null!;

    /// <summary>How many objects there are of each kind; complete when all have been read.</summary>
    public IReadOnlyDictionary<string, long> Counts => _counts;

    /// <summary>How many objects were left out, by the reason.</summary>
    public IReadOnlyDictionary<string, long> Skipped => _skipped;

    /// <summary>What could not be read.</summary>
    public IReadOnlyList<ConfigurationGap> Missing => _missing;

    /// <summary>The releases of Helm in the namespaces.</summary>
    public IReadOnlyList<HelmReleaseInfo> Releases => _helm.List;

    /// <summary>Reads all.</summary>
    /// <exception cref="SmcException">A namespace is not there, or the cluster cannot be asked.</exception>
    public async IAsyncEnumerable<CollectedObject> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        List<KubernetesObject> spaces = [];
        foreach (string name in namespaces)
        {
            KubernetesObject space = await client.GetAsync(KubernetesResource.Namespaces, null, name, cancellationToken).ConfigureAwait(false);
            if (space.DeletionTime is not null)
            {
                // What is left of it is read: it may be the last chance. But it is not all.
                Miss(name, "the namespace is being deleted, and some of it is gone already");
                space.Metadata!.Remove("deletionTimestamp");
            }

            spaces.Add(space);
        }

        _catalog = await client.GetCatalogAsync(refresh: true, cancellationToken).ConfigureAwait(false);
        foreach (UnavailableApi api in _catalog.Unavailable)
        {
            // What only measures is no part of a configuration, and often down.
            if (!TransientCleaner.IsTransient(ConfigurationLevel.GroupOf(api.ApiVersion), ""))
            {
                Miss(api.ApiVersion, api.Reason);
            }
        }

        if (!withSecrets)
        {
            await ReadReleasesAsync(cancellationToken).ConfigureAwait(false);
        }

        foreach (KubernetesResource resource in Kinds())
        {
            foreach (string name in namespaces)
            {
                await foreach (KubernetesObject item in ListAsync(resource, name, cancellationToken).ConfigureAwait(false))
                {
                    if (Take(resource, item) is CollectedObject taken)
                    {
                        yield return taken;
                    }
                }
            }
        }

        foreach (Dependent dependent in _dependents.Values.Where(IsOnItsOwn).ToArray())
        {
            if (await client.TryGetAsync(dependent.Resource, dependent.Namespace, dependent.Name, cancellationToken).ConfigureAwait(false) is KubernetesObject item
                && Keep(dependent.Resource, item) is CollectedObject taken)
            {
                yield return taken;
            }
        }

        foreach (KubernetesObject space in spaces)
        {
            if (Keep(KubernetesResource.Namespaces, space) is CollectedObject taken)
            {
                yield return taken;
            }
        }

        await foreach (CollectedObject taken in ReadClusterAsync(cancellationToken).ConfigureAwait(false))
        {
            yield return taken;
        }
    }

    /// <summary>
    /// The kinds in the order of their levels, which is that of the documents. A kind that two groups have is taken from the younger one: the objects are
    /// the same. Services stand before their endpoints.
    /// </summary>
    private IEnumerable<KubernetesResource> Kinds() => _catalog.Preferred
        // What cannot be made by hand, such as what is measured, could not be restored either.
        .Where(resource => resource.IsNamespaced && resource.Can("list") && resource.Can("create")
            && !TransientCleaner.IsTransient(resource.Group, resource.Kind)
            && (withSecrets || resource.FullName != KubernetesResource.Secrets.FullName))
        .OrderBy(static resource => ConfigurationLevel.Of(resource.Group, resource.Kind), StringComparer.Ordinal)
        .ThenBy(static resource => resource.Group == "extensions")
        .ThenBy(static resource => resource.Kind == "Endpoints")
        .ThenBy(static resource => resource.FullName, StringComparer.Ordinal);

    private async IAsyncEnumerable<KubernetesObject> ListAsync(
        KubernetesResource resource, string? name, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (_deadGroups.TryGetValue(resource.ApiVersion, out string? dead))
        {
            if (!_missing.Any(gap => gap.What == resource.FullName))
            {
                Miss(resource.FullName, dead);
            }

            yield break;
        }

        IAsyncEnumerator<KubernetesObject> items = client.ListAsync(resource, name, null, cancellationToken).GetAsyncEnumerator(cancellationToken);
        await using (items.ConfigureAwait(false))
        {
            while (true)
            {
                try
                {
                    if (!await items.MoveNextAsync().ConfigureAwait(false))
                    {
                        yield break;
                    }
                }
                catch (SmcException e) when (IsGap(e))
                {
                    Miss(resource.FullName, e.Message);
                    if (e.Code == SmcErrorCode.ClusterUnavailable && !ConfigurationLevel.IsBuiltIn(resource.Group))
                    {
                        // Whoever serves this kind does not answer, and would not for its others. The API server's own kinds fail one by one, as Secrets do
                        // that it cannot decrypt.
                        _deadGroups.Add(resource.ApiVersion, e.Message);
                    }

                    yield break;
                }

                yield return items.Current;
            }
        }
    }

    /// <summary>Whether it is this kind alone that cannot be read: the server itself answered, and knows who asks.</summary>
    private static bool IsGap(SmcException exception) =>
        exception.Code != SmcErrorCode.ClusterAuthenticationFailed && KubernetesStatusException.Of(exception) is not null;

    private void Miss(string what, string reason)
    {
        _missing.Add(new ConfigurationGap(what, reason.TrimEnd('.')));
        observer.Warning($"The backup lacks '{what}': {reason.TrimEnd('.')}.");
    }

    private void Skip(string reason) => _skipped[reason] = _skipped.GetValueOrDefault(reason) + 1;

    private CollectedObject? Take(KubernetesResource resource, KubernetesObject item)
    {
        if (item.Uid is string uid)
        {
            if (_settled.Contains(uid))
            {
                // The same object by another group's name.
                return null;
            }

            if (ControllerOf(item) is string owner)
            {
                _dependents[uid] = new Dependent(resource, item.Namespace, item.Name, owner);
                return null;
            }
        }

        if (resource is { Group: "", Kind: "Service" } && item.Raw.At("spec", "selector") is JsonObject { Count: > 0 })
        {
            _selecting.Add((item.Namespace ?? "", item.Name));
        }
        else if (resource is { Group: "", Kind: "Endpoints" } && _selecting.Contains((item.Namespace ?? "", item.Name)))
        {
            Skip("made from a service");
            return null;
        }

        return Keep(resource, item);
    }

    private CollectedObject? Keep(KubernetesResource resource, KubernetesObject item)
    {
        if (item.Uid is string uid && !_settled.Add(uid))
        {
            return null;
        }

        if (HelmReleases.IsRelease(item))
        {
            Note(item);
        }

        _needs.Look(resource, item);
        bool isProvisioned = resource is { Group: "", Kind: "PersistentVolume" } && VolumeCleaner.IsGoneWithItsClaim(item);
        if (ResourceCleaners.Clean(item) is string reason)
        {
            Skip(reason);
            return null;
        }

        _counts[resource.FullName] = _counts.GetValueOrDefault(resource.FullName) + 1;
        return new CollectedObject(
            resource, item, isProvisioned ? ConfigurationPaths.OfProvisionedVolume(item.Name) : ConfigurationPaths.Of(resource, item));
    }

    private void Note(KubernetesObject item)
    {
        if (_helm.Add(item) is string reason)
        {
            observer.Warning($"What Helm notes of a release in '{item}' cannot be read, and is only kept: {reason}.");
        }
    }

    private static string? ControllerOf(KubernetesObject item) => item.Metadata?["ownerReferences"].Maps()
        .FirstOrDefault(static owner => owner["controller"] is JsonValue value && value.TryGetValue(out bool isController) && isController)
        .TextAt("uid");

    /// <summary>Whether nothing that was seen makes the object anew: its controller, or the controller's, is elsewhere or gone.</summary>
    private bool IsOnItsOwn(Dependent dependent)
    {
        HashSet<string> seen = new(StringComparer.Ordinal);
        string owner = dependent.Owner;
        while (_dependents.TryGetValue(owner, out Dependent? next) && seen.Add(owner))
        {
            owner = next.Owner;
        }

        if (!_settled.Contains(owner))
        {
            // The topmost one that is here is kept, and makes the others.
            return dependent.Owner == owner;
        }

        Skip("made by its controller");
        return false;
    }

    private async Task ReadReleasesAsync(CancellationToken cancellationToken)
    {
        foreach (string name in namespaces)
        {
            try
            {
                await foreach (KubernetesObject item in client.ListAsync(
                    KubernetesResource.Secrets, name, new ListOptions { LabelSelector = "owner=helm" }, cancellationToken).ConfigureAwait(false))
                {
                    if (HelmReleases.IsRelease(item))
                    {
                        Note(item);
                    }
                }
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.ClusterForbidden)
            {
                observer.Verbose($"Which releases of Helm there are in '{name}' is not known: {e.Message}");
            }
        }
    }

    private async IAsyncEnumerable<CollectedObject> ReadClusterAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (string kind in ClusterNeeds.ListedKinds)
        {
            if (_catalog.Find(kind) is KubernetesResource resource)
            {
                await foreach (KubernetesObject item in ListAsync(resource, null, cancellationToken).ConfigureAwait(false))
                {
                    if (_needs.Concerns(item) && Keep(resource, item) is CollectedObject taken)
                    {
                        yield return taken;
                    }
                }
            }
        }

        // Roles name further roles, and volumes classes, so this goes on until nothing new is named.
        while (_needs.Next() is var (kind, name))
        {
            if (_catalog.Find(kind) is not KubernetesResource resource)
            {
                continue;
            }

            KubernetesObject? item = null;
            try
            {
                item = await client.TryGetAsync(resource, null, name, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (IsGap(e))
            {
                Miss(string.Create(CultureInfo.InvariantCulture, $"{resource.FullName}/{name}"), e.Message);
            }

            if (item is not null && Keep(resource, item) is CollectedObject taken)
            {
                yield return taken;
            }
        }
    }

    /// <summary>An object that another one controls.</summary>
    private sealed record Dependent(KubernetesResource Resource, string? Namespace, string Name, string Owner);
}
