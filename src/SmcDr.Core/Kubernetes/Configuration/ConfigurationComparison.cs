using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using SmcDr.Core.Kubernetes.Configuration.Cleaning;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>
/// Compares a cluster with the backup of its configuration. Both sides are cleaned the same way, so documents that are the same have the same digest, and only
/// those that are not are read. Nothing is changed. For one comparison.
/// </summary>
public sealed class ConfigurationComparison
{
    private const int LookUp = 500;

    private readonly KubernetesClient _client;
    private readonly BackupReader _reader;
    private readonly ObjectFilter _filter;
    private readonly NamespaceMapper _mapper;
    private readonly IOperationObserver _observer;

    /// <param name="client">The cluster.</param>
    /// <param name="reader">The backup.</param>
    /// <param name="filter">Which objects are compared.</param>
    /// <param name="namespaceMapping">Which namespaces of the backup are which others in the cluster.</param>
    /// <param name="observer">Told of progress, and warned of what cannot be compared.</param>
    public ConfigurationComparison(
        KubernetesClient client,
        BackupReader reader,
        ObjectFilter filter,
        IReadOnlyDictionary<string, string> namespaceMapping,
        IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(filter);
        _client = client;
        _reader = reader;
        _filter = filter;
        _mapper = new NamespaceMapper(namespaceMapping);
        _observer = observer;
    }

    /// <summary>Whether something could not be compared, because the backup or the cluster does not tell of it. Known at the end.</summary>
    public bool IsPartial { get; private set; }

    /// <summary>Compares, and tells every object that differs.</summary>
    /// <exception cref="SmcException">The backup is damaged, a namespace is not there, or the cluster cannot be asked.</exception>
    public async IAsyncEnumerable<ConfigurationDifference> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ConfigurationSource source = await ConfigurationSource.OpenAsync(_reader, cancellationToken).ConfigureAwait(false);
        string[] namespaces = [.. source.Details.Namespaces.Select(_mapper.Map).Distinct(StringComparer.Ordinal)];
        ObjectMatcher matcher = new(_filter, await _client.GetCatalogAsync(refresh: false, cancellationToken).ConfigureAwait(false), _mapper);
        Dictionary<string, (ManifestEntry Entry, Hash256 Hash)> stored = await LoadAsync(source, matcher, cancellationToken).ConfigureAwait(false);
        ScaledWorkloads scaled = await ScaledWorkloads.LoadAsync(_client, namespaces, cancellationToken).ConfigureAwait(false);
        ConfigurationCollector collector = new(_client, namespaces, !source.Details.WithoutSecrets, _observer);
        HashSet<string> unknown = [.. source.Details.Missing.Select(static gap => gap.What)];
        List<(CollectedObject Live, ManifestEntry Entry)> different = [];
        await foreach (CollectedObject live in collector.ReadAsync(cancellationToken).ConfigureAwait(false))
        {
            if (ConfigurationPaths.LevelOf(live.Path) is null || !matcher.Matches(live.Resource.FullName, live.Item))
            {
                continue;
            }

            if (!stored.Remove(live.Path, out (ManifestEntry Entry, Hash256 Hash) known))
            {
                if (!unknown.Contains(live.Resource.FullName) && !unknown.Contains(live.Resource.ApiVersion))
                {
                    yield return Describe(source, live.Item, "Added", []);
                }
            }
            else if (known.Hash != Hash256.Compute(YamlText.Write(live.Item.Raw)))
            {
                different.Add((live, known.Entry));
                if (different.Count >= LookUp)
                {
                    foreach (ConfigurationDifference difference in await CompareAsync(source, different, scaled, cancellationToken).ConfigureAwait(false))
                    {
                        yield return difference;
                    }

                    different.Clear();
                }
            }
        }

        foreach (ConfigurationDifference difference in await CompareAsync(source, different, scaled, cancellationToken).ConfigureAwait(false))
        {
            yield return difference;
        }

        unknown = [.. collector.Missing.Select(static gap => gap.What)];
        IsPartial = unknown.Count > 0 || source.Details.Missing.Count > 0;
        await foreach (IReadOnlyList<StoredDocument> window in source
            .ReadAsync(stored.Values.Select(static each => each.Entry).OrderBy(static entry => entry.Path, StringComparer.Ordinal), cancellationToken)
            .ConfigureAwait(false))
        {
            foreach (StoredDocument document in window)
            {
                string resource = ConfigurationPaths.ResourceOf(document.Entry.Path);
                if (matcher.Matches(resource, document.Item) && !unknown.Contains(resource) && !unknown.Contains(document.Item.ApiVersion)
                    && !unknown.Contains($"{resource}/{document.Item.Name}"))
                {
                    _mapper.Apply(document.Item);
                    yield return Describe(source, document.Item, "Removed", []);
                }
            }
        }
    }

    /// <summary>What the backup has, by the path that it would have if it had been taken of the namespaces that it is compared with.</summary>
    private async Task<Dictionary<string, (ManifestEntry Entry, Hash256 Hash)>> LoadAsync(
        ConfigurationSource source, ObjectMatcher matcher, CancellationToken cancellationToken)
    {
        Dictionary<string, (ManifestEntry, Hash256)> stored = new(StringComparer.Ordinal);
        ManifestEntry[] entries =
        [
            .. source.Entries.Where(entry =>
                ConfigurationPaths.LevelOf(entry.Path) is not null
                && (_filter.Kinds.Count + _filter.ExcludeKinds.Count == 0 || matcher.MatchesKind(ConfigurationPaths.ResourceOf(entry.Path), null))),
        ];
        if (_mapper.IsEmpty)
        {
            foreach (ManifestEntry entry in entries)
            {
                stored[entry.Path] = (entry, entry.Hash ?? (entry.Extents is [{ Block: { } block }] ? block.Hash : default));
            }

            return stored;
        }

        await foreach (IReadOnlyList<StoredDocument> window in source.ReadAsync(entries, cancellationToken).ConfigureAwait(false))
        {
            foreach (StoredDocument document in window)
            {
                _mapper.Apply(document.Item);
                stored[PathOf(document)] = (document.Entry, Hash256.Compute(YamlText.Write(document.Item.Raw)));
            }
        }

        return stored;
    }

    private static string PathOf(StoredDocument document)
    {
        string[] resource = ConfigurationPaths.ResourceOf(document.Entry.Path).Split('.', 2);
        return ConfigurationPaths.Of(
            new KubernetesResource
            {
                Group = resource.Length > 1 ? resource[1] : "",
                Version = "",
                Plural = resource[0],
                Kind = document.Item.Kind,
                IsNamespaced = document.Item.Namespace is not null,
            },
            document.Item);
    }

    private async Task<IReadOnlyList<ConfigurationDifference>> CompareAsync(
        ConfigurationSource source,
        List<(CollectedObject Live, ManifestEntry Entry)> different,
        ScaledWorkloads scaled,
        CancellationToken cancellationToken)
    {
        Dictionary<string, CollectedObject> live = different.ToDictionary(static each => each.Entry.Path, static each => each.Live, StringComparer.Ordinal);
        List<ConfigurationDifference> result = [];
        await foreach (IReadOnlyList<StoredDocument> window in source.ReadAsync(
            different.Select(static each => each.Entry).OrderBy(static entry => entry.Path, StringComparer.Ordinal), cancellationToken).ConfigureAwait(false))
        {
            foreach (StoredDocument document in window)
            {
                KubernetesObject now = live[document.Entry.Path].Item;
                _mapper.Apply(document.Item);
                // What kubectl notes for itself says again what the fields say.
                document.Item.Metadata?.RemoveFrom("annotations", FieldOwnership.LastApplied);
                now.Metadata?.RemoveFrom("annotations", FieldOwnership.LastApplied);
                bool isScaled = scaled.Contains(now);
                ObjectDifference[] differences =
                [
                    .. ObjectDifference.Between(document.Item.Raw, now.Raw)
                        .Where(difference => !(isScaled && difference.Path.ToString() == "spec.replicas")),
                ];
                if (differences.Length > 0)
                {
                    result.Add(Describe(source, now, "Changed", differences));
                }
            }
        }

        return result;
    }

    private static ConfigurationDifference Describe(
        ConfigurationSource source, KubernetesObject item, string difference, IReadOnlyList<ObjectDifference> differences) => new()
        {
            BackupId = source.Header.Id,
            Difference = difference,
            Kind = item.Kind,
            ApiVersion = item.ApiVersion,
            Namespace = item.Namespace,
            Name = item.Name,
            Changes = [.. differences.Select(each => each.ToResult(item.Kind == "Secret"))],
        };
}
