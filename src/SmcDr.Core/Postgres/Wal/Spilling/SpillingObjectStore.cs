using System.Runtime.CompilerServices;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal.Spilling;

/// <summary>
/// A repository's store and a spill as one: WAL that the store cannot take goes to the spill, and so does all that comes after it until the
/// spill is empty, since the repository must never show WAL behind a hole. Reading and listing show both.
/// </summary>
/// <remarks>
/// It lies below the encryption, so that what is spilled is what the repository would have been given, byte for byte. Objects that are no
/// WAL, such as claims, are the store's alone.
/// </remarks>
internal sealed class SpillingObjectStore : IObjectStore
{
    // Room can also come from others who use the same file system, which nobody tells.
    private static readonly TimeSpan s_roomInterval = TimeSpan.FromSeconds(1);

    // What others need of the spill's file system is left to them: a twentieth of it, at most this.
    private const long MaximumReserve = 1L << 30;

    private readonly IObjectStore _inner;
    private readonly SpilledObjectStore _spilled;
    private readonly SpillDirectory _directory;
    private readonly WalSpillOptions _options;
    private readonly string _folder;
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly HashSet<string> _superfluous = new(StringComparer.Ordinal);
    private readonly HashSet<string> _maybeStored = new(StringComparer.Ordinal);
    private TaskCompletionSource _changed = NewSignal();
    private volatile SmcException? _reason;
    private volatile SmcException? _failure;
    private volatile bool _isFull;

    public SpillingObjectStore(IObjectStore inner, SpillDirectory directory, ulong systemId, WalSpillOptions options)
    {
        (_inner, _directory, _options) = (inner, directory, options);
        _spilled = new SpilledObjectStore(directory);
        _folder = RepositoryKeys.Wal(systemId);
    }

    /// <inheritdoc/>
    public string Location => _inner.Location;

    /// <summary>Why the repository is not written to; null where it is, or where WAL of an earlier process is brought first.</summary>
    public SmcException? Reason => _reason;

    /// <summary>Whether WAL goes to the spill.</summary>
    public bool IsActive => _reason is not null || _directory.First is not null;

    /// <summary>Whether nothing more fits.</summary>
    public bool IsFull => _isFull;

    /// <summary>Is called after an object was spilled, and when one does not fit.</summary>
    public Action? Spilled { get; set; }

    /// <summary>
    /// Whether a failure is one that spilling bridges: the store is full, or cannot be reached, or refuses us, as it does when credentials have
    /// expired or a file system was turned read-only.
    /// </summary>
    public static bool IsAway(SmcException e) => e.Code is
        SmcErrorCode.StorageFull or SmcErrorCode.StorageUnavailable or SmcErrorCode.StorageAccessDenied;

    /// <summary>The room that a spill may use of the file system of a path, in bytes.</summary>
    public static long RoomOf(string path)
    {
        DriveInfo drive = new(FileSystems.Existing(path));
        return drive.AvailableFreeSpace - Math.Min(MaximumReserve, drive.TotalSize / 20);
    }

    /// <summary>Lets the next object go to the spill without asking the store.</summary>
    public void Begin(SmcException reason)
    {
        if (!IsActive)
        {
            _reason = reason;
        }
    }

    /// <summary>Nothing more is brought, so that nobody may wait for room.</summary>
    public void Fail(SmcException failure)
    {
        _failure = failure;
        Signal();
    }

    /// <inheritdoc/>
    public Task<ObjectWriter> CreateAsync(string key, CancellationToken cancellationToken) => _inner.CreateAsync(key, cancellationToken);

    /// <inheritdoc/>
    public async Task PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        if (Parse(key) is not { } wal)
        {
            await _inner.PutAsync(key, content, cancellationToken).ConfigureAwait(false);
            return;
        }

        while (true)
        {
            Task changed;
            await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                // Stored again, it is wanted again.
                _superfluous.Remove(key);
                if (!IsActive && await TryPutAsync(key, content, cancellationToken).ConfigureAwait(false))
                {
                    return;
                }

                if (await TrySpillAsync(wal, key, content, cancellationToken).ConfigureAwait(false))
                {
                    return;
                }

                // Where nothing of it is here, nothing is brought that could make room: then the store is asked again.
                _reason = _directory.First is null ? null : _reason;
                changed = Volatile.Read(ref _changed).Task;
            }
            finally
            {
                _gate.Release();
            }

            Spilled?.Invoke();
            if (_failure is { } failure)
            {
                throw failure;
            }

            await Task.WhenAny(changed, Task.Delay(s_roomInterval, cancellationToken)).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    /// <inheritdoc/>
    public async Task<Stream> OpenReadAsync(string key, long offset, long? length, CancellationToken cancellationToken)
    {
        try
        {
            if (_directory.Find(key) is not null)
            {
                return await _spilled.OpenReadAsync(key, offset, length, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectNotFound)
        {
            // It has gone to the repository in this moment.
        }

        return await _inner.OpenReadAsync(key, offset, length, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<ObjectRange> OpenPartAsync(string key, long offset, long atMost, CancellationToken cancellationToken)
    {
        if (_directory.Find(key) is { } item)
        {
            long start = Math.Min(offset, item.Length);
            Stream content = await OpenReadAsync(key, start, Math.Min(atMost, item.Length - start), cancellationToken).ConfigureAwait(false);
            return new ObjectRange(content, item.Length);
        }

        return await _inner.OpenPartAsync(key, offset, atMost, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<ObjectInfo?> GetInfoAsync(string key, CancellationToken cancellationToken) =>
        await _spilled.GetInfoAsync(key, cancellationToken).ConfigureAwait(false) ??
        await _inner.GetInfoAsync(key, cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, CancellationToken cancellationToken) => MergeAsync(
        _spilled.ListAsync(prefix, cancellationToken), _inner.ListAsync(prefix, cancellationToken), static info => info.Key, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<string> ListFoldersAsync(string prefix, CancellationToken cancellationToken) => MergeAsync(
        _spilled.ListFoldersAsync(prefix, cancellationToken), _inner.ListFoldersAsync(prefix, cancellationToken), static name => name, cancellationToken);

    /// <summary>
    /// Removes an object of the spill. One of the store is left there until the spill is empty: what replaces it may be on this host only.
    /// </summary>
    public async Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_directory.Find(key) is { } item)
            {
                await _directory.RemoveAsync(item, cancellationToken).ConfigureAwait(false);
                if (_maybeStored.Contains(key))
                {
                    _superfluous.Add(key);
                }

                Signal();
                return;
            }

            if (IsActive && Parse(key) is not null)
            {
                _superfluous.Add(key);
                return;
            }
        }
        finally
        {
            _gate.Release();
        }

        await _inner.DeleteAsync(key, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task DiscardAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken)
    {
        if (!IsActive)
        {
            await _inner.DiscardAsync(keys, cancellationToken).ConfigureAwait(false);
            return;
        }

        foreach (string key in keys)
        {
            await DeleteAsync(key, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public Task LockAsync(string key, DateTimeOffset until, ObjectLockMode mode, CancellationToken cancellationToken) =>
        _inner.LockAsync(key, until, mode, cancellationToken);

    /// <inheritdoc/>
    public Task<ObjectStoreCapabilities> ProbeAsync(CancellationToken cancellationToken) => _inner.ProbeAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>The object that is to be brought next, once there is one.</summary>
    public async Task<SpilledWal> WaitForFirstAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed = Volatile.Read(ref _changed).Task;
            if (_directory.First is { } item)
            {
                return item;
            }

            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Notes that an object may be in the store from now on, although it is in the spill.</summary>
    public async Task AnnounceAsync(SpilledWal item, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _maybeStored.Add(item.Key);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Removes an object that the store has.</summary>
    public async Task RemoveBroughtAsync(SpilledWal item, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await _directory.RemoveAsync(item, cancellationToken).ConfigureAwait(false);
            _maybeStored.Remove(item.Key);
            _isFull = false;
            if (_directory.First is null)
            {
                _reason = null;
                _maybeStored.Clear();
            }

            Signal();
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Removes from the store what was replaced while that could not be done.</summary>
    public async Task RemoveSuperfluousAsync(CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            while (!IsActive && _superfluous.Count > 0)
            {
                string key = _superfluous.First();
                _superfluous.Remove(key);
                await _inner.DeleteAsync(key, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            _gate.Release();
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static async IAsyncEnumerable<T> MergeAsync<T>(
        IAsyncEnumerable<T> spilled, IAsyncEnumerable<T> stored, Func<T, string> key, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // The spill first: what goes from it to the store meanwhile is seen in both.
        Queue<T> own = new();
        await foreach (T item in spilled.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            own.Enqueue(item);
        }

        await foreach (T item in stored.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            while (own.TryPeek(out T? next) && string.CompareOrdinal(key(next), key(item)) < 0)
            {
                yield return own.Dequeue();
            }

            // What is in both is read from the spill.
            yield return own.TryPeek(out T? same) && key(same) == key(item) ? own.Dequeue() : item;
        }

        while (own.TryDequeue(out T? left))
        {
            yield return left;
        }
    }

    private WalKey? Parse(string key)
    {
        if (!key.StartsWith(_folder, StringComparison.Ordinal) || key.IndexOf('/', _folder.Length) is not (> 0 and int end))
        {
            return null;
        }

        return WalSegmentName.TryParseHex(key.AsSpan(_folder.Length, end - _folder.Length), out uint timeline) &&
            WalKey.TryParse(key, key[..(end + 1)], timeline, out WalKey wal) && _folder + key[_folder.Length..] == key
                ? wal
                : null;
    }

    /// <summary>Stores an object, unless the store is away: then why is remembered.</summary>
    private async Task<bool> TryPutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        // A copy: a call that hangs is left alone, and goes on when the buffer is already somebody else's.
        byte[] own = content.ToArray();
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        CancellationToken token = limit.Token;
        Task put = Task.Run(() => _inner.PutAsync(key, own, token), CancellationToken.None);
        try
        {
            await put.WaitAsync(_options.Patience, cancellationToken).ConfigureAwait(false);
            _isFull = false;
            return true;
        }
        catch (SmcException e) when (IsAway(e))
        {
            _reason = e;
        }
        catch (TimeoutException e)
        {
            await limit.CancelAsync().ConfigureAwait(false);
            _reason = new SmcException(
                SmcErrorCode.StorageUnavailable, $"{Location} has not stored an object within {DisplayText.Duration(_options.Patience)}.", e, target: Location);
        }

        // Where only the answer was lost it is there all the same.
        _maybeStored.Add(key);
        return false;
    }

    private async Task<bool> TrySpillAsync(WalKey wal, string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        if (_directory.Find(key) is not null)
        {
            throw new SmcException(SmcErrorCode.ObjectExists, $"There is an object '{key}' in {_directory.Path} already.", target: key);
        }

        bool fits = HasRoom(content.Length);
        if (fits)
        {
            try
            {
                await _directory.AddAsync(wal, key, content, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.StorageFull)
            {
                fits = false;
            }
        }

        _isFull = !fits;
        if (fits)
        {
            Signal();
            Spilled?.Invoke();
        }

        return fits;
    }

    private bool HasRoom(long length)
    {
        if (_directory.Bytes + length > _options.Limit)
        {
            return false;
        }

        try
        {
            return RoomOf(_directory.Path) >= length;
        }
        catch (Exception e) when (DirectoryObjectStore.IsFileSystemError(e))
        {
            // Then the write tells.
            return true;
        }
    }

    private void Signal() => Interlocked.Exchange(ref _changed, NewSignal()).TrySetResult();
}
