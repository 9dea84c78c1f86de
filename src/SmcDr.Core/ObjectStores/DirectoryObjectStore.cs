using System.Collections.Concurrent;
using System.IO.Enumeration;
using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using SmcDr.Core.Platform;

namespace SmcDr.Core.ObjectStores;

/// <summary>Objects as files below a directory: a local disk, or a share of the network that is mounted.</summary>
/// <remarks>
/// A key is the file's path. What is being written lies in <c>~tmp</c>, a name that no key can have, so lists never show it. Links
/// are not followed in lists.
/// </remarks>
public sealed class DirectoryObjectStore : IObjectStore
{
    internal const string TemporaryFolder = "~tmp";

    private const int BufferSize = 128 * 1024;
    private const int MaximumDurable = 1000;

    // errno.h of Linux; macOS differs in the quota's number alone.
    private const int NoSuchFile = 2;
    private const int AccessDenied = 13;
    private const int NotADirectory = 20;
    private const int NoSpaceLeft = 28;
    private const int ReadOnlyFileSystem = 30;
    private static readonly int s_quotaExceeded = OperatingSystem.IsMacOS() ? 69 : 122;

    // winerror.h, as HRESULT.
    private const int WindowsPathNotFound = unchecked((int)0x80070003);
    private const int WindowsHandleDiskFull = unchecked((int)0x80070027);
    private const int WindowsDiskFull = unchecked((int)0x80070070);

    private static readonly EnumerationOptions s_everything = new()
    {
        AttributesToSkip = FileAttributes.ReparsePoint,
        IgnoreInaccessible = false,
        ReturnSpecialDirectories = false,
    };

    private readonly string _root;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<string, DirectoryIdentity> _durable = new(StringComparer.Ordinal);
    private int _swept;
    private bool _rootSeen;
    private bool _objectSeen;

    /// <summary>Creates a store. The directory itself is created by the first write.</summary>
    /// <param name="root">The full path of the directory.</param>
    public DirectoryObjectStore(string root)
        : this(root, TimeProvider.System)
    {
    }

    internal DirectoryObjectStore(string root, TimeProvider time)
    {
        ArgumentException.ThrowIfNullOrEmpty(root);
        _root = Path.TrimEndingDirectorySeparator(Path.GetFullPath(root));
        _time = time;
        Location = new Uri(_root).AbsoluteUri;
    }

    /// <summary>How long a temporary file must have been left alone before it counts as forgotten by a killed writer.</summary>
    internal static TimeSpan TemporaryFileLife { get; } = TimeSpan.FromDays(1);

    /// <inheritdoc/>
    public string Location { get; }

    /// <summary>Makes the names in a directory durable.</summary>
    internal Action<string> SyncDirectory { get; init; } = Posix.SyncDirectory;

    /// <summary>Finds the mount point at or above a path on which nothing is mounted, although something should be.</summary>
    internal Func<string, string?> FindUnmounted { get; init; } = MountPoints.FindMissing;

    /// <inheritdoc/>
    public Task<ObjectWriter> CreateAsync(string key, CancellationToken cancellationToken)
    {
        string path = PathOf(key);
        cancellationToken.ThrowIfCancellationRequested();
        if (Interlocked.Exchange(ref _swept, 1) == 0)
        {
            SweepTemporaryFiles();
        }

        // Told early what the rename would only tell after all bytes were written.
        if (File.Exists(path))
        {
            throw Exists(key);
        }

        string temporaryPath = Path.Combine(_root, TemporaryFolder, Guid.NewGuid().ToString("N"));
        FileStreamOptions options = new()
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            // On Unix this is an advisory lock (flock), which tells the sweep that the writer lives.
            Share = FileShare.None,
            BufferSize = BufferSize,
            Options = FileOptions.Asynchronous,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        try
        {
            FileStream file;
            try
            {
                file = new FileStream(temporaryPath, options);
            }
            // The second where the directory came between the attempt and .NET's look for what was missing: another writer was the first.
            catch (Exception e) when (e is DirectoryNotFoundException or FileNotFoundException)
            {
                EnsureRootIsStillThere();
                CreateDirectory(Path.Combine(_root, TemporaryFolder));
                file = new FileStream(temporaryPath, options);
            }

            return Task.FromResult<ObjectWriter>(new DirectoryObjectWriter(this, key, path, temporaryPath, file));
        }
        catch (Exception exception) when (IsFileSystemError(exception))
        {
            throw Failure($"The object '{key}' cannot be created", exception, key);
        }
    }

    /// <inheritdoc/>
    public async Task PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        ObjectWriter writer = await CreateAsync(key, cancellationToken).ConfigureAwait(false);
        await using (writer.ConfigureAwait(false))
        {
            await writer.WriteAsync(content, cancellationToken).ConfigureAwait(false);
            await writer.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public Task<Stream> OpenReadAsync(string key, long offset, long? length, CancellationToken cancellationToken)
    {
        string path = PathOf(key);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length ?? 0, nameof(length));
        cancellationToken.ThrowIfCancellationRequested();
        SafeFileHandle? file = null;
        try
        {
            file = File.OpenHandle(
                path,
                FileMode.Open,
                FileAccess.Read,
                FileShare.ReadWrite | FileShare.Delete,
                FileOptions.Asynchronous | FileOptions.SequentialScan);
            long fileLength = RandomAccess.GetLength(file);
            long end = length is null ? fileLength : offset > long.MaxValue - length ? long.MaxValue : offset + length.Value;
            if (offset > fileLength || end > fileLength)
            {
                throw ObjectReadStream.Truncated(key, Location, fileLength, Math.Max(offset, end));
            }

            _rootSeen = _objectSeen = true;
            DirectoryReadStream stream = new(this, key, file, offset, end);
            file = null;
            return Task.FromResult<Stream>(new BufferedStream(stream, BufferSize));
        }
        catch (Exception exception) when (IsAbsent(path, exception))
        {
            EnsureRootIsStillThere();
            throw new SmcException(
                SmcErrorCode.ObjectNotFound, $"There is no object '{key}' in {Location}.", exception, target: key);
        }
        catch (Exception exception) when (IsFileSystemError(exception))
        {
            throw Failure($"The object '{key}' cannot be opened", exception, key);
        }
        finally
        {
            file?.Dispose();
        }
    }

    /// <inheritdoc/>
    public Task<ObjectInfo?> GetInfoAsync(string key, CancellationToken cancellationToken)
    {
        string path = PathOf(key);
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            ObjectInfo? info = InfoOf(key, path);
            if (info is null)
            {
                EnsureRootIsStillThere();
            }

            return Task.FromResult(info);
        }
        catch (Exception exception) when (IsFileSystemError(exception))
        {
            throw Failure($"Whether there is an object '{key}' cannot be found out", exception, key);
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ObjectKey.ValidatePrefix(prefix);

        // Off the caller's thread first: a share of the network may take its time.
        await Task.Yield();
        Stack<IEnumerator<Entry>> open = new();
        open.Push(EntriesOf(prefix).GetEnumerator());
        while (open.TryPeek(out IEnumerator<Entry>? entries))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (!entries.MoveNext())
            {
                open.Pop();
            }
            else if (entries.Current.IsFolder)
            {
                open.Push(EntriesOf(entries.Current.Key).GetEnumerator());
            }
            else if (InfoOfListed(entries.Current.Key) is { } info)
            {
                yield return info;
            }
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<string> ListFoldersAsync(
        string prefix,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ObjectKey.ValidatePrefix(prefix);
        await Task.Yield();
        foreach (Entry entry in EntriesOf(prefix))
        {
            cancellationToken.ThrowIfCancellationRequested();

            // A folder exists by the objects in it; an empty directory is none.
            if (entry.IsFolder && HoldsObject(entry.Key, cancellationToken))
            {
                yield return entry.Key[prefix.Length..^1];
            }
        }
    }

    /// <inheritdoc/>
    public Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        string path = PathOf(key);
        return Task.Run(
            () =>
            {
                // The order of deletions must survive a power cut: a marker that came back without its data would be a lie.
                if (TryDelete(key, path, isDurable: true))
                {
                    RemoveEmptyDirectories(Path.GetDirectoryName(path)!);
                }
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public Task DiscardAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(keys);
        return Task.Run(
            () =>
            {
                HashSet<string> directories = new(StringComparer.Ordinal);
                foreach (string key in keys)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    string path = PathOf(key);
                    if (TryDelete(key, path, isDurable: false))
                    {
                        directories.Add(Path.GetDirectoryName(path)!);
                    }
                }

                foreach (string directory in directories)
                {
                    RemoveEmptyDirectories(directory);
                }
            },
            cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<ObjectStoreCapabilities> ProbeAsync(CancellationToken cancellationToken)
    {
        string key = $"smcdr-probe-{Guid.NewGuid():N}";
        bool refused = false;
        try
        {
            // CreateAsync looks for the key itself: so both writers are opened before either commits, and the file system has to decide.
            ObjectWriter first = await CreateAsync(key, cancellationToken).ConfigureAwait(false);
            await using (first.ConfigureAwait(false))
            {
                ObjectWriter second = await CreateAsync(key, cancellationToken).ConfigureAwait(false);
                await using (second.ConfigureAwait(false))
                {
                    await first.CommitAsync(cancellationToken).ConfigureAwait(false);
                    await second.CommitAsync(cancellationToken).ConfigureAwait(false);
                }
            }
        }
        catch (SmcException exception) when (exception.Code == SmcErrorCode.ObjectExists)
        {
            refused = true;
        }

        await DeleteAsync(key, CancellationToken.None).ConfigureAwait(false);

        return new ObjectStoreCapabilities(ConditionalWrites: refused, Versioning: false, ObjectLock: false);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    internal static bool IsFileSystemError(Exception exception) =>
        exception is IOException or UnauthorizedAccessException;

    internal static bool IsPathMissing(IOException exception) =>
        exception is DirectoryNotFoundException || exception.HResult is NoSuchFile or WindowsPathNotFound;

    internal SmcException Exists(string key) =>
        new(SmcErrorCode.ObjectExists, $"There is an object '{key}' in {Location} already.", target: key);

    /// <summary>What a failure of the file system means to the operator.</summary>
    internal SmcException Failure(string what, Exception exception, string? target = null)
    {
        SmcErrorCode code =
            exception is UnauthorizedAccessException || exception.HResult is AccessDenied or ReadOnlyFileSystem
                ? SmcErrorCode.StorageAccessDenied
            : exception.HResult == NoSpaceLeft || exception.HResult == s_quotaExceeded
                || exception.HResult is WindowsDiskFull or WindowsHandleDiskFull
                ? SmcErrorCode.StorageFull
                : SmcErrorCode.StorageUnavailable;
        string? recommendation = code switch
        {
            SmcErrorCode.StorageAccessDenied =>
                $"Let this account read and write in '{_root}', and check that its file system is not mounted read-only.",
            SmcErrorCode.StorageUnavailable =>
                $"Check that '{_root}' is a directory and that its file system is mounted and healthy; then run the command again, "
                + "nothing is left half-done.",
            _ => null,
        };
        return new SmcException(code, $"{what} in {Location}: {exception.Message}", exception, recommendation, target);
    }

    /// <summary>Creates a directory and what is missing above it, for this account only.</summary>
    internal void CreateDirectory(string path)
    {
        Stack<string> missing = new();
        for (string current = path; !Directory.Exists(current); current = Path.GetDirectoryName(current)!)
        {
            missing.Push(current);
        }

        foreach (string current in missing)
        {
            if (OperatingSystem.IsWindows())
            {
                Directory.CreateDirectory(current);
            }
            else
            {
                // One by one: asked for several at once, .NET gives the mode to the last alone.
                Directory.CreateDirectory(current, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }

            // Commits sync from the object up to the root. The root's own name, and those above, are synced here and only where they are
            // new: this account may not even be allowed to open what stands above.
            if (current.Length <= _root.Length)
            {
                SyncDirectory(Path.GetDirectoryName(current)!);
            }
        }
    }

    /// <summary>Makes the names in a directory durable, and the directory's own name in those above it, up to the root.</summary>
    /// <remarks>
    /// The latter once: each sync makes the disk empty its cache, which the server waits for where it commits to the same disk. Another process may
    /// remove the directory when it is empty and make it anew, so it is known by more than its name.
    /// </remarks>
    internal void SyncUpwards(string directory)
    {
        DirectoryIdentity? identity = DirectoryIdentity.Find(directory);
        SyncDirectory(directory);
        if (directory.Length == _root.Length || (identity is not null && _durable.GetValueOrDefault(directory) == identity))
        {
            return;
        }

        for (string current = Path.GetDirectoryName(directory)!; current.Length >= _root.Length; current = Path.GetDirectoryName(current)!)
        {
            SyncDirectory(current);
        }

        if (identity is not null)
        {
            if (_durable.Count >= MaximumDurable)
            {
                _durable.Clear();
            }

            _durable[directory] = identity.Value;
        }
    }

    private static bool IsAbsent(string path, Exception exception) =>
        exception is FileNotFoundException or DirectoryNotFoundException
        // A part of the path is a file, so nothing lies below it.
        || (exception is IOException && exception.HResult == NotADirectory)
        // A directory cannot be opened as a file, and is no object.
        || (exception is UnauthorizedAccessException && Directory.Exists(path));

    private static ObjectInfo? InfoOf(string key, string path)
    {
        FileInfo file = new(path);
        try
        {
            // Length throws what Exists would hide: an error of the file system must not pass for absence.
            return new ObjectInfo(key, file.Length, new DateTimeOffset(file.LastWriteTimeUtc, TimeSpan.Zero));
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    private string PathOf(string key) => Path.Combine(_root, ObjectKey.Validate(key).Replace('/', Path.DirectorySeparatorChar));

    private string DirectoryOf(string prefix) => prefix.Length == 0
        ? _root
        : Path.Combine(_root, prefix[..^1].Replace('/', Path.DirectorySeparatorChar));

    /// <summary>Throws where the directory lies on a file system that is not mounted, by the system's own table of them.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.StorageUnavailable"/>.</exception>
    internal void EnsureMounted()
    {
        if (FindUnmounted(_root) is { } point)
        {
            throw new SmcException(
                SmcErrorCode.StorageUnavailable,
                $"There is no repository in '{_root}', and nothing is mounted on '{point}', which /etc/fstab names.",
                recommendation: $"Mount '{point}', then run the command again. What is written now would lie on the file system below it, " +
                    "out of sight once it is mounted.",
                target: _root);
        }
    }

    /// <summary>
    /// An unmounted share looks like an empty one. Once the root was there, its absence is a failure; and once an object was read, so is a root
    /// without anything in it: it held at least the folder of what is being written.
    /// </summary>
    private void EnsureRootIsStillThere()
    {
        if (Directory.Exists(_root) && !(_objectSeen && IsEmpty(_root)))
        {
            _rootSeen = true;
        }
        else if (_rootSeen)
        {
            throw new SmcException(
                SmcErrorCode.StorageUnavailable,
                $"The directory '{_root}' was there and is gone.",
                recommendation: "Check that its file system is mounted, then run the command again.",
                target: _root);
        }
    }

    /// <summary>
    /// What a folder holds, in the order of the keys. Sorting needs the names of one directory in memory, never those of the whole store.
    /// </summary>
    private List<Entry> EntriesOf(string prefix)
    {
        List<Entry> entries = [];
        try
        {
            FileSystemEnumerable<Entry> found = new(
                DirectoryOf(prefix),
                (ref FileSystemEntry entry) => new Entry(
                    entry.IsDirectory ? $"{prefix}{entry.FileName}/" : $"{prefix}{entry.FileName}",
                    entry.IsDirectory),
                s_everything);
            foreach (Entry entry in found)
            {
                // What no key can be called is none of ours: ~tmp, or lost+found.
                if (ObjectKey.IsValid(entry.IsFolder ? entry.Key.AsSpan(0, entry.Key.Length - 1) : entry.Key))
                {
                    entries.Add(entry);
                }
            }
        }
        catch (DirectoryNotFoundException)
        {
            EnsureRootIsStillThere();
        }
        catch (IOException exception) when (exception is not FileNotFoundException && File.Exists(DirectoryOf(prefix)))
        {
            // An object of that name, so nothing lies below it.
        }
        catch (Exception exception) when (IsFileSystemError(exception))
        {
            throw Failure($"The objects below '{prefix}' cannot be listed", exception);
        }

        // A folder sorts by its name and the slash: "a-b" comes before "a/c", for '-' comes before '/'.
        entries.Sort(static (left, right) => string.CompareOrdinal(left.Key, right.Key));
        return entries;
    }

    private static bool IsEmpty(string directory)
    {
        try
        {
            return !Directory.EnumerateFileSystemEntries(directory).Any();
        }
        catch (Exception exception) when (IsFileSystemError(exception))
        {
            // Who may not list it finds nothing out by that.
            return false;
        }
    }

    private ObjectInfo? InfoOfListed(string key)
    {
        try
        {
            return InfoOf(key, PathOf(key));
        }
        catch (Exception exception) when (IsFileSystemError(exception))
        {
            throw Failure($"The object '{key}' cannot be listed", exception, key);
        }
    }

    private bool HoldsObject(string prefix, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        List<Entry> entries = EntriesOf(prefix);
        return entries.Exists(static entry => !entry.IsFolder)
            || entries.Exists(entry => HoldsObject(entry.Key, cancellationToken));
    }

    private bool TryDelete(string key, string path, bool isDurable)
    {
        try
        {
            if (Directory.Exists(path))
            {
                return false;
            }

            File.Delete(path);
            if (isDurable)
            {
                SyncDirectory(Path.GetDirectoryName(path)!);
            }

            return true;
        }
        catch (IOException exception) when (IsPathMissing(exception))
        {
            // Absent with its folder.
            return false;
        }
        catch (Exception exception) when (IsFileSystemError(exception))
        {
            throw Failure($"The object '{key}' cannot be deleted", exception, key);
        }
    }

    /// <summary>
    /// Removes folders that hold nothing any more. rmdir(2) refuses one into which somebody has just put something, and a writer whose
    /// folder went away creates it again.
    /// </summary>
    private void RemoveEmptyDirectories(string directory)
    {
        for (string current = directory; current.Length > _root.Length; current = Path.GetDirectoryName(current)!)
        {
            try
            {
                Directory.Delete(current);
            }
            catch (Exception exception) when (IsFileSystemError(exception))
            {
                return;
            }
        }
    }

    /// <summary>Removes the temporary files of writers that were killed: old, and locked by nobody.</summary>
    private void SweepTemporaryFiles()
    {
        DateTime limit = _time.GetUtcNow().UtcDateTime - TemporaryFileLife;
        try
        {
            foreach (FileInfo file in new DirectoryInfo(Path.Combine(_root, TemporaryFolder)).EnumerateFiles())
            {
                if (file.LastWriteTimeUtc < limit)
                {
                    SweepTemporaryFile(file.FullName);
                }
            }
        }
        catch (Exception exception) when (IsFileSystemError(exception))
        {
            // Nothing to sweep, or not ours to sweep. The write that comes next tells what is wrong, if anything is.
        }
    }

    private static void SweepTemporaryFile(string path)
    {
        try
        {
            using SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            File.Delete(path);
        }
        catch (Exception exception) when (IsFileSystemError(exception))
        {
            // In use, or gone by now.
        }
    }

    private readonly record struct Entry(string Key, bool IsFolder);
}
