using System.Globalization;
using System.Text.Json;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal.Spilling;

/// <summary>
/// A directory of WAL objects that a repository could not take, in the order in which they came. Each is a file, as the repository would
/// have stored it: compressed, and encrypted where the repository is.
/// </summary>
/// <remarks>
/// A file appears whole and durable, or not at all, since <see cref="DirectoryObjectStore"/> writes it. One process at a time has the
/// directory: it holds a lock that ends with it. Adding and removing are not safe for concurrent use; looking is.
/// </remarks>
internal sealed class SpillDirectory : IDisposable
{
    private const string IdentityName = "spill.json";
    private const string LockName = "lock";
    private const int NumberLength = 12;

    // What a file system has in its root, where the directory is one of its own.
    private const string LostAndFound = "lost+found";

    private readonly Lock _lock = new();
    private readonly SortedDictionary<long, SpilledWal> _byNumber = [];
    private readonly Dictionary<string, SpilledWal> _byKey = new(StringComparer.Ordinal);
    private readonly DirectoryObjectStore _files;
    private readonly SpillIdentity _identity;
    private readonly ulong _systemId;
    private readonly FileStream _hold;
    private bool _isIdentified;

    // The file whose writing has failed, or goes on.
    private string? _uncertain;
    private long _last;
    private long _bytes;

    private SpillDirectory(string path, DirectoryObjectStore files, SpillIdentity identity, ulong systemId, FileStream hold) =>
        (Path, _files, _identity, _systemId, _hold) = (path, files, identity, systemId, hold);

    /// <summary>The directory's full path.</summary>
    public string Path { get; }

    /// <summary>What the objects take, in bytes.</summary>
    public long Bytes
    {
        get
        {
            lock (_lock)
            {
                return _bytes;
            }
        }
    }

    /// <summary>The objects, oldest first.</summary>
    public IReadOnlyList<SpilledWal> Items
    {
        get
        {
            lock (_lock)
            {
                return [.. _byNumber.Values];
            }
        }
    }

    /// <summary>The object that came first; null where there is none.</summary>
    public SpilledWal? First
    {
        get
        {
            lock (_lock)
            {
                return _byNumber.Count == 0 ? null : _byNumber.First().Value;
            }
        }
    }

    /// <summary>Takes the directory, and what an earlier process has left in it.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.RepositoryMismatch"/>, <see cref="SmcErrorCode.SystemIdMismatch"/>: it holds WAL of another repository or
    /// cluster. <see cref="SmcErrorCode.Fenced"/>: of an epoch that is over. <see cref="SmcErrorCode.OperationInProgress"/>: another process
    /// has it. <see cref="SmcErrorCode.TargetNotEmpty"/>.
    /// </exception>
    public static async Task<SpillDirectory> OpenAsync(
        string path,
        Repository repository,
        ulong systemId,
        long epoch,
        CancellationToken cancellationToken,
        Action<string>? syncDirectory = null)
    {
        path = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        DirectoryObjectStore files = syncDirectory is null ? new(path) : new(path) { SyncDirectory = syncDirectory };
        SpillIdentity identity = new()
        {
            RepositoryId = repository.Id,
            SystemId = systemId.ToString(CultureInfo.InvariantCulture),
            Epoch = epoch,
            Location = repository.Location,
        };
        FileStream hold = Hold(path, systemId, files);
        SpillDirectory directory = new(path, files, identity, systemId, hold);
        try
        {
            await directory.TakeUpAsync(cancellationToken).ConfigureAwait(false);
            return directory;
        }
        catch
        {
            directory.Dispose();
            throw;
        }
    }

    /// <summary>What a directory holds, without taking it.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetNotEmpty"/>: something that is no spilled WAL.</exception>
    public static SpillContent Look(string path)
    {
        Inspect(path, 0);
        List<SpilledWal> items = [];
        foreach (FileInfo file in new DirectoryInfo(path).EnumerateFiles())
        {
            if (Parse(new ObjectInfo(file.Name, file.Length, file.LastWriteTimeUtc), 0) is { } item)
            {
                items.Add(item);
            }
        }

        string identity = System.IO.Path.Combine(path, IdentityName);
        return new SpillContent(
            items.Count,
            items.Sum(static item => item.Length),
            items.MinBy(static item => item.Number)?.Time,
            File.Exists(identity) ? ReadIdentity(File.ReadAllBytes(identity), path) : null);
    }

    /// <summary>The object of a key; null where it is not here.</summary>
    public SpilledWal? Find(string key)
    {
        lock (_lock)
        {
            return _byKey.GetValueOrDefault(key);
        }
    }

    /// <summary>Where the WAL begins that is here; null where there is none.</summary>
    public Lsn? FindStart(int segmentSize)
    {
        lock (_lock)
        {
            return _byNumber.Values.Min(item => item.StartLsn(segmentSize)?.Value) is { } start ? new Lsn(start) : null;
        }
    }

    /// <summary>Stores an object. It is durable when this returns.</summary>
    public async Task AddAsync(WalKey wal, string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        if (!_isIdentified)
        {
            byte[] identity = Envelope.Seal(JsonSerializer.SerializeToUtf8Bytes(_identity, WalJson.Default.SpillIdentity));
            await PutAsync(IdentityName, identity, cancellationToken).ConfigureAwait(false);
            _isIdentified = true;
        }

        SpilledWal item = new(_last + 1, wal, key, content.Length, DateTimeOffset.UtcNow);
        await PutAsync(NameOf(item), content, cancellationToken).ConfigureAwait(false);
        Add(item);
    }

    /// <summary>
    /// Removes an object. It is out of sight before its file is gone: who looks for it in between must not be told of what it cannot read.
    /// </summary>
    public async Task RemoveAsync(SpilledWal item, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (!_byNumber.Remove(item.Number))
            {
                return;
            }

            _byKey.Remove(item.Key);
            _bytes -= item.Length;
        }

        try
        {
            await _files.DeleteAsync(NameOf(item), cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            Add(item);
            throw;
        }
    }

    /// <summary>Reads an object, or a range of it.</summary>
    public Task<Stream> OpenReadAsync(SpilledWal item, long offset, long? length, CancellationToken cancellationToken) =>
        _files.OpenReadAsync(NameOf(item), offset, length, cancellationToken);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (First is null && _isIdentified)
        {
            try
            {
                File.Delete(System.IO.Path.Combine(Path, IdentityName));
            }
            catch (Exception e) when (DirectoryObjectStore.IsFileSystemError(e))
            {
                // Of an empty spill it says nothing.
            }
        }

        _hold.Dispose();
    }

    private static FileStream Hold(string path, ulong systemId, DirectoryObjectStore files)
    {
        try
        {
            Inspect(path, systemId);
            files.CreateDirectory(path);
            const UnixFileMode Own = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            if (!OperatingSystem.IsWindows() && File.GetUnixFileMode(path) != Own)
            {
                File.SetUnixFileMode(path, Own);
            }

            FileStreamOptions options = new() { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None, BufferSize = 0 };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }

            return new FileStream(System.IO.Path.Combine(path, LockName), options);
        }
        catch (IOException e) when (IsHeld(System.IO.Path.Combine(path, LockName)))
        {
            throw new SmcException(
                SmcErrorCode.OperationInProgress,
                $"Another process spills WAL to '{path}'.",
                e,
                recommendation: "Give each stream a spill directory of its own.",
                target: path);
        }
        catch (Exception e) when (DirectoryObjectStore.IsFileSystemError(e))
        {
            throw files.Failure($"The spill directory '{path}' cannot be used", e, path);
        }
    }

    /// <summary>Whether a file cannot be opened although it is there and may be read: somebody holds its lock.</summary>
    private static bool IsHeld(string path)
    {
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            return false;
        }
        catch (Exception e) when (DirectoryObjectStore.IsFileSystemError(e))
        {
            return e is IOException && File.Exists(path);
        }
    }

    private static string NameOf(SpilledWal item) => string.Create(CultureInfo.InvariantCulture, $"{item.Number:D12}-{item.Wal.Name}");

    /// <summary>
    /// Writes a file. One that failed may be there all the same, where only its name could not be made durable; nobody was told that it is, and the next
    /// one has its number. So it goes first.
    /// </summary>
    private async Task PutAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        if (_uncertain is { } left)
        {
            await _files.DeleteAsync(left, cancellationToken).ConfigureAwait(false);
        }

        _uncertain = name;
        await _files.PutAsync(name, content, cancellationToken).ConfigureAwait(false);
        _uncertain = null;
    }

    private async Task TakeUpAsync(CancellationToken cancellationToken)
    {
        Sweep();
        await foreach (ObjectInfo info in _files.ListAsync("", cancellationToken).ConfigureAwait(false))
        {
            if (Parse(info, _systemId) is { } item)
            {
                Add(item);
            }
        }

        SpillIdentity? left = await ReadIdentityAsync(cancellationToken).ConfigureAwait(false);
        if (First is null)
        {
            // All of it was brought: it is nobody's any more.
            await _files.DeleteAsync(IdentityName, cancellationToken).ConfigureAwait(false);
            return;
        }

        if (left is null || left.RepositoryId != _identity.RepositoryId)
        {
            throw Foreign(SmcErrorCode.RepositoryMismatch, left, $"and this stream brings WAL to the repository {_identity.RepositoryId} at {_identity.Location}");
        }

        if (left.SystemId != _identity.SystemId)
        {
            throw Foreign(SmcErrorCode.SystemIdMismatch, left, $"and this stream brings that of the database cluster {_identity.SystemId}");
        }

        if (left.Epoch != _identity.Epoch)
        {
            throw new SmcException(
                SmcErrorCode.Fenced,
                $"'{Path}' holds {DisplayText.Size(Bytes)} of WAL that was received in epoch {left.Epoch} of the site, and the site is in epoch " +
                    $"{_identity.Epoch} now: it is not of the history that goes on.",
                recommendation: "Keep the directory, since it may hold the only copy of what was committed last on the former primary: move it aside, and " +
                    "start the stream again with an empty one.",
                target: Path);
        }

        _isIdentified = true;
    }

    private SmcException Foreign(SmcErrorCode code, SpillIdentity? left, string own) => new(
        code,
        $"'{Path}' holds {DisplayText.Size(Bytes)} of WAL " +
            (left is null
                ? "without saying of which repository"
                : $"of the database cluster {left.SystemId} that is not in its repository, {left.RepositoryId} at {left.Location}, yet") +
            $", {own}.",
        recommendation: "Start the stream that it belongs to, so that it is brought to its repository, or give this one another directory.",
        target: Path);

    /// <summary>Refuses a directory in which there is anything else, before anything in it or of it is changed.</summary>
    private static void Inspect(string path, ulong systemId)
    {
        foreach (string entry in Directory.Exists(path) ? Directory.EnumerateFileSystemEntries(path) : [])
        {
            string name = System.IO.Path.GetFileName(entry);
            bool isOwn = Directory.Exists(entry)
                ? name is DirectoryObjectStore.TemporaryFolder or LostAndFound
                : name is LockName or IdentityName || Parse(new ObjectInfo(name, 0, default), systemId) is not null;
            if (!isOwn)
            {
                throw new SmcException(
                    SmcErrorCode.TargetNotEmpty,
                    $"The spill directory '{path}' holds '{name}', which is no spilled WAL.",
                    recommendation: "Give the stream a directory that nothing else uses.",
                    target: path);
            }
        }
    }

    /// <summary>Removes what killed processes were writing. The lock says that they are gone.</summary>
    private void Sweep()
    {
        try
        {
            string temporary = System.IO.Path.Combine(Path, DirectoryObjectStore.TemporaryFolder);
            if (Directory.Exists(temporary))
            {
                Directory.Delete(temporary, recursive: true);
            }
        }
        catch (Exception e) when (DirectoryObjectStore.IsFileSystemError(e))
        {
            throw _files.Failure($"The spill directory '{Path}' cannot be used", e, Path);
        }
    }

    private static SpilledWal? Parse(ObjectInfo info, ulong systemId)
    {
        ReadOnlySpan<char> name = info.Key;
        if (name.Length <= NumberLength + 9 || name[NumberLength] != '-' ||
            !long.TryParse(name[..NumberLength], NumberStyles.None, CultureInfo.InvariantCulture, out long number) ||
            !WalSegmentName.TryParseHex(name.Slice(NumberLength + 1, 8), out uint timeline))
        {
            return null;
        }

        // The names of segments and of history files begin with their timeline.
        string folder = RepositoryKeys.Wal(systemId, timeline);
        string key = folder + info.Key[(NumberLength + 1)..];
        return WalKey.TryParse(key, folder, timeline, out WalKey wal) ? new SpilledWal(number, wal, key, info.Length, info.LastModified) : null;
    }

    private async Task<SpillIdentity?> ReadIdentityAsync(CancellationToken cancellationToken)
    {
        if (await _files.GetInfoAsync(IdentityName, cancellationToken).ConfigureAwait(false) is not { Length: < 65536 } info)
        {
            return null;
        }

        byte[] content = new byte[info.Length];
        Stream stream = await _files.OpenReadAsync(IdentityName, 0, info.Length, cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            await stream.ReadExactlyAsync(content, cancellationToken).ConfigureAwait(false);
        }

        return ReadIdentity(content, Path);
    }

    private static SpillIdentity? ReadIdentity(byte[] content, string path)
    {
        try
        {
            return JsonSerializer.Deserialize(Envelope.OpenWhole(content, IdentityName).Span, WalJson.Default.SpillIdentity);
        }
        catch (JsonException e)
        {
            throw new SmcException(SmcErrorCode.ManifestInvalid, $"'{IdentityName}' in '{path}' is not valid: {e.Message}", e, target: path);
        }
    }

    private void Add(SpilledWal item)
    {
        lock (_lock)
        {
            _byNumber.Add(item.Number, item);
            _byKey[item.Key] = item;
            _bytes += item.Length;
            _last = Math.Max(_last, item.Number);
        }
    }
}
