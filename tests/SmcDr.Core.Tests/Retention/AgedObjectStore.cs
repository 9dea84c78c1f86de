using System.Runtime.CompilerServices;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Tests.Retention;

/// <summary>A store in which some objects are three days older than they are.</summary>
internal sealed class AgedObjectStore(IObjectStore inner, Func<string, bool> isOld) : IObjectStore
{
    public string Location => inner.Location;

    public Task<ObjectWriter> CreateAsync(string key, CancellationToken cancellationToken) => inner.CreateAsync(key, cancellationToken);

    public Task PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        inner.PutAsync(key, content, cancellationToken);

    public Task<Stream> OpenReadAsync(string key, long offset, long? length, CancellationToken cancellationToken) =>
        inner.OpenReadAsync(key, offset, length, cancellationToken);

    public async Task<ObjectInfo?> GetInfoAsync(string key, CancellationToken cancellationToken) =>
        await inner.GetInfoAsync(key, cancellationToken) is { } info ? Age(info) : null;

    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (ObjectInfo info in inner.ListAsync(prefix, cancellationToken))
        {
            yield return Age(info);
        }
    }

    public IAsyncEnumerable<string> ListFoldersAsync(string prefix, CancellationToken cancellationToken) =>
        inner.ListFoldersAsync(prefix, cancellationToken);

    public Task DeleteAsync(string key, CancellationToken cancellationToken) => inner.DeleteAsync(key, cancellationToken);

    public Task<ObjectStoreCapabilities> ProbeAsync(CancellationToken cancellationToken) => inner.ProbeAsync(cancellationToken);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private ObjectInfo Age(ObjectInfo info) => isOld(info.Key) ? info with { LastModified = info.LastModified.AddDays(-3) } : info;
}
