using SmcDr.Core.Platform;

namespace SmcDr.Core.ObjectStores;

/// <summary>
/// An object on its way into a directory: a temporary file, synced, then renamed to its key without replacing anything, then the
/// directories synced. A kill at any instant leaves the object whole or absent.
/// </summary>
internal sealed class DirectoryObjectWriter : ObjectWriter
{
    // Large enough for a disk to write in one go.
    private const long WritebackSize = 8 << 20;

    private readonly DirectoryObjectStore _store;
    private readonly string _key;
    private readonly string _path;
    private readonly string _temporaryPath;
    private FileStream? _file;
    private bool _committed;
    private long _started;

    public DirectoryObjectWriter(DirectoryObjectStore store, string key, string path, string temporaryPath, FileStream file)
    {
        _store = store;
        _key = key;
        _path = path;
        _temporaryPath = temporaryPath;
        _file = file;
    }

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        FileStream file = _file ?? throw new InvalidOperationException("The object is committed or given up.");
        try
        {
            await file.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (DirectoryObjectStore.IsFileSystemError(exception))
        {
            throw _store.Failure($"The object '{_key}' cannot be written", exception, _key);
        }

        Length += bytes.Length;
        if (Length - _started >= WritebackSize)
        {
            // What the stream still buffers is left to the next time.
            Posix.StartWriteback(file.SafeFileHandle, _started, Length - _started);
            _started = Length;
        }
    }

    /// <inheritdoc/>
    public override async Task CommitAsync(CancellationToken cancellationToken)
    {
        if (_file is null)
        {
            throw new InvalidOperationException("The object is committed or given up.");
        }

        try
        {
            // fsync(2) has no asynchronous form, and may take as long as the disk needs for all that was written.
            await Task.Run(Commit, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (DirectoryObjectStore.IsFileSystemError(exception))
        {
            throw _store.Failure($"The object '{_key}' cannot be stored", exception, _key);
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        FileStream? file = _file;
        _file = null;
        if (file is not null)
        {
            try
            {
                await file.DisposeAsync().ConfigureAwait(false);
            }
            catch (Exception exception) when (DirectoryObjectStore.IsFileSystemError(exception))
            {
                // What is still buffered does not fit a full disk. The file goes anyhow; whoever wrote has been told by WriteAsync.
            }
        }

        if (!_committed)
        {
            try
            {
                File.Delete(_temporaryPath);
            }
            catch (Exception exception) when (DirectoryObjectStore.IsFileSystemError(exception))
            {
                // Swept a day later; an error here would hide the one that led to giving the object up.
            }
        }
    }

    private void Commit()
    {
        FileStream file = _file!;
        file.Flush(flushToDisk: true);

        // The sweep of forgotten temporary files goes by age and by the lock that an open file holds. Closing gives the lock up, so the
        // file must look young from here to the rename, however long its writer took.
        File.SetLastWriteTimeUtc(file.SafeFileHandle, DateTime.UtcNow);
        file.Dispose();
        _file = null;

        string directory = Path.GetDirectoryName(_path)!;
        while (true)
        {
            try
            {
                if (!Posix.TryMoveNew(_temporaryPath, _path))
                {
                    throw _store.Exists(_key);
                }

                break;
            }
            catch (IOException exception) when (
                DirectoryObjectStore.IsPathMissing(exception) && File.Exists(_temporaryPath))
            {
                // The folder is new, or a deletion beside us has just removed it as empty: the rename then finds no folder.
                _store.CreateDirectory(directory);
            }
        }

        _committed = true;

        // Every folder up to the root, each time: which of them another process has created, and not yet synced, cannot be known.
        _store.SyncUpwards(directory);
    }
}
