using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>Writes the files of a base backup into a directory, ready for recovery.</summary>
/// <remarks>
/// <para>
/// The control file comes last, by rename, after everything else is durable: a directory without it is none that PostgreSQL
/// starts in, so a restore that was interrupted can only be continued. In the control file the place of the latest checkpoint is
/// made impossible (<see cref="ControlFile.InvalidateCheckpoint"/>), so that it starts with <c>backup_label</c> or not at all.
/// </para>
/// <para>
/// A second run over what an interrupted one left compares what is there with the manifest's digests and writes the rest. What the
/// first run's journal of progress would claim after a power cut, the digests know.
/// </para>
/// <para>
/// A delta restore (<see cref="BaseRestoreTarget.Delta"/>) does the same in a data directory that is in use, or was: its control file goes
/// first, so that from then on it cannot be started before all is right.
/// </para>
/// </remarks>
public static class BaseRestore
{
    internal const string Activity = "Restore of the base backup";

    /// <summary>Files from this size on get their room on the disk when they are created, in one piece where there is one.</summary>
    private const long PreallocationSize = 1 << 20;

    /// <summary>Parts from this size on are on their way to the disk as soon as they are written; single pages gather first.</summary>
    private const int WritebackSize = 256 << 10;

    // errno.h; the same on every Linux.
    private const int NoSpace = 28;
    private const int QuotaExceeded = 122;

    /// <summary>Restores the files of a base backup.</summary>
    /// <param name="reader">The backup.</param>
    /// <param name="manifest">Its manifest, as <see cref="BackupReader.ReadManifestAsync"/> returns it.</param>
    /// <param name="target">Where to.</param>
    /// <param name="observer">Is told decisions and progress.</param>
    /// <param name="cancellationToken">Stops the work; a second run continues.</param>
    /// <exception cref="SmcException">
    /// Among others <see cref="SmcErrorCode.ChecksumMismatch"/> and <see cref="SmcErrorCode.ObjectNotFound"/> naming the object,
    /// <see cref="SmcErrorCode.TargetNotEmpty"/>, <see cref="SmcErrorCode.DiskSpaceInsufficient"/>.
    /// </exception>
    public static async Task<BaseRestoreResult> RestoreFilesAsync(
        BackupReader reader,
        Manifest manifest,
        BaseRestoreTarget target,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(reader);
        ArgumentNullException.ThrowIfNull(manifest);
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(observer);
        try
        {
            return await new Run(reader, manifest, target, observer).ExecuteAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (IOException e) when (e.HResult is NoSpace or QuotaExceeded)
        {
            throw new SmcException(
                SmcErrorCode.DiskSpaceInsufficient,
                $"The restore to '{target.DataDirectory}' has run out of room: {e.Message}",
                e,
                target: target.DataDirectory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable, $"The restore to '{target.DataDirectory}' failed: {e.Message}", e, target: target.DataDirectory);
        }
        finally
        {
            observer.Progress(new OperationProgress(Activity, "Done") { IsCompleted = true });
        }
    }

    /// <summary>One restore.</summary>
    private sealed class Run
    {
        private readonly BackupReader _reader;
        private readonly Manifest _manifest;
        private readonly BaseRestoreTarget _target;
        private readonly IOperationObserver _observer;
        private readonly DatabaseBackupDetails _details;
        private readonly RestoreLayout _layout;
        private readonly int _parallelism;
        private readonly RestoreContent _content;
        private readonly IReadOnlyList<(string Path, int Mode)> _directories;
        private readonly IReadOnlyList<RestoreFile> _files;
        private readonly IReadOnlyDictionary<string, byte[]> _special;
        private long _done;
        private long _removed;
        private DeltaTarget? _delta;
        private PageHashCache? _hashes;

        public Run(BackupReader reader, Manifest manifest, BaseRestoreTarget target, IOperationObserver observer)
        {
            _reader = reader;
            _manifest = manifest;
            _target = target;
            _observer = observer;
            _details = RestoreContent.DetailsOf(manifest);
            _layout = RestoreLayout.Create(manifest, _details, target);
            _parallelism = target.Parallelism ?? Math.Clamp(Environment.ProcessorCount, 2, 8);
            _content = new RestoreContent(manifest, _layout);
            (_directories, _files, _special) = (_content.Directories, _content.Files, _content.Special);
        }

        public async Task<BaseRestoreResult> ExecuteAsync(CancellationToken cancellationToken)
        {
            Stopwatch watch = Stopwatch.StartNew();

            // Nothing is written before it is known that the whole backup is there and that the target can take it.
            await _reader.CheckPacksAsync(_manifest, cancellationToken).ConfigureAwait(false);
            await _content.ReadSpecialFilesAsync(_reader, _parallelism, cancellationToken).ConfigureAwait(false);
            bool resumed = CheckTarget();
            if (!resumed && _target.CheckSpace)
            {
                CheckSpace();
            }

            if (_delta is not null)
            {
                BeginDelta(cancellationToken);
            }

            CreateDirectories();
            if (resumed || _delta is not null)
            {
                await CompareAsync(cancellationToken).ConfigureAwait(false);
            }

            await WriteBlocksAsync(cancellationToken).ConfigureAwait(false);
            await CreateFilesAsync(cancellationToken).ConfigureAwait(false);
            await WriteSpecialFilesAsync(cancellationToken).ConfigureAwait(false);
            CreateLinks();
            await SyncAsync(cancellationToken).ConfigureAwait(false);
            WriteControlFile();
            RestoreJournal.Remove(_layout.Root);
            return new BaseRestoreResult(
                _layout.Root,
                _manifest.Header.FileCount,
                _manifest.Header.SizeBytes,
                _files.LongCount(static file => file.IsKept),
                _files.Sum(static file => file.KeptBytes),
                _files.Sum(static file => file.Entry.Size - file.KeptBytes),
                _removed,
                watch.Elapsed);
        }

        /// <summary>Whether the target is what an earlier run of this restore left; throws where it is neither that nor empty.</summary>
        private bool CheckTarget()
        {
            RestoreJournal? journal = RestoreJournal.TryRead(_layout.Root);
            bool resumed = journal is not null && journal.Backup == _manifest.Header.Id && journal.Repository == _manifest.Header.RepositoryId;
            string control = Path.Combine(_layout.Root, ControlFile.RelativePath);
            if ((_target.Delta && !IsEmpty(_layout.Root)) || (resumed && journal!.Delta && !File.Exists(control)))
            {
                DeltaTarget.Check(_layout, _manifest.Header, _target.Force);
                _delta = DeltaTarget.Scan(
                    _layout,
                    _directories.Select(static d => d.Path),
                    _files.Select(static f => f.Path).Concat(_special.Keys.Select(p => Path.Combine(_layout.Root, p))));
                _observer.Verbose($"'{_layout.Root}' is made like the backup '{_manifest.Header.Id}'; what is right in it is kept.");
                return resumed;
            }

            string lockFile = Path.Combine(_layout.Root, "postmaster.pid");
            if (resumed && File.Exists(control))
            {
                // The last step but one had been done, so a server may have been started since: what it wrote is not ours to take back.
                if (File.Exists(lockFile))
                {
                    throw new SmcException(
                        SmcErrorCode.TargetInUse,
                        $"A server runs, or ran, in the directory '{_layout.Root}' that is being restored to.",
                        target: _layout.Root);
                }

                if (!File.ReadAllBytes(control).AsSpan().SequenceEqual(_special[ControlFile.RelativePath]))
                {
                    throw NotEmpty(_layout.Root);
                }
            }
            else if (resumed)
            {
                // Left by an attempt to start without control file, which always fails.
                File.Delete(lockFile);
            }

            if (!resumed && !IsEmpty(_layout.Root))
            {
                throw NotEmpty(_layout.Root);
            }

            foreach (string location in _layout.TablespaceDirectories)
            {
                if (!IsEmpty(location) && !(resumed && journal!.Tablespaces.Contains(location)))
                {
                    throw NotEmpty(location);
                }
            }

            if (resumed)
            {
                _observer.Verbose($"'{_layout.Root}' holds what an earlier, interrupted restore of '{_manifest.Header.Id}' left; what is right in it is kept.");
            }

            return resumed;
        }

        /// <summary>
        /// From here on the directory cannot be started. The journal first: a directory without control file and without it would be one
        /// of which nobody knows what became of it.
        /// </summary>
        private void BeginDelta(CancellationToken cancellationToken)
        {
            WriteJournal();
            string control = Path.Combine(_layout.Root, ControlFile.RelativePath);
            if (File.Exists(control))
            {
                File.Delete(control);
                Posix.SyncDirectory(Path.GetDirectoryName(control)!);
            }

            _observer.Progress(new OperationProgress(Activity, "Removing what the backup does not hold", 0, _manifest.Header.SizeBytes));
            _removed = _delta!.RemoveSurplus(cancellationToken);
            _observer.Verbose(string.Create(CultureInfo.InvariantCulture, $"{_removed} files that the backup does not hold are removed."));
        }

        private void WriteJournal() => new RestoreJournal(
            _manifest.Header.Id, _manifest.Header.RepositoryId, [.. _layout.TablespaceDirectories], _details.SystemId, _delta is not null)
            .Write(_layout.Root);

        private void CheckSpace()
        {
            // The disk of a path is the one that is mounted at the longest beginning of it.
            string[] mounts = [.. DriveInfo.GetDrives().Select(static d => d.Name).OrderByDescending(static name => name.Length)];
            foreach (IGrouping<string, RestoreFile> disk in _files.GroupBy(file => MountOf(Path.GetDirectoryName(file.Path)!)))
            {
                // What a delta restore overwrites has its room already.
                long needed = disk.Sum(file =>
                    _delta is not null && new FileInfo(file.Path) is { Exists: true } found ? Math.Max(0, file.Entry.Size - found.Length) : file.Allocation);
                long free = new DriveInfo(disk.Key).AvailableFreeSpace;
                if (needed > free)
                {
                    throw new SmcException(
                        SmcErrorCode.DiskSpaceInsufficient,
                        string.Create(
                            CultureInfo.InvariantCulture,
                            $"The disk at '{disk.Key}' has {free} bytes free, and the restore needs {needed} there."),
                        target: disk.Key);
                }
            }

            string MountOf(string path) =>
                mounts.FirstOrDefault(mount => path.StartsWith(mount, StringComparison.Ordinal) &&
                    (path.Length == mount.Length || mount.EndsWith('/') || path[mount.Length] == '/' || OperatingSystem.IsWindows()))
                ?? Path.GetPathRoot(path)!;
        }

        private void CreateDirectories()
        {
            CreateDirectory(_layout.Root, _details.DirectoryMode, mayBeLink: true);
            if (_delta is null)
            {
                WriteJournal();
            }

            foreach (string location in _layout.TablespaceDirectories)
            {
                CreateDirectory(location, _details.DirectoryMode, mayBeLink: true);
            }

            foreach ((string path, int mode) in _directories)
            {
                CreateDirectory(path, mode, mayBeLink: false);
            }
        }

        private void CreateDirectory(string path, int mode, bool mayBeLink)
        {
            Directory.CreateDirectory(path);
            if (!mayBeLink && new DirectoryInfo(path).LinkTarget is { } link)
            {
                throw new SmcException(
                    SmcErrorCode.TargetUnsuitable,
                    $"'{path}' is a link to '{link}', which would lead the restore out of its target.",
                    target: path);
            }

            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, (UnixFileMode)mode);
                Own(path);
            }
        }

        /// <summary>Finds out which extents of files that are there already are right.</summary>
        private async Task CompareAsync(CancellationToken cancellationToken)
        {
            _observer.Progress(new OperationProgress(Activity, "Looking at what is there already", 0, _manifest.Header.SizeBytes));
            long compared = 0;
            _hashes = new PageHashCache(_reader, _observer);
            FileComparison comparison = new(_hashes, _details.BlockSize, Math.Max(_parallelism, Environment.ProcessorCount));
            await comparison.RunAsync(
                _files,
                (file, length) => _observer.Progress(new OperationProgress(
                    Activity, $"Comparing {file.Entry.Path}", Interlocked.Add(ref compared, length), _manifest.Header.SizeBytes)),
                cancellationToken).ConfigureAwait(false);
            _observer.Verbose(string.Create(
                CultureInfo.InvariantCulture,
                $"{_files.Count(static file => file.IsKept)} of {_files.Count} files are right already, and {_files.Sum(static file => file.KeptBytes)} bytes."));
        }

        /// <summary>Creates the files into which no block was written, and makes those that are kept what they must be.</summary>
        private async Task CreateFilesAsync(CancellationToken cancellationToken) => await Parallel.ForEachAsync(
            _files.Where(static file => !file.IsOpened),
            new ParallelOptions { MaxDegreeOfParallelism = _parallelism, CancellationToken = cancellationToken },
            (file, _) =>
            {
                Open(file).Dispose();
                return ValueTask.CompletedTask;
            }).ConfigureAwait(false);

        /// <summary>
        /// Opens a file, and creates it the first time. All of them beforehand would be hundreds of calls in the same few directories, for which the
        /// workers wait for each other while the disk has nothing to do.
        /// </summary>
        private SafeFileHandle Open(RestoreFile file)
        {
            lock (file)
            {
                if (!file.IsOpened)
                {
                    SafeFileHandle created = Create(file);
                    file.IsOpened = true;
                    return created;
                }
            }

            return File.OpenHandle(file.Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        }

        private SafeFileHandle Create(RestoreFile file)
        {
            long size = file.Entry.Size;
            bool compared = file.IsFound;
            long allocation = !compared && size >= PreallocationSize && file.Allocation == size ? size : 0;
            SafeFileHandle? handle = null;
            try
            {
                handle = File.OpenHandle(
                    file.Path, compared ? FileMode.Open : FileMode.Create, FileAccess.Write, FileShare.ReadWrite, FileOptions.None, allocation);
                if (allocation == 0 && !(compared && file.FoundLength == size))
                {
                    RandomAccess.SetLength(handle, size);
                }

                if (!OperatingSystem.IsWindows())
                {
                    File.SetUnixFileMode(handle, (UnixFileMode)(file.Entry.Mode == 0 ? RestoreContent.FileMode(_details) : file.Entry.Mode));
                    Own(file.Path);
                }

                SafeFileHandle result = handle;
                handle = null;
                return result;
            }
            catch (IOException e) when (allocation > 0 && new DriveInfo(Path.GetDirectoryName(file.Path)!).AvailableFreeSpace < allocation)
            {
                // .NET says in words that the disk is full, and not by the error's number.
                throw new IOException(e.Message, NoSpace);
            }
            finally
            {
                handle?.Dispose();
            }
        }

        private async Task WriteBlocksAsync(CancellationToken cancellationToken)
        {
            // Each block is read once, however many files it is part of: its first place, and from each place the next.
            Dictionary<BlockReference, int> first = new(ReferenceEqualityComparer.Instance);
            List<BlockReference> blocks = [];
            List<Place> places = [];
            foreach (RestoreFile file in _files)
            {
                _done += file.Entry.Size;
                foreach ((long offset, FileExtent extent) in file.Missing)
                {
                    if (extent.Block is { } block)
                    {
                        if (!first.TryGetValue(block, out int next))
                        {
                            blocks.Add(block);
                            next = -1;
                        }

                        first[block] = places.Count;
                        places.Add(new Place(file, offset, extent.Start, extent.Length, next));
                        _done -= extent.Length;
                    }
                    else
                    {
                        await ClearAsync(file, offset, extent.Length, cancellationToken).ConfigureAwait(false);
                    }
                }
            }

            await _reader.ReadBlocksAsync(
                blocks,
                _parallelism,
                (index, token) => FindPagesAsync(blocks[index], places, first[blocks[index]], token),
                (index, content, token) =>
                {
                    // A block of an incremental backup holds pages of many places, most of them of few files, one file's after the other's.
                    RestoreFile? file = null;
                    SafeFileHandle? handle = null;
                    int written = 0;
                    try
                    {
                        for (int place = first[blocks[index]]; place >= 0; place = places[place].Next)
                        {
                            if (handle is null || places[place].File != file)
                            {
                                handle?.Dispose();
                                file = places[place].File;
                                handle = Open(file);
                            }

                            Write(handle, places[place], content.Span);
                            written += places[place].Length;
                        }
                    }
                    finally
                    {
                        handle?.Dispose();
                    }

                    _observer.Progress(new OperationProgress(
                        Activity, file!.Entry.Path, Interlocked.Add(ref _done, written), _manifest.Header.SizeBytes));
                    token.ThrowIfCancellationRequested();
                    return ValueTask.CompletedTask;
                },
                cancellationToken).ConfigureAwait(false);
        }

        /// <summary>
        /// The pages that are needed of a block, with what proves them. Null where those are many, or some are not known: then all of the block is
        /// made and proven. After a comparison it is the odd page that is needed, and making the rest would be most of the work.
        /// </summary>
        private async ValueTask<BlockPart?> FindPagesAsync(BlockReference block, List<Place> places, int first, CancellationToken cancellationToken)
        {
            int pageSize = _details.BlockSize;
            if (_hashes is null || block.PageHashes is not { } known)
            {
                return null;
            }

            int needed = 0;
            int end = 0;
            for (int place = first; place >= 0; place = places[place].Next)
            {
                (int start, int length) = (places[place].Start, places[place].Length);
                needed += length;
                end = Math.Max(end, start + length);
                if (start % pageSize != 0 || (length % pageSize != 0 && start + length != block.Length) || needed > block.Length / 2)
                {
                    return null;
                }
            }

            byte[] entries = await _hashes.ReadAsync(known.Block, cancellationToken).ConfigureAwait(false);
            if (known.At + ((long)PageDigests.CountOf(end, pageSize) * PageHashes.EntrySize) > entries.Length)
            {
                return null;
            }

            return new BlockPart(end, content =>
            {
                for (int place = first; place >= 0; place = places[place].Next)
                {
                    int stop = places[place].Start + places[place].Length;
                    for (int start = places[place].Start; start < stop; start += pageSize)
                    {
                        int entry = known.At + (start / pageSize * PageHashes.EntrySize);
                        if (!PageHashes.Matches(content[start..Math.Min(start + pageSize, stop)], entries.AsSpan(entry, PageHashes.HashSize)))
                        {
                            return false;
                        }
                    }
                }

                return true;
            });
        }

        private void Write(SafeFileHandle handle, Place place, ReadOnlySpan<byte> content)
        {
            ManifestEntry entry = place.File.Entry;
            ReadOnlySpan<byte> part = content.Slice(place.Start, place.Length);
            if (entry.Hash is { } hash && place.Length == entry.Size && Hash256.Compute(part) != hash)
            {
                throw RestoreContent.Damaged(_manifest.Header, entry);
            }

            // Not by the asynchronous call, which for a page costs more than the page: on Unix it only hands the write to another thread.
            RandomAccess.Write(handle, part, place.Offset);
            if (part.Length >= WritebackSize)
            {
                Posix.StartWriteback(handle, place.Offset, part.Length);
            }
        }

        private static async ValueTask ClearAsync(RestoreFile file, long offset, int length, CancellationToken cancellationToken)
        {
            using SafeFileHandle handle = File.OpenHandle(file.Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            await RandomAccess.WriteAsync(handle, new byte[length], offset, cancellationToken).ConfigureAwait(false);
        }

        private async Task WriteSpecialFilesAsync(CancellationToken cancellationToken)
        {
            if (_special.TryGetValue(BackupFileRules.TablespaceMap, out byte[]? map))
            {
                string path = Path.Combine(_layout.Root, BackupFileRules.TablespaceMap);
                File.Delete(path);
                await File.WriteAllBytesAsync(path, map, cancellationToken).ConfigureAwait(false);
                SetModeAndOwner(path);
                using SafeFileHandle handle = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
                RandomAccess.FlushToDisk(handle);
            }
        }

        /// <summary>
        /// Links the tablespaces. PostgreSQL makes the links itself from tablespace_map, and replaces these; they are for tools that
        /// look into the directory before its first start.
        /// </summary>
        private void CreateLinks()
        {
            foreach ((string name, string location) in _layout.Links)
            {
                string path = Path.Combine(_layout.Root, BackupFileRules.Tablespaces, name);
                if (new FileInfo(path).LinkTarget is not null)
                {
                    File.Delete(path);
                }

                Directory.CreateSymbolicLink(path, location);
                if (!OperatingSystem.IsWindows())
                {
                    Own(path);
                }
            }
        }

        private async Task SyncAsync(CancellationToken cancellationToken)
        {
            long total = _manifest.Header.SizeBytes;
            _observer.Progress(new OperationProgress(Activity, "Making it durable", total, total));
            ParallelOptions options = new() { MaxDegreeOfParallelism = 16, CancellationToken = cancellationToken };

            // After all writing, so that the system has had its time to write most of it on its own, and many at a time, so that
            // a disk can order them. Files that were kept may still be in memory only, too.
            await Parallel.ForEachAsync(
                _files,
                options,
                static (file, _) =>
                {
                    using SafeFileHandle handle = File.OpenHandle(file.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
                    RandomAccess.FlushToDisk(handle);
                    return ValueTask.CompletedTask;
                }).ConfigureAwait(false);
            string[] roots = [_layout.Root, .. _layout.TablespaceDirectories];
            await Parallel.ForEachAsync(
                _directories.Select(static d => d.Path).Concat(roots).Concat(roots.Select(static r => Path.GetDirectoryName(r)!)).Distinct(),
                options,
                static (directory, _) =>
                {
                    Posix.SyncDirectory(directory);
                    return ValueTask.CompletedTask;
                }).ConfigureAwait(false);
        }

        private void WriteControlFile()
        {
            string path = Path.Combine(_layout.Root, ControlFile.RelativePath);
            string temporary = path + ".smcdr";
            using (FileStream stream = new(temporary, FileMode.Create, FileAccess.Write))
            {
                stream.Write(_special[ControlFile.RelativePath]);
                stream.Flush(flushToDisk: true);
            }

            SetModeAndOwner(temporary);
            File.Move(temporary, path, overwrite: true);
            Posix.SyncDirectory(Path.GetDirectoryName(path)!);
        }

        private void SetModeAndOwner(string path)
        {
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, (UnixFileMode)RestoreContent.FileMode(_details));
                Own(path);
            }
        }

        [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
        private void Own(string path)
        {
            if (_target.OwnerUser is not null || _target.OwnerGroup is not null)
            {
                // uid_t and gid_t of -1 leave the one or the other as it is (chown(2)).
                Posix.SetOwner(path, _target.OwnerUser ?? uint.MaxValue, _target.OwnerGroup ?? uint.MaxValue);
            }
        }

        // A disk that is mounted there has a directory of the file system's own.
        private static bool IsEmpty(string directory) => DeltaTarget.IsEmpty(directory);

        private SmcException NotEmpty(string directory) => new(
            SmcErrorCode.TargetNotEmpty,
            $"The directory '{directory}' is not empty, and what is in it is not an interrupted restore of '{_manifest.Header.Id}'.",
            target: directory);

        /// <summary>A part of a block in a file, and the next place of the same block.</summary>
        private readonly record struct Place(RestoreFile File, long Offset, int Start, int Length, int Next);
    }
}
