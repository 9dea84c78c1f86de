using System.Globalization;
using System.Text;
using System.Threading.Channels;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.FileStores;

/// <summary>
/// Backs up a directory tree of this host. A file that is as the newest backup of the same file store knows it is taken over
/// without being read; of the others only what changed is stored.
/// </summary>
public sealed class FileStoreBackup
{
    private const int Waiting = 256;

    private readonly FileStoreBackupOptions _options;
    private readonly DirectoryHandle _root;
    private readonly BackupWriter _writer;
    private readonly TreeScanner _scanner;
    private readonly FileStoreTally _tally;
    private readonly FileTime _unchangedBefore;
    private readonly IAsyncEnumerator<ManifestEntry>? _parent;
    private readonly AccountNames _accounts = new();
    private readonly Dictionary<(ulong FileSystem, ulong Inode), LinkedFile> _linkedFiles = [];
    private bool _parentHasEntry;

    private FileStoreBackup(
        FileStoreBackupOptions options,
        DirectoryHandle root,
        BackupWriter writer,
        TreeScanner scanner,
        FileStoreTally tally,
        FileTime unchangedBefore,
        IAsyncEnumerator<ManifestEntry>? parent)
    {
        _options = options;
        _root = root;
        _writer = writer;
        _scanner = scanner;
        _tally = tally;
        _unchangedBefore = unchangedBefore;
        _parent = parent;
    }

    /// <summary>Backs up a directory tree.</summary>
    /// <param name="name">The file store's name. Backups of one name build on each other.</param>
    /// <param name="path">The directory.</param>
    /// <param name="repository">Where the backup goes.</param>
    /// <param name="options">How it is done.</param>
    /// <param name="observer">Told of progress, and warned of each file that could not be read.</param>
    /// <param name="cancellationToken">Stops the work and removes what was written.</param>
    /// <returns>The backup. Its state is <c>Partial</c> where something could not be read.</returns>
    /// <exception cref="SmcException">The directory cannot be opened, or the repository cannot be written.</exception>
    public static async Task<BackupInfo> RunAsync(
        string name,
        string path,
        Repository repository,
        FileStoreBackupOptions options,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        FileStoreHost.ThrowIfUnsupported();
        PathPattern[] exclude = [.. options.Exclude.Select(PathPattern.Parse)];
        string fullPath = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        using DirectoryHandle root = OpenRoot(name, fullPath);
        (ulong, ulong)? repositoryDirectory = FindDirectory(repository);
        FileStatus rootStatus = root.GetStatus();
        if ((rootStatus.FileSystem, rootStatus.Inode) == repositoryDirectory)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid, $"The file store '{name}' is the repository itself, '{fullPath}'.", target: fullPath);
        }

        string activity = $"Backup of file store {name}";
        (BackupReader Reader, StreamedManifest Manifest)? parent = options.Full
            ? null
            : await OpenParentAsync(name, options.Site, repository, observer, cancellationToken).ConfigureAwait(false);
        try
        {
            string kind = parent is null ? "Full" : "Incremental";
            observer.Verbose(parent is null
                ? $"Every file of '{fullPath}' is read."
                : $"Files of '{fullPath}' are compared with the backup '{parent.Value.Manifest.Header.Id}'.");
            BackupWriter writer = await repository.BeginBackupAsync(
                Component.FileStore,
                kind,
                options.Label,
                options.Site,
                null,
                options.Writer with { Parent = parent?.Manifest.Header.Id },
                cancellationToken).ConfigureAwait(false);
            await using (writer.ConfigureAwait(false))
            {
                FileStoreTally tally = new(activity, observer);
                TreeScanner scanner = new(root, exclude, options.OneFileSystem, repositoryDirectory, tally);
                FileTime scanStart = FileTime.From(DateTimeOffset.UtcNow);
                FileStoreBackup backup = new(
                    options,
                    root,
                    writer,
                    scanner,
                    tally,
                    parent?.Manifest.Header.FileStore!.ScanStart.Subtract(options.TimestampMargin) ?? default,
                    parent?.Manifest.ReadEntriesAsync(cancellationToken).GetAsyncEnumerator(cancellationToken));
                FileNode node = await backup.ReadTreeAsync(cancellationToken).ConfigureAwait(false);
                if (parent is not null)
                {
                    // Its packs may have been removed meanwhile, and this backup must not be completed upon them.
                    await parent.Value.Reader.CheckPacksAsync(parent.Value.Manifest.Packs, cancellationToken).ConfigureAwait(false);
                }

                FileStoreBackupDetails details = tally.AddTo(new FileStoreBackupDetails
                {
                    Name = name,
                    Path = NativeName.Escape(Encoding.UTF8.GetBytes(fullPath)),
                    RootMode = Convert.ToString(rootStatus.Mode, 8),
                    Root = node,
                    ScanStart = scanStart,
                    OneFileSystem = options.OneFileSystem,
                    Exclude = [.. options.Exclude],
                });
                BackupHeader header = await writer.CompleteAsync(
                    kind,
                    header => header with
                    {
                        Parent = parent?.Manifest.Header.Id, StopTime = DateTimeOffset.UtcNow, FileStore = details,
                    },
                    cancellationToken).ConfigureAwait(false);
                observer.Verbose(string.Create(
                    CultureInfo.InvariantCulture,
                    $"The backup '{header.Id}' holds {header.FileCount} files; {details.UnchangedFiles} were taken over, {details.ReadFiles} were read."));
                return repository.Describe(header);
            }
        }
        finally
        {
            observer.Progress(new OperationProgress(activity, "") { IsCompleted = true });
            if (parent is not null)
            {
                await parent.Value.Manifest.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    private static DirectoryHandle OpenRoot(string name, string path)
    {
        try
        {
            return DirectoryHandle.OpenRoot(path);
        }
        catch (PosixException e)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid, $"The directory '{path}' of file store '{name}' cannot be opened: {e.Reason}.", e, target: path);
        }
    }

    private static (ulong FileSystem, ulong Inode)? FindDirectory(Repository repository)
    {
        if (!Uri.TryCreate(repository.Location, UriKind.Absolute, out Uri? location) || !location.IsFile)
        {
            return null;
        }

        try
        {
            using DirectoryHandle directory = DirectoryHandle.OpenRoot(location.LocalPath);
            FileStatus status = directory.GetStatus();
            return (status.FileSystem, status.Inode);
        }
        catch (PosixException)
        {
            // What cannot be opened cannot be walked into either.
            return null;
        }
    }

    /// <summary>The newest complete backup of the same name and site whose manifest and packs are there; damage of it is no reason for having no new one.</summary>
    private static async Task<(BackupReader, StreamedManifest)?> OpenParentAsync(
        string name, string? site, Repository repository, IOperationObserver observer, CancellationToken cancellationToken)
    {
        BackupHeader? newest = null;
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.FileStore, cancellationToken).ConfigureAwait(false))
        {
            if (entry.Header?.FileStore?.Name == name && entry.Header.MayBeOf(site))
            {
                newest = entry.Header;
            }
        }

        if (newest is null)
        {
            return null;
        }

        StreamedManifest? manifest = null;
        try
        {
            BackupReader reader = await repository.OpenBackupAsync(Component.FileStore, newest.Id, cancellationToken).ConfigureAwait(false);
            manifest = await reader.OpenManifestAsync(cancellationToken).ConfigureAwait(false);
            await reader.CheckPacksAsync(manifest.Packs, cancellationToken).ConfigureAwait(false);
            return (reader, manifest);
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code) || e.Code is
            SmcErrorCode.ObjectNotFound or SmcErrorCode.BackupIncomplete or SmcErrorCode.BackupNotFound)
        {
            observer.Warning($"The backup '{newest.Id}' cannot be built on, so every file is read: {e.Message}");
            if (manifest is not null)
            {
                await manifest.DisposeAsync().ConfigureAwait(false);
            }

            return null;
        }
    }

    private async Task<FileNode> ReadTreeAsync(CancellationToken cancellationToken)
    {
        FileNode node = FileNodes.From(_root.GetStatus(), ExtendedAttributes.Read(_root), _accounts);
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Channel<Job> jobs = Channel.CreateBounded<Job>(new BoundedChannelOptions(Waiting) { SingleWriter = true });
        Task[] work =
        [
            Task.Run(() => GuardAsync(() => WalkAsync(jobs.Writer, stop.Token), stop), CancellationToken.None),
            .. Enumerable.Range(0, Math.Max(1, _options.Parallelism)).Select(_ =>
                Task.Run(() => GuardAsync(() => ReadFilesAsync(jobs.Reader, stop.Token), stop), CancellationToken.None)),
        ];
        await Task.WhenAll(work).ConfigureAwait(false);
        return node;
    }

    /// <summary>Stops the others where one fails; all have unwound before the failure goes on.</summary>
    private static async Task GuardAsync(Func<Task> work, CancellationTokenSource stop)
    {
        bool done = false;
        try
        {
            await work().ConfigureAwait(false);
            done = true;
        }
        finally
        {
            if (!done)
            {
                await stop.CancelAsync().ConfigureAwait(false);
            }
        }
    }

    private async Task ReadFilesAsync(ChannelReader<Job> jobs, CancellationToken cancellationToken)
    {
        PackLane lane = _writer.OpenLane();
        await using (lane.ConfigureAwait(false))
        {
            FileContentReader reader = new(_writer, lane, _options, _accounts, _tally);
            await foreach (Job job in jobs.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                try
                {
                    await reader.ReadAsync(job.Path, job.Directory, job.Name, job.Known, cancellationToken).ConfigureAwait(false);
                }
                finally
                {
                    job.Directory.Release();
                }
            }

            await lane.FinishAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task WalkAsync(ChannelWriter<Job> jobs, CancellationToken cancellationToken)
    {
        PackLane lane = _writer.OpenLane();
        await using (lane.ConfigureAwait(false))
        {
            FileContentReader reader = new(_writer, lane, _options, _accounts, _tally);
            _parentHasEntry = _parent is not null && await _parent.MoveNextAsync().ConfigureAwait(false);
            foreach (ScannedEntry entry in _scanner.Scan())
            {
                cancellationToken.ThrowIfCancellationRequested();
                ManifestEntry? known = await FindKnownAsync(entry.Path).ConfigureAwait(false);
                if (entry.Status.Type == FileType.Regular)
                {
                    await TakeFileAsync(entry, known, reader, jobs, cancellationToken).ConfigureAwait(false);
                }
                else
                {
                    TakeOther(entry);
                }
            }

            await lane.FinishAsync(cancellationToken).ConfigureAwait(false);
            jobs.Complete();
        }

        if (_parent is not null)
        {
            await _parent.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>The parent's entry of a path. Both come in the same order, so each is read once.</summary>
    private async ValueTask<ManifestEntry?> FindKnownAsync(string path)
    {
        while (_parentHasEntry)
        {
            int order = string.CompareOrdinal(_parent!.Current.Path, path);
            if (order >= 0)
            {
                return order == 0 ? _parent.Current : null;
            }

            _parentHasEntry = await _parent.MoveNextAsync().ConfigureAwait(false);
        }

        return null;
    }

    private async ValueTask TakeFileAsync(
        ScannedEntry entry, ManifestEntry? known, FileContentReader reader, ChannelWriter<Job> jobs, CancellationToken cancellationToken)
    {
        bool isLinked = entry.Status.LinkCount > 1;
        (ulong FileSystem, ulong Inode) identity = (entry.Status.FileSystem, entry.Status.Inode);
        if (isLinked && _linkedFiles.TryGetValue(identity, out LinkedFile? first))
        {
            _writer.Add(new ManifestEntry { Kind = ManifestEntryKind.HardLink, Path = entry.Path, LinkTarget = first.Path });
            if (--first.NamesLeft == 0)
            {
                _linkedFiles.Remove(identity);
            }

            return;
        }

        bool taken;
        if (IsUnchanged(known, entry.Status))
        {
            _writer.Add(known! with
            {
                Mode = entry.Status.Mode, Node = FileNodes.From(entry.Status, known.Node!.Attributes, _accounts),
            });
            _tally.Unchanged(entry.Path, known.Size);
            taken = true;
        }
        else if (isLinked)
        {
            // Read here and now: whether the further names have something to refer to must be known before they come.
            taken = await reader.ReadAsync(entry.Path, entry.Parent, entry.Name, known, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            DirectoryHandle directory = entry.Parent.Retain();
            bool handedOver = false;
            try
            {
                await jobs.WriteAsync(new Job(entry.Path, directory, entry.Name, known), cancellationToken).ConfigureAwait(false);
                handedOver = true;
            }
            finally
            {
                if (!handedOver)
                {
                    directory.Release();
                }
            }

            return;
        }

        if (isLinked && taken)
        {
            _linkedFiles.Add(identity, new LinkedFile(entry.Path) { NamesLeft = entry.Status.LinkCount - 1 });
        }
    }

    /// <remarks>
    /// A time that is as young as the parent's scan proves nothing: the file may have been changed after it was read, within what its file
    /// system counts in, and look the same. ctime alone would do on local file systems; some network ones do not keep it.
    /// </remarks>
    private bool IsUnchanged(ManifestEntry? known, FileStatus status) =>
        known is { Kind: ManifestEntryKind.File, Node: { Torn: false } node } &&
        known.Size == status.Size &&
        node.Modified == status.Modified &&
        node.Changed == status.Changed &&
        node.Inode == status.Inode &&
        status.Changed < _unchangedBefore &&
        status.Modified < _unchangedBefore;

    private void TakeOther(ScannedEntry entry)
    {
        try
        {
            ManifestEntryKind kind;
            string? target = null;
            SortedDictionary<string, byte[]>? attributes;
            switch (entry.Status.Type)
            {
                case FileType.Directory:
                    kind = ManifestEntryKind.Directory;
                    attributes = entry.Self is null ? ExtendedAttributes.Read(entry.Parent, entry.Name) : ExtendedAttributes.Read(entry.Self);
                    break;
                case FileType.Link:
                    kind = ManifestEntryKind.Link;
                    target = NativeName.Escape(entry.Parent.ReadLink(entry.Name));
                    attributes = ExtendedAttributes.Read(entry.Parent, entry.Name);
                    break;
                case FileType.Fifo or FileType.CharacterDevice or FileType.BlockDevice:
                    kind = ManifestEntryKind.Special;
                    attributes = ExtendedAttributes.Read(entry.Parent, entry.Name);
                    break;
                default:
                    _tally.Skipped(entry.Path, "is a socket, which lives with its program only, and was left out");
                    return;
            }

            _writer.Add(new ManifestEntry
            {
                Kind = kind,
                Path = entry.Path,
                Mode = entry.Status.Mode,
                LinkTarget = target,
                Node = FileNodes.From(entry.Status, attributes, _accounts),
            });
        }
        catch (PosixException e) when (e.IsGone || e.Error == PosixException.InvalidArgument)
        {
            // EINVAL: what was a link is none any more (readlink(2)).
            _tally.Vanished(entry.Path);
        }
        catch (PosixException e)
        {
            _tally.Unreadable(entry.Path, e);
        }
    }

    private sealed record Job(string Path, DirectoryHandle Directory, byte[] Name, ManifestEntry? Known);

    private sealed class LinkedFile(string path)
    {
        public string Path => path;

        public uint NamesLeft { get; set; }
    }
}
