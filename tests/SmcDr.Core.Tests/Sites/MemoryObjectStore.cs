using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Tests.Sites;

/// <summary>As much of an object store as checks need, with switches for what may be wrong with one.</summary>
internal sealed class MemoryObjectStore : IObjectStore
{
    public ConcurrentDictionary<string, byte[]> Objects { get; } = new(StringComparer.Ordinal);

    public bool IsReadOnly { get; init; }

    public bool Damages { get; init; }

    public bool HidesInListings { get; init; }

    public ObjectStoreCapabilities Capabilities { get; init; } = new(true, false, false);

    public bool IsDisposed { get; private set; }

    public string Location => "memory";

    public Task<ObjectWriter> CreateAsync(string key, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        if (IsReadOnly)
        {
            throw new SmcException(SmcErrorCode.StorageAccessDenied, $"'{Location}' may not be written.");
        }

        byte[] stored = content.ToArray();
        if (Damages)
        {
            stored[^1] ^= 1;
        }

        return Objects.TryAdd(key, stored) ? Task.CompletedTask : throw new SmcException(SmcErrorCode.ObjectExists, key);
    }

    public Task<Stream> OpenReadAsync(string key, long offset, long? length, CancellationToken cancellationToken) =>
        Objects.TryGetValue(key, out byte[]? content)
            ? Task.FromResult<Stream>(new MemoryStream(content.Skip((int)offset).Take((int)(length ?? int.MaxValue)).ToArray()))
            : throw new SmcException(SmcErrorCode.ObjectNotFound, key);

    public Task<ObjectInfo?> GetInfoAsync(string key, CancellationToken cancellationToken) => throw new NotSupportedException();

    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.Yield();
        foreach ((string key, byte[] content) in Objects.Where(o => !HidesInListings && o.Key.StartsWith(prefix, StringComparison.Ordinal)))
        {
            yield return new ObjectInfo(key, content.Length, DateTimeOffset.UnixEpoch);
        }
    }

    public IAsyncEnumerable<string> ListFoldersAsync(string prefix, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        Objects.TryRemove(key, out _);
        return Task.CompletedTask;
    }

    public Task<ObjectStoreCapabilities> ProbeAsync(CancellationToken cancellationToken) => Task.FromResult(Capabilities);

    public ValueTask DisposeAsync()
    {
        IsDisposed = true;
        return ValueTask.CompletedTask;
    }
}
