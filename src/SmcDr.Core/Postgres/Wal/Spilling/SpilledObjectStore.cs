using System.Runtime.CompilerServices;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Postgres.Wal.Spilling;

/// <summary>What is in a spill, under the keys that it will have in the repository. For reading alone.</summary>
internal sealed class SpilledObjectStore(SpillDirectory directory) : IObjectStore
{
    /// <inheritdoc/>
    public string Location => directory.Path;

    /// <inheritdoc/>
    public Task<ObjectWriter> CreateAsync(string key, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <inheritdoc/>
    public Task PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <inheritdoc/>
    public Task DeleteAsync(string key, CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <inheritdoc/>
    public Task<ObjectStoreCapabilities> ProbeAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <inheritdoc/>
    public Task<Stream> OpenReadAsync(string key, long offset, long? length, CancellationToken cancellationToken) =>
        directory.Find(key) is { } item
            ? directory.OpenReadAsync(item, offset, length, cancellationToken)
            : throw new SmcException(SmcErrorCode.ObjectNotFound, $"There is no object '{key}' in {Location}.", target: key);

    /// <inheritdoc/>
    public Task<ObjectInfo?> GetInfoAsync(string key, CancellationToken cancellationToken) =>
        Task.FromResult(directory.Find(key) is { } item ? InfoOf(item) : null);

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ObjectKey.ValidatePrefix(prefix);
        await Task.CompletedTask.ConfigureAwait(false);
        foreach (SpilledWal item in directory.Items
            .Where(item => item.Key.StartsWith(prefix, StringComparison.Ordinal)).OrderBy(static item => item.Key, StringComparer.Ordinal))
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return InfoOf(item);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<string> ListFoldersAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? last = null;
        await foreach (ObjectInfo info in ListAsync(prefix, cancellationToken).ConfigureAwait(false))
        {
            int end = info.Key.IndexOf('/', prefix.Length);
            if (end > 0 && info.Key[prefix.Length..end] is var folder && folder != last)
            {
                last = folder;
                yield return folder;
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static ObjectInfo InfoOf(SpilledWal item) => new(item.Key, item.Length, item.Time);
}
