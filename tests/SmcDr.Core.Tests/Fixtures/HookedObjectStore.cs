using System.Globalization;
using System.Runtime.CompilerServices;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>A store before which a test stands: it hears of each call, and may let something else happen first, or let it fail.</summary>
public sealed class HookedObjectStore(IObjectStore inner, Func<string, string, Task> before) : IObjectStore
{
    private int _calls;

    public string Location => inner.Location;

    /// <summary>How many calls there were.</summary>
    public int Calls => _calls;

    /// <summary>A store that is dead from its n-th call on, as after kill -9.</summary>
    public static HookedObjectStore DyingAt(IObjectStore inner, int call)
    {
        HookedObjectStore? store = null;
        store = new HookedObjectStore(inner, (_, _) => store!.Calls >= call
            ? throw new SmcException(SmcErrorCode.StorageUnavailable, string.Create(CultureInfo.InvariantCulture, $"Killed at call {call}."))
            : Task.CompletedTask);
        return store;
    }

    public async Task<ObjectWriter> CreateAsync(string key, CancellationToken cancellationToken)
    {
        await EnterAsync("create", key);
        return await inner.CreateAsync(key, cancellationToken);
    }

    public async Task PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await EnterAsync("put", key);
        await inner.PutAsync(key, content, cancellationToken);
    }

    public async Task<Stream> OpenReadAsync(string key, long offset, long? length, CancellationToken cancellationToken)
    {
        await EnterAsync("read", key);
        return await inner.OpenReadAsync(key, offset, length, cancellationToken);
    }

    public async Task<ObjectInfo?> GetInfoAsync(string key, CancellationToken cancellationToken)
    {
        await EnterAsync("info", key);
        return await inner.GetInfoAsync(key, cancellationToken);
    }

    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await EnterAsync("list", prefix);
        await foreach (ObjectInfo info in inner.ListAsync(prefix, cancellationToken))
        {
            yield return info;
        }
    }

    public async IAsyncEnumerable<string> ListFoldersAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await EnterAsync("folders", prefix);
        await foreach (string folder in inner.ListFoldersAsync(prefix, cancellationToken))
        {
            yield return folder;
        }
    }

    public async Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        await EnterAsync("delete", key);
        await inner.DeleteAsync(key, cancellationToken);
    }

    public async Task LockAsync(string key, DateTimeOffset until, ObjectLockMode mode, CancellationToken cancellationToken)
    {
        await EnterAsync("lock", key);
        await inner.LockAsync(key, until, mode, cancellationToken);
    }

    public Task<ObjectStoreCapabilities> ProbeAsync(CancellationToken cancellationToken) => inner.ProbeAsync(cancellationToken);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async Task EnterAsync(string operation, string key)
    {
        Interlocked.Increment(ref _calls);
        await before(operation, key);
    }
}
