using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>An object store in memory that keeps the contract, with hooks for what a test wants to go wrong or to wait.</summary>
public sealed class MemoryObjectStore : IObjectStore
{
    private readonly ConcurrentDictionary<string, (byte[] Content, DateTimeOffset Time)> _objects = new(StringComparer.Ordinal);

    /// <summary>Called before an object is stored; it may wait or throw.</summary>
    public Func<string, CancellationToken, Task>? BeforePut { get; set; }

    /// <summary>Called after an object was stored.</summary>
    public Func<string, Task>? AfterPut { get; set; }

    /// <summary>Called before an object is removed; it may wait or throw.</summary>
    public Func<string, CancellationToken, Task>? BeforeDelete { get; set; }

    /// <summary>Called before an object is read, with offset and length.</summary>
    public Action<string, long, long?>? BeforeRead { get; set; }

    public string Location => "memory://test";

    public IReadOnlyList<string> Keys => [.. _objects.Keys.Order(StringComparer.Ordinal)];

    public byte[] this[string key]
    {
        get => _objects[key].Content;
        set => _objects[key] = (value, DateTimeOffset.UtcNow);
    }

    public Task<ObjectWriter> CreateAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult<ObjectWriter>(new Writer(this, key));
    }

    public async Task PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        cancellationToken.ThrowIfCancellationRequested();
        if (BeforePut is { } hook)
        {
            await hook(key, cancellationToken);
        }

        if (!_objects.TryAdd(key, (content.ToArray(), DateTimeOffset.UtcNow)))
        {
            throw new SmcException(SmcErrorCode.ObjectExists, $"The object '{key}' exists.", target: key);
        }

        if (AfterPut is { } after)
        {
            await after(key);
        }
    }

    public Task<Stream> OpenReadAsync(string key, long offset, long? length, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        cancellationToken.ThrowIfCancellationRequested();
        BeforeRead?.Invoke(key, offset, length);
        if (!_objects.TryGetValue(key, out (byte[] Content, DateTimeOffset Time) stored))
        {
            throw new SmcException(SmcErrorCode.ObjectNotFound, $"The object '{key}' does not exist.", target: key);
        }

        long end = length is { } count ? offset + count : stored.Content.Length;
        return offset < 0 || end < offset || end > stored.Content.Length
            ? throw new SmcException(
                SmcErrorCode.ObjectTruncated, $"The object '{key}' ends before byte {end}.", target: key)
            : Task.FromResult<Stream>(new MemoryStream(stored.Content, (int)offset, (int)(end - offset), writable: false));
    }

    public Task<ObjectInfo?> GetInfoAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        cancellationToken.ThrowIfCancellationRequested();
        return Task.FromResult(
            _objects.TryGetValue(key, out (byte[] Content, DateTimeOffset Time) stored) ? new ObjectInfo(key, stored.Content.Length, stored.Time) : null);
    }

    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ObjectKey.ValidatePrefix(prefix);
        await Task.Yield();
        foreach ((string key, (byte[] content, DateTimeOffset time)) in _objects
            .Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal)).OrderBy(static entry => entry.Key, StringComparer.Ordinal))
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return new ObjectInfo(key, content.Length, time);
        }
    }

    public async IAsyncEnumerable<string> ListFoldersAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? last = null;
        await foreach (ObjectInfo info in ListAsync(prefix, cancellationToken))
        {
            int slash = info.Key.IndexOf('/', prefix.Length);
            string? folder = slash < 0 ? null : info.Key[prefix.Length..slash];
            if (folder is not null && folder != last)
            {
                last = folder;
                yield return folder;
            }
        }
    }

    public async Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Validate(key);
        cancellationToken.ThrowIfCancellationRequested();
        if (BeforeDelete is { } hook)
        {
            await hook(key, cancellationToken);
        }

        _objects.TryRemove(key, out _);
    }

    public Task<ObjectStoreCapabilities> ProbeAsync(CancellationToken cancellationToken) =>
        Task.FromResult(new ObjectStoreCapabilities(true, false, false));

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private sealed class Writer(MemoryObjectStore store, string key) : ObjectWriter
    {
        private readonly MemoryStream _content = new();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            await _content.WriteAsync(bytes, cancellationToken);
            Length = _content.Length;
        }

        public override Task CommitAsync(CancellationToken cancellationToken) => store.PutAsync(key, _content.ToArray(), cancellationToken);

        public override ValueTask DisposeAsync() => _content.DisposeAsync();
    }
}
