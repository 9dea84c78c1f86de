using System.Collections.Concurrent;
using SmcDr.Core.Kubernetes.Configuration.Cleaning;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>
/// What is in a cluster already, by the digest of the document that a backup would hold of it: where most is as it was, one list tells it in place of a request for
/// each object. Safe for concurrent use.
/// </summary>
internal sealed class LiveIndex(KubernetesClient client, IOperationObserver observer)
{
    private readonly ConcurrentDictionary<(string Resource, string? Namespace), Lazy<Task<IReadOnlyDictionary<string, Hash256>?>>> _lists = new();

    /// <summary>The names and digests of a kind in a namespace; null where they cannot be listed.</summary>
    public Task<IReadOnlyDictionary<string, Hash256>?> GetAsync(
        KubernetesResource resource, string? name, CancellationToken cancellationToken) =>
        _lists.GetOrAdd(
            (resource.FullName, name),
            _ => new Lazy<Task<IReadOnlyDictionary<string, Hash256>?>>(() => LoadAsync(resource, name, cancellationToken))).Value;

    private async Task<IReadOnlyDictionary<string, Hash256>?> LoadAsync(
        KubernetesResource resource, string? name, CancellationToken cancellationToken)
    {
        Dictionary<string, Hash256> index = new(StringComparer.Ordinal);
        try
        {
            await foreach (KubernetesObject item in client.ListAsync(resource, name, null, cancellationToken).ConfigureAwait(false))
            {
                // What is being deleted is no match, whatever it looks like.
                index[item.Name] = ResourceCleaners.Clean(item) is null ? Hash256.Compute(YamlText.Write(item.Raw)) : default;
            }

            return index;
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ClusterForbidden)
        {
            observer.Verbose($"Each object is asked for alone: {e.Message}");
            return null;
        }
    }
}
