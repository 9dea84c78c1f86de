namespace SmcDr.Core.ObjectStores;

/// <summary>
/// What a repository is kept in: named, immutable objects. Keys are relative to the store's location, parts are
/// separated by <c>/</c>, and <see cref="ObjectKey.Validate"/> says which are allowed.
/// </summary>
/// <remarks>
/// The contract that every implementation passes (ObjectStoreConformance in the tests):
/// an object appears whole or not at all; what a completed write acknowledged survives a power cut; nothing is ever
/// overwritten; a read that ends early throws. Transient failures are retried inside, with back-off and a budget;
/// what is thrown is final, as <see cref="SmcException"/> of a Storage… or Object… code.
/// </remarks>
public interface IObjectStore : IAsyncDisposable
{
    /// <summary>The location as a user would write it. Never holds a secret.</summary>
    string Location { get; }

    /// <summary>Begins an object. It exists once <see cref="ObjectWriter.CommitAsync"/> has returned.</summary>
    Task<ObjectWriter> CreateAsync(string key, CancellationToken cancellationToken);

    /// <summary>Stores a small object in one go.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ObjectExists"/>: the key is taken. Nothing was changed.</exception>
    Task PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken);

    /// <summary>
    /// Reads an object or a range of it. The stream resumes broken transfers by itself and throws
    /// <see cref="SmcErrorCode.ObjectTruncated"/> where the object ends before the range does.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">How many bytes; to the end where null.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ObjectNotFound"/>: surely absent.</exception>
    Task<Stream> OpenReadAsync(string key, long offset, long? length, CancellationToken cancellationToken);

    /// <summary>
    /// Reads as much of a range as there is, and tells the length of the whole object by the way: for who does not know it yet.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <param name="offset">The first byte. Behind the end there is nothing, which is no error.</param>
    /// <param name="atMost">How many bytes at most.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ObjectNotFound"/>: surely absent.</exception>
    async Task<ObjectRange> OpenPartAsync(string key, long offset, long atMost, CancellationToken cancellationToken)
    {
        ObjectInfo info = await GetInfoAsync(key, cancellationToken).ConfigureAwait(false)
            ?? throw new SmcException(SmcErrorCode.ObjectNotFound, $"There is no object '{key}' in {Location}.", target: key);
        long start = Math.Min(offset, info.Length);
        long length = Math.Min(atMost, info.Length - start);
        return new ObjectRange(await OpenReadAsync(key, start, length, cancellationToken).ConfigureAwait(false), info.Length);
    }

    /// <summary>What is known of an object without reading it, or null where it is surely absent.</summary>
    Task<ObjectInfo?> GetInfoAsync(string key, CancellationToken cancellationToken);

    /// <summary>All objects below a prefix that ends with <c>/</c> or is empty, in ordinal order of their keys.</summary>
    IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, CancellationToken cancellationToken);

    /// <summary>The names of the "folders" directly below a prefix that ends with <c>/</c> or is empty, in ordinal order.</summary>
    IAsyncEnumerable<string> ListFoldersAsync(string prefix, CancellationToken cancellationToken);

    /// <summary>Removes an object. An absent one is no error.</summary>
    Task DeleteAsync(string key, CancellationToken cancellationToken);

    /// <summary>
    /// Removes objects that are superfluous, in any order. Unlike after <see cref="DeleteAsync"/>, a power cut may bring some of them back.
    /// </summary>
    async Task DiscardAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(keys);
        foreach (string key in keys)
        {
            await DeleteAsync(key, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Locks an object against removal and replacement until an instant. A lock that lasts longer already is left as it is: none is ever
    /// shortened.
    /// </summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.LockUnsupported"/>: the store cannot lock.</exception>
    Task LockAsync(string key, DateTimeOffset until, ObjectLockMode mode, CancellationToken cancellationToken) =>
        throw new SmcException(
            SmcErrorCode.LockUnsupported, $"The storage at {Location} cannot lock objects.", target: Location);

    /// <summary>Finds out what the store can do, by trying where its word is not enough (writing twice, say).</summary>
    Task<ObjectStoreCapabilities> ProbeAsync(CancellationToken cancellationToken);
}
