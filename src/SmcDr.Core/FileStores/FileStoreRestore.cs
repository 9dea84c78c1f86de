using System.Collections;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.FileStores;

/// <summary>
/// Restores a file store, or parts of it. A file gets its name when it is complete, so a restore that was interrupted goes on where it
/// stopped. Nothing is ever created outside the target directory, and no link in it is followed.
/// </summary>
public sealed class FileStoreRestore
{
    private const int WindowEntries = 8192;
    private const long WindowBytes = 64 << 20;
    private const int ShownConflicts = 5;
    private const int OwnerAll = 0x1C0;
    private const int ProgressEvery = 128;

    // Lies in a directory that was empty until the restore has given it its owner, mode and time: one that goes on after an interruption knows by it that
    // the directory is as much the backup's as what is in it.
    private static readonly byte[] s_rootMark = ".smcdr-root.partial\0"u8.ToArray();

    private readonly BackupReader _reader;
    private readonly StreamedManifest _manifest;
    private readonly FileStoreBackupDetails _details;
    private readonly FileStoreRestoreOptions _options;
    private readonly PathPattern[] _include;
    private readonly RestoreTree _tree;
    private readonly NodeRestorer _nodes;
    private readonly IOperationObserver _observer;
    private readonly string _activity;

    // By the position in the manifest: what is there already and right.
    private readonly BitArray _kept = new(WindowEntries);

    // Files whose own path is not wanted, but that of a hard link to them; and directories that only hold something wanted.
    private readonly Dictionary<string, string> _aliases = new(StringComparer.Ordinal);
    private readonly HashSet<string> _neededDirectories = new(StringComparer.Ordinal);

    private readonly List<RestoreItem> _window = [];
    private readonly List<(string Path, string Target)> _windowLinks = [];
    private readonly HashSet<DirectoryHandle> _windowDirectories = [];
    private long _windowBytes;

    private long _wantedFiles;
    private long _wantedBytes;
    private long _replaced;
    private long _keptFiles;
    private long _files;
    private long _bytes;
    private long _directories;
    private long _links;

    private FileStoreRestore(
        BackupReader reader,
        StreamedManifest manifest,
        FileStoreRestoreOptions options,
        RestoreTree tree,
        IOperationObserver observer,
        string activity)
    {
        _reader = reader;
        _manifest = manifest;
        _details = manifest.Header.FileStore!;
        _options = options;
        _include = [.. options.Include.Select(PathPattern.Parse)];
        _tree = tree;
        _nodes = new NodeRestorer(options, observer);
        _observer = observer;
        _activity = activity;
    }

    /// <summary>Restores a file store.</summary>
    /// <param name="reader">The backup.</param>
    /// <param name="options">What is restored, where to, and what may be replaced.</param>
    /// <param name="observer">Told of progress, and warned of what could not be restored.</param>
    /// <param name="cancellationToken">Stops the work; the same call continues it.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.TargetNotEmpty"/>: files are there that differ, and nothing was changed.
    /// <see cref="SmcErrorCode.TargetUnsuitable"/>, <see cref="SmcErrorCode.DiskSpaceInsufficient"/>, or damage of the backup.
    /// </exception>
    public static async Task<FileStoreRestoreResult> RunAsync(
        BackupReader reader, FileStoreRestoreOptions options, IOperationObserver observer, CancellationToken cancellationToken)
    {
        FileStoreBackupDetails details = Check(reader, options, observer);
        string target = TargetOf(details, options);
        string activity = $"Restore of file store {details.Name}";
        long started = Stopwatch.GetTimestamp();
        try
        {
            StreamedManifest manifest = await OpenManifestAsync(reader, cancellationToken).ConfigureAwait(false);
            await using (manifest.ConfigureAwait(false))
            {
                using DirectoryHandle root = OpenTarget(target, out bool isEmpty);
                using RestoreTree tree = new(root);
                FileStoreRestore restore = new(reader, manifest, options, tree, observer, activity);
                await restore.ExamineAsync(target, isEmpty, cancellationToken).ConfigureAwait(false);
                if (isEmpty)
                {
                    root.CreateFile(s_rootMark).Dispose();
                }

                bool withRoot = options.Force || root.TryGetStatus(s_rootMark) is not null;
                await restore.RestoreEntriesAsync(cancellationToken).ConfigureAwait(false);
                await restore.FinishDirectoriesAsync(withRoot, cancellationToken).ConfigureAwait(false);
                root.SyncFileSystem();
                return restore.Result(target, Stopwatch.GetElapsedTime(started));
            }
        }
        catch (PosixException e)
        {
            throw FileStoreHost.Failure(e);
        }
        finally
        {
            observer.Progress(new OperationProgress(activity, "") { IsCompleted = true });
        }
    }

    /// <summary>Finds out what a restore would do and whether it can be done. Nothing is changed, the directory is not even made.</summary>
    /// <inheritdoc cref="RunAsync"/>
    public static async Task<FileStoreRestorePlan> PlanAsync(
        BackupReader reader, FileStoreRestoreOptions options, IOperationObserver observer, CancellationToken cancellationToken)
    {
        FileStoreBackupDetails details = Check(reader, options, observer);
        string target = TargetOf(details, options);
        try
        {
            StreamedManifest manifest = await OpenManifestAsync(reader, cancellationToken).ConfigureAwait(false);
            await using (manifest.ConfigureAwait(false))
            {
                // Where the directory is still to be made, the one above it only stands for the file system.
                string existing = NearestDirectory(target);
                using DirectoryHandle root = DirectoryHandle.OpenRoot(existing);
                using RestoreTree tree = new(root);
                FileStoreRestore restore = new(reader, manifest, options, tree, observer, details.Name);
                bool isEmpty = existing != target || root.ReadNames().Count == 0;
                await restore.ExamineAsync(target, isEmpty, cancellationToken).ConfigureAwait(false);
                return new FileStoreRestorePlan
                {
                    BackupId = reader.Header.Id,
                    Name = details.Name,
                    TargetPath = target,
                    FileCount = restore._wantedFiles,
                    SizeBytes = restore._wantedBytes,
                    ReplacedCount = restore._replaced,
                    KeptFileCount = restore._keptFiles,
                };
            }
        }
        catch (PosixException e)
        {
            throw FileStoreHost.Failure(e);
        }
    }

    private static FileStoreBackupDetails Check(BackupReader reader, FileStoreRestoreOptions options, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(reader);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        FileStoreHost.ThrowIfUnsupported();
        return reader.Header.FileStore ?? throw new SmcException(
            SmcErrorCode.BackupUnsuitable, $"The backup '{reader.Header.Id}' is not that of a file store.", target: reader.Header.Id);
    }

    private static string TargetOf(FileStoreBackupDetails details, FileStoreRestoreOptions options) =>
        Path.TrimEndingDirectorySeparator(Path.GetFullPath(options.TargetPath ?? NativeName.Display(details.Path)));

    private static string NearestDirectory(string path)
    {
        while (!Directory.Exists(path))
        {
            path = Path.GetDirectoryName(path) ?? "/";
        }

        return path;
    }

    private static async Task<StreamedManifest> OpenManifestAsync(BackupReader reader, CancellationToken cancellationToken)
    {
        StreamedManifest manifest = await reader.OpenManifestAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await reader.CheckPacksAsync(manifest.Packs, cancellationToken).ConfigureAwait(false);
            return manifest;
        }
        catch
        {
            await manifest.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private static DirectoryHandle OpenTarget(string target, out bool isEmpty)
    {
        try
        {
            Directory.CreateDirectory(target);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable, $"The directory '{target}' cannot be created: {e.Message.TrimEnd('.')}.", e, target: target);
        }

        DirectoryHandle root = DirectoryHandle.OpenRoot(target);
        if (!root.TryLock())
        {
            root.Dispose();
            throw new SmcException(SmcErrorCode.OperationInProgress, $"Another restore to '{target}' is at work.", target: target);
        }

        isEmpty = root.ReadNames().Count == 0;
        return root;
    }

    /// <summary>Looks at everything before anything is changed: names, what is there already, room.</summary>
    private async Task ExamineAsync(string target, bool isEmpty, CancellationToken cancellationToken)
    {
        List<string> conflicts = [];
        List<string> obstacles = [];
        long conflictCount = 0;
        long wanted = 0;
        long room = 0;
        long most = 0;
        long freed = 0;
        int index = -1;
        await foreach (ManifestEntry entry in _manifest.ReadEntriesAsync(cancellationToken).ConfigureAwait(false))
        {
            index++;
            foreach (string part in entry.Path.Split('/'))
            {
                _ = NativeName.PartToBytes(part);
            }

            if (entry.Kind != ManifestEntryKind.HardLink && entry.Node is null)
            {
                throw new SmcException(
                    SmcErrorCode.ManifestInvalid, $"The manifest does not say whose '{entry.Path}' is.", target: entry.Path);
            }

            if (!IsWanted(entry.Path))
            {
                continue;
            }

            wanted++;
            AddNeededDirectories(entry.Path);
            if (entry.Kind == ManifestEntryKind.HardLink && !IsWanted(entry.LinkTarget!))
            {
                _aliases.TryAdd(entry.LinkTarget!, entry.Path);
            }

            Finding finding = isEmpty ? Finding.Absent : Look(entry);
            if (finding is Finding.Differs && !_options.Force)
            {
                conflictCount++;
                Note(conflicts, entry.Path);
            }
            else if (finding is Finding.Differs)
            {
                _replaced++;
            }
            else if (finding is Finding.Obstructed)
            {
                Note(obstacles, entry.Path);
            }
            else if (finding is Finding.Same)
            {
                Keep(index, entry);
            }

            if (entry.Kind == ManifestEntryKind.File && finding != Finding.Same)
            {
                _wantedFiles++;
                _wantedBytes += entry.Size;
                room += entry.Extents.Sum(static extent => extent.Block is null ? 0L : extent.Length);
                most = Math.Max(most, room - freed);
            }

            freed += finding is Finding.Differs ? FreedBy(entry) : 0;
        }

        if (obstacles.Count > 0)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"In '{target}' there is a directory where the backup has a file, or the other way round: {string.Join(", ", obstacles)}.",
                recommendation: "Move what the message names away, or restore to an empty directory. Nothing was changed.",
                target: target);
        }

        if (conflictCount > 0)
        {
            string more = conflictCount > conflicts.Count ? " and others" : "";
            throw new SmcException(
                SmcErrorCode.TargetNotEmpty,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"'{target}' has {conflictCount} files that differ from the backup: {string.Join(", ", conflicts)}{more}."),
                recommendation: "Restore to another directory, or add -Force (--force) to replace these files. Nothing was changed.",
                target: target);
        }

        if (wanted == 0 && _include.Length > 0)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"Nothing in the backup '{_manifest.Header.Id}' matches {string.Join(", ", _options.Include.Select(static text => $"'{text}'"))}.");
        }

        long available = new DriveInfo(NearestDirectory(target)).AvailableFreeSpace;
        // A file is replaced when the new one is complete, and some are at work at a time.
        long needed = freed > 0 ? Math.Min(room, most + WindowBytes) : room;
        if (needed > available)
        {
            throw new SmcException(
                SmcErrorCode.DiskSpaceInsufficient,
                string.Create(CultureInfo.InvariantCulture, $"The restore to '{target}' needs {needed} bytes, and {available} are free."),
                target: target);
        }
    }

    /// <summary>What there will be room for when the file that is there has been replaced.</summary>
    private long FreedBy(ManifestEntry entry)
    {
        (string directoryPath, byte[] name) = RestoreTree.Split(entry.Path);
        return _tree.TryOpen(directoryPath)?.TryGetStatus(name) is { Type: FileType.Regular, LinkCount: 1 } status ? status.AllocatedBytes : 0;
    }

    private static void Note(List<string> list, string path)
    {
        if (list.Count < ShownConflicts)
        {
            list.Add($"'{path}'");
        }
    }

    private void Keep(int index, ManifestEntry entry)
    {
        if (index >= _kept.Length)
        {
            _kept.Length = Math.Max(index + 1, _kept.Length * 2);
        }

        _kept[index] = true;
        _keptFiles += entry.Kind == ManifestEntryKind.File ? 1 : 0;
    }

    private bool IsKept(int index) => index < _kept.Length && _kept[index];

    private bool IsWanted(string path)
    {
        if (_include.Length == 0)
        {
            return true;
        }

        string shown = NativeName.Display(path);
        return _include.Any(pattern => pattern.MatchesOrContains(shown));
    }

    private void AddNeededDirectories(string path)
    {
        if (_include.Length > 0)
        {
            for (int end = path.LastIndexOf('/'); end > 0 && _neededDirectories.Add(path[..end]); end = path.LastIndexOf('/', end - 1))
            {
            }
        }
    }

    private Finding Look(ManifestEntry entry)
    {
        (string directoryPath, byte[] name) = RestoreTree.Split(entry.Path);
        if (_tree.TryOpen(directoryPath) is not { } directory || directory.TryGetStatus(name) is not { } status)
        {
            return Finding.Absent;
        }

        if ((status.Type == FileType.Directory) != (entry.Kind == ManifestEntryKind.Directory))
        {
            return Finding.Obstructed;
        }

        bool same = entry.Kind switch
        {
            ManifestEntryKind.Directory => true,
            ManifestEntryKind.File => status.Type == FileType.Regular && status.Size == entry.Size &&
                status.Modified == entry.Node!.Modified && status.Mode == entry.Mode && HasContent(directory, name, entry),
            ManifestEntryKind.Link => status.Type == FileType.Link &&
                NativeName.Escape(directory.ReadLink(name)) == entry.LinkTarget,
            ManifestEntryKind.Special => IsSameSpecial(status, entry.Node!),
            _ => IsLinkedTo(status, entry.LinkTarget!),
        };

        // Directories are gone through in any case, and hard links are compared with their file when that is in place.
        return !same ? Finding.Differs
            : entry.Kind is ManifestEntryKind.Directory or ManifestEntryKind.HardLink ? Finding.Absent
            : Finding.Same;
    }

    private static bool IsSameSpecial(FileStatus status, FileNode node) => node.Type switch
    {
        FileNodes.Fifo => status.Type == FileType.Fifo,
        FileNodes.CharacterDevice => status.Type == FileType.CharacterDevice &&
            (status.DeviceMajor, status.DeviceMinor) == (node.Major, node.Minor),
        _ => status.Type == FileType.BlockDevice && (status.DeviceMajor, status.DeviceMinor) == (node.Major, node.Minor),
    };

    private bool IsLinkedTo(FileStatus status, string path)
    {
        (string directoryPath, byte[] name) = RestoreTree.Split(path);
        return _tree.TryOpen(directoryPath)?.TryGetStatus(name) is { } other &&
            (other.FileSystem, other.Inode) == (status.FileSystem, status.Inode);
    }

    /// <summary>Whether a file's bytes have the digests of the manifest: size and time alone would take a rotten file for a good one.</summary>
    private static bool HasContent(DirectoryHandle directory, byte[] name, ManifestEntry entry)
    {
        using NativeFile file = directory.OpenFile(name);
        byte[] buffer = [];
        long at = 0;
        foreach (FileExtent extent in entry.Extents)
        {
            bool isWhole = extent.Block is { } block && extent.Start == 0 && extent.Length == block.Length;
            Hash256? expected = entry.Extents.Count == 1 ? entry.Hash : null;
            if (extent.Block is not null && !isWhole && expected is null)
            {
                return false;
            }

            for (int left = extent.Length; left > 0;)
            {
                int length = extent.Block is null ? Math.Min(left, 1 << 20) : left;
                if (buffer.Length < length)
                {
                    buffer = new byte[length];
                }

                Span<byte> content = buffer.AsSpan(0, length);
                if (file.Read(content, at) != length ||
                    (extent.Block is null ? content.ContainsAnyExcept((byte)0)
                    : isWhole ? !extent.Block.Matches(content)
                    : Hash256.Compute(content) != expected))
                {
                    return false;
                }

                at += length;
                left -= length;
            }
        }

        return true;
    }

    private async Task RestoreEntriesAsync(CancellationToken cancellationToken)
    {
        try
        {
            int index = -1;
            await foreach (ManifestEntry entry in _manifest.ReadEntriesAsync(cancellationToken).ConfigureAwait(false))
            {
                index++;
                string? alias = null;
                if (IsKept(index) || (!IsWanted(entry.Path) && !_aliases.TryGetValue(entry.Path, out alias)))
                {
                    continue;
                }

                switch (entry.Kind)
                {
                    case ManifestEntryKind.Directory:
                        _ = _tree.OpenOrCreate(entry.Path);
                        break;
                    case ManifestEntryKind.File:
                        Take(alias is null ? entry : entry with { Path = alias });
                        break;
                    case ManifestEntryKind.HardLink:
                        _windowLinks.Add((entry.Path, _aliases.GetValueOrDefault(entry.LinkTarget!, entry.LinkTarget!)));
                        break;
                    default:
                        MakeOther(entry);
                        break;
                }

                if (_window.Count + _windowLinks.Count >= WindowEntries || _windowBytes >= WindowBytes ||
                    _windowDirectories.Count >= RestoreTree.MaximumOpen)
                {
                    await FlushAsync(cancellationToken).ConfigureAwait(false);
                }
            }

            await FlushAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            CloseWindow();
        }
    }

    private void Take(ManifestEntry entry)
    {
        (string directoryPath, byte[] name) = RestoreTree.Split(entry.Path);
        DirectoryHandle directory = _tree.OpenOrCreate(directoryPath);
        if (_windowDirectories.Add(directory))
        {
            directory.Retain();
        }

        _window.Add(new RestoreItem(entry, directory, name, TemporaryName(name)));
        _windowBytes += entry.Size;
    }

    private async Task FlushAsync(CancellationToken cancellationToken)
    {
        List<BlockReference> blocks = [];
        List<List<Use>> uses = [];
        Dictionary<BlockReference, List<Use>> known = new(ReferenceEqualityComparer.Instance);
        foreach (RestoreItem item in _window)
        {
            long at = 0;
            foreach (FileExtent extent in item.Entry.Extents)
            {
                if (extent.Block is { } block)
                {
                    if (!known.TryGetValue(block, out List<Use>? list))
                    {
                        known.Add(block, list = []);
                        blocks.Add(block);
                        uses.Add(list);
                    }

                    list.Add(new Use(item, at, extent));
                    item.PartsLeft++;
                }

                at += extent.Length;
            }

            if (item.PartsLeft == 0)
            {
                Create(item);
                Finish(item);
            }
        }

        await _reader.ReadBlocksAsync(
            blocks,
            _options.Parallelism,
            (index, content, _) =>
            {
                foreach (Use use in uses[index])
                {
                    Write(use, content.Span.Slice(use.Extent.Start, use.Extent.Length));
                }

                return ValueTask.CompletedTask;
            },
            cancellationToken).ConfigureAwait(false);

        foreach ((string path, string target) in _windowLinks)
        {
            MakeHardLink(path, target);
        }

        CloseWindow();
    }

    private void CloseWindow()
    {
        foreach (RestoreItem item in _window)
        {
            item.File?.Dispose();
        }

        foreach (DirectoryHandle directory in _windowDirectories)
        {
            directory.Release();
        }

        _window.Clear();
        _windowLinks.Clear();
        _windowDirectories.Clear();
        _windowBytes = 0;
    }

    private void Write(Use use, ReadOnlySpan<byte> content)
    {
        RestoreItem item = use.Item;
        if (item.Entry.Hash is { } hash && item.Entry.Extents.Count == 1 && Hash256.Compute(content) != hash)
        {
            throw new SmcException(
                SmcErrorCode.ChecksumMismatch,
                $"The content of '{item.Entry.Path}' does not match its digest in the manifest.",
                target: item.Entry.Path);
        }

        lock (item.Gate)
        {
            if (item.File is null)
            {
                Create(item);
            }
        }

        if (item.Entry.Node!.Sparse)
        {
            item.File!.WriteSparse(content, use.At);
        }
        else
        {
            item.File!.Write(content, use.At);
        }

        lock (item.Gate)
        {
            if (--item.PartsLeft > 0)
            {
                return;
            }
        }

        Finish(item);
    }

    private static void Create(RestoreItem item)
    {
        // What an interrupted restore left; a link that was planted here goes the same way.
        item.Directory.Remove(item.TemporaryName);
        item.File = item.Directory.CreateFile(item.TemporaryName);
    }

    private void Finish(RestoreItem item)
    {
        ManifestEntry entry = item.Entry;
        using (NativeFile file = item.File!)
        {
            if (entry.Node!.Sparse || (entry.Extents.Count > 0 && entry.Extents[^1].Block is null))
            {
                file.SetLength(entry.Size);
            }

            _nodes.Apply(file, entry.Mode, entry.Node, item.Directory.HasDefaultAccessList);
        }

        Place(item.Directory, item.TemporaryName, item.Name);
        long bytes = Interlocked.Add(ref _bytes, entry.Size);
        if (Interlocked.Increment(ref _files) % ProgressEvery == 0 || entry.Size > 1 << 20)
        {
            _observer.Progress(new OperationProgress(_activity, entry.Path, bytes, _wantedBytes));
        }
    }

    private void Place(DirectoryHandle directory, byte[] temporaryName, byte[] name)
    {
        if (!directory.TryRename(temporaryName, name, _options.Force))
        {
            directory.Remove(temporaryName);
            throw new SmcException(
                SmcErrorCode.TargetNotEmpty,
                $"'{directory.PathOf(name)}' appeared while the restore was at work, and was left as it is.",
                recommendation: "Find out who writes there, then run the command again: it continues.",
                target: directory.PathOf(name));
        }
    }

    private void MakeHardLink(string path, string target)
    {
        if (path == target)
        {
            return;
        }

        (string targetDirectoryPath, byte[] targetName) = RestoreTree.Split(target);
        DirectoryHandle targetDirectory = _tree.OpenOrCreate(targetDirectoryPath).Retain();
        try
        {
            (string directoryPath, byte[] name) = RestoreTree.Split(path);
            DirectoryHandle directory = _tree.OpenOrCreate(directoryPath);
            FileStatus file = targetDirectory.GetStatus(targetName);
            if (directory.TryGetStatus(name) is { } present && (present.FileSystem, present.Inode) == (file.FileSystem, file.Inode))
            {
                return;
            }

            byte[] temporaryName = TemporaryName(name);
            directory.Remove(temporaryName);
            directory.CreateHardLink(temporaryName, targetDirectory, targetName);
            Place(directory, temporaryName, name);
            _links++;
        }
        finally
        {
            targetDirectory.Release();
        }
    }

    private void MakeOther(ManifestEntry entry)
    {
        (string directoryPath, byte[] name) = RestoreTree.Split(entry.Path);
        DirectoryHandle directory = _tree.OpenOrCreate(directoryPath);
        byte[] temporaryName = TemporaryName(name);
        directory.Remove(temporaryName);
        try
        {
            if (entry.Kind == ManifestEntryKind.Link)
            {
                directory.CreateLink(temporaryName, NativeName.ToBytes(entry.LinkTarget!));
            }
            else
            {
                directory.CreateSpecial(
                    temporaryName,
                    entry.Node!.Type switch
                    {
                        FileNodes.Fifo => FileType.Fifo,
                        FileNodes.CharacterDevice => FileType.CharacterDevice,
                        _ => FileType.BlockDevice,
                    },
                    entry.Node.Major ?? 0,
                    entry.Node.Minor ?? 0);
            }
        }
        catch (PosixException e) when (e.Error is PosixException.NotPermitted or PosixException.NotSupported or PosixException.AccessDenied &&
            entry.Kind == ManifestEntryKind.Special)
        {
            // Device files are root's to make, and not in every container.
            _nodes.Report(e.Message);
            return;
        }

        _nodes.Apply(directory, temporaryName, entry);
        Place(directory, temporaryName, name);
        _links++;
    }

    /// <summary>Directories get owner, mode and times when everything is in them.</summary>
    private async Task FinishDirectoriesAsync(bool withRoot, CancellationToken cancellationToken)
    {
        List<(string Path, int Mode)> restrictive = [];
        await foreach (ManifestEntry entry in _manifest.ReadEntriesAsync(cancellationToken).ConfigureAwait(false))
        {
            if (entry.Kind != ManifestEntryKind.Directory || (!IsWanted(entry.Path) && !_neededDirectories.Contains(entry.Path)))
            {
                continue;
            }

            _directories++;
            int mode = entry.Mode;
            if (!Posix.IsRoot && (mode & OwnerAll) != OwnerAll)
            {
                // What is below could not be reached any more.
                restrictive.Add((entry.Path, mode));
                mode |= OwnerAll;
            }

            _nodes.Apply(_tree.OpenOrCreate(entry.Path), mode, entry.Node!, inheritsAccessList: true);
        }

        if (withRoot)
        {
            // Before the mode, which may forbid it, and the time, which it changes.
            _tree.Root.Remove(s_rootMark);
            _nodes.Apply(_tree.Root, Convert.ToInt32(_details.RootMode, 8), _details.Root, inheritsAccessList: true);
        }

        for (int i = restrictive.Count - 1; i >= 0; i--)
        {
            _tree.OpenOrCreate(restrictive[i].Path).SetMode(restrictive[i].Mode);
        }
    }

    private FileStoreRestoreResult Result(string target, TimeSpan duration) => new()
    {
        BackupId = _manifest.Header.Id,
        Name = _details.Name,
        TargetPath = target,
        State = _nodes.ProblemCount == 0 ? "Complete" : "Partial",
        FileCount = _files,
        KeptFileCount = _keptFiles,
        SizeBytes = _bytes,
        DirectoryCount = _directories,
        LinkCount = _links,
        ProblemCount = _nodes.ProblemCount,
        Problems = _nodes.Problems,
        Duration = duration,
    };

    /// <summary>The same for each attempt, so that what an interrupted one left is found and used up.</summary>
    private static byte[] TemporaryName(byte[] name) =>
        Encoding.ASCII.GetBytes($".smcdr-{Convert.ToHexStringLower(SHA256.HashData(name).AsSpan(0, 8))}.partial\0");

    private enum Finding
    {
        Absent,
        Same,
        Differs,
        Obstructed,
    }

    private readonly record struct Use(RestoreItem Item, long At, FileExtent Extent);
}
