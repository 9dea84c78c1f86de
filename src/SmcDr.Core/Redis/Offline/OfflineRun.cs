using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.Versioning;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Offline;

/// <summary>
/// Carries an offline restore out, phase by phase, or takes it back. Each phase can be begun again from any moment at which it was interrupted. The server
/// is stopped only when what it will load lies in its directory, proven, under another name: it is away for two renames and its own start.
/// </summary>
[UnsupportedOSPlatform("windows")]
internal sealed class OfflineRun
{
    private const int PrivateFile = 0x180;
    private const int PrivateDirectory = 0x1C0;
    private const long WritebackSize = 8 << 20;

    private readonly OfflineDirectory _directory;
    private readonly RedisOfflineOptions _options;
    private readonly IOperationObserver _observer;
    private readonly OfflineServer _server;
    private OfflineJournal _journal;

    public OfflineRun(
        OfflineDirectory directory, OfflineServer server, OfflineJournal journal, RedisOfflineOptions options, IOperationObserver observer)
    {
        (_directory, _server, _journal, _options, _observer) = (directory, server, journal, options, observer);
    }

    /// <summary>How far it is.</summary>
    public OfflineJournal Journal => _journal;

    /// <summary>The keys that are compared when the server has loaded them; null where this run has not fetched the RDB, or it could not be read.</summary>
    public IReadOnlyList<SampledKey>? Sample { get; private set; }

    /// <summary>Whether this run has fetched the RDB.</summary>
    public bool HasFetched { get; private set; }

    /// <summary>Where what the server had before lies; empty where it had nothing.</summary>
    public IReadOnlyList<string> Previous => [.. _journal.Aside.Select(name => Path.Combine(_directory.Path, name + _journal.AsideSuffix))];

    private OfflineLayout Layout => _journal.Layout;

    private string StagedName => Layout.IsDirectory ? OfflineDirectory.AppendDirectoryName : OfflineDirectory.FileName;

    /// <summary>Brings the RDB into the data directory.</summary>
    public async Task FetchAsync(BackupReader backup, OfflineTarget target, CancellationToken cancellationToken)
    {
        if (_journal.IsGoingBack)
        {
            // The run before was ended over it.
            await PutBackAsync().ConfigureAwait(false);
        }

        if (_journal.Phase >= OfflinePhase.Fetched)
        {
            return;
        }

        Save(_journal);
        _directory.Remove(OfflineDirectory.FileName);
        _directory.Remove(OfflineDirectory.AppendDirectoryName);
        FileStatus? present = _directory.TryGetStatus(Layout.PlacedName);
        FileStatus fetched;
        if (Layout.IsDirectory)
        {
            byte[] name = OfflineDirectory.NameOf(OfflineDirectory.AppendDirectoryName);
            _directory.Handle.CreateDirectory(name);
            using DirectoryHandle folder = _directory.Handle.OpenDirectory(name);
            fetched = await FetchFileAsync(backup, folder, Layout.BaseFileName, null, target, cancellationToken).ConfigureAwait(false);
            WriteFile(folder, Layout.IncrementFileName, "", target);
            WriteFile(folder, Layout.ManifestFileName, Layout.Manifest, target);
            Give(folder, present?.Type == FileType.Directory ? present.Value.Mode : PrivateDirectory, target);
            folder.Sync();
        }
        else
        {
            fetched = await FetchFileAsync(
                backup, _directory.Handle, OfflineDirectory.FileName, present?.Type == FileType.Regular ? present : null, target, cancellationToken).ConfigureAwait(false);
        }

        _directory.Handle.Sync();
        Save(_journal with
        {
            Phase = OfflinePhase.Fetched, Inode = fetched.Inode, Size = fetched.Size, Modified = fetched.Modified.ToString(),
        });
    }

    /// <summary>Stops the server, moves aside what it has, and gives the new files their names.</summary>
    public async Task ExchangeAsync(CancellationToken cancellationToken)
    {
        if (_journal.Phase < OfflinePhase.Stopped)
        {
            await _server.StopAsync(cancellationToken).ConfigureAwait(false);
            // What is found now is what the server had: none runs, and what is put here has other names.
            Save(_journal with { Phase = OfflinePhase.Stopped, Aside = [.. Layout.Names.Where(name => _directory.TryGetStatus(name) is not null)] });
        }

        if (_journal.Phase < OfflinePhase.Placed)
        {
            _server.ThrowIfRunning("while its files were exchanged");
        }

        if (_journal.Phase < OfflinePhase.SetAside)
        {
            foreach (string name in _journal.Aside.Where(name => _directory.TryGetStatus(name) is not null))
            {
                _directory.Rename(name, name + _journal.AsideSuffix);
                _options.AfterStep?.Invoke($"Aside {name}");
            }

            Save(_journal with { Phase = OfflinePhase.SetAside });
        }

        if (_journal.Phase < OfflinePhase.Placed)
        {
            if (_directory.TryGetStatus(StagedName) is not null)
            {
                _directory.Rename(StagedName, Layout.PlacedName);
                _options.AfterStep?.Invoke("Renamed");
            }
            else if (_directory.TryGetStatus(Layout.PlacedName) is null)
            {
                throw new SmcException(
                    SmcErrorCode.TargetUnsuitable, $"What was fetched to '{Path.Combine(_directory.Path, StagedName)}' is gone: somebody removed it.", target: _directory.Path);
            }

            Save(_journal with { Phase = OfflinePhase.Placed, PlacedTicks = RedisProcess.HostTicks(), PlacedBoot = ProcessTable.ReadBoot() });
        }
    }

    /// <summary>Starts the server, and returns what it says of itself when it has loaded the data.</summary>
    public async Task<RedisInfo> StartAsync(CancellationToken cancellationToken)
    {
        // A host that was restarted since counts from zero again, and all that runs on it began after that.
        bool isAfterReboot = _journal.PlacedBoot is { } boot && ProcessTable.ReadBoot() is { } present
            ? present != boot
            : RedisProcess.HostTicks() < _journal.PlacedTicks!.Value;
        RedisInfo info = await _server.StartAsync(isAfterReboot ? 0 : _journal.PlacedTicks!.Value, cancellationToken).ConfigureAwait(false);
        if (_journal.Phase < OfflinePhase.Loaded)
        {
            Save(_journal with { Phase = OfflinePhase.Loaded });
        }

        return info;
    }

    /// <summary>Ends a server that was only started for a look.</summary>
    public Task EndTemporaryAsync() => _server.EndAsync();

    /// <summary>Nothing is left to do.</summary>
    public void Complete() => _directory.RemoveJournal();

    /// <summary>
    /// Puts back what the server had, and starts it where it ran. What a server may have written to since it was put in place is moved aside in its turn; what
    /// none has changed is removed.
    /// </summary>
    /// <returns>Where what was restored lies, if it was kept.</returns>
    public async Task<string?> UndoAsync()
    {
        bool wasStopped = _journal.Phase >= OfflinePhase.Stopped;
        string? kept = await PutBackAsync().ConfigureAwait(false);
        if (_journal.WasRunning)
        {
            // What was started while the files changed has loaded others, and would save them over what is back.
            long after = wasStopped ? RedisProcess.HostTicks() : 0;
            if (wasStopped && RedisProcess.FindIn(_directory.Handle) is { } early && early.StartTicks < after)
            {
                await _server.EndAsync().ConfigureAwait(false);
            }

            await _server.StartAsync(after, CancellationToken.None).ConfigureAwait(false);
        }

        _directory.RemoveJournal();
        return kept;
    }

    /// <summary>Puts back what the server had, so that the restore is where it began. It is ended for that and not started.</summary>
    /// <returns>Where what was restored lies, if it was kept.</returns>
    public async Task<string?> PutBackAsync()
    {
        string? kept = null;
        if (_journal.Phase >= OfflinePhase.Stopped)
        {
            TrySave(_journal with { IsGoingBack = true });
            await _server.EndAsync().ConfigureAwait(false);
            _options.AfterStep?.Invoke("Ended");
            if (_journal.Phase >= OfflinePhase.SetAside && _directory.TryGetStatus(Layout.PlacedName) is not null &&
                (!_journal.Aside.Contains(Layout.PlacedName) || _directory.TryGetStatus(Layout.PlacedName + _journal.AsideSuffix) is not null))
            {
                if (_journal.Phase == OfflinePhase.Loaded || !IsUntouched())
                {
                    string name = _directory.FreeName(Layout.PlacedName + _journal.AsideSuffix.Replace(".before-", ".restored-", StringComparison.Ordinal));
                    _directory.Rename(Layout.PlacedName, name);
                    kept = Path.Combine(_directory.Path, name);
                }
                else
                {
                    _directory.Remove(Layout.PlacedName);
                }

                _options.AfterStep?.Invoke("TakenAway");
            }

            foreach (string name in _journal.Aside.Where(name => _directory.TryGetStatus(name + _journal.AsideSuffix) is not null))
            {
                // A server that was started meanwhile may have made one of its own.
                if (_directory.TryGetStatus(name) is not null)
                {
                    _directory.Rename(name, _directory.FreeName(name + _journal.AsideSuffix.Replace(".before-", ".meanwhile-", StringComparison.Ordinal)));
                }

                _directory.Rename(name + _journal.AsideSuffix, name);
                _options.AfterStep?.Invoke($"Back {name}");
            }
        }

        _directory.Remove(OfflineDirectory.FileName);
        _directory.Remove(OfflineDirectory.AppendDirectoryName);
        if (_journal.Phase > OfflinePhase.Begun)
        {
            // Should the server not start with its own data either, the next run begins anew.
            TrySave(_journal with
            {
                Phase = OfflinePhase.Begun, Aside = [], Inode = null, Size = null, Modified = null, PlacedTicks = null, PlacedBoot = null, IsGoingBack = false,
            });
        }

        return kept;
    }

    /// <summary>
    /// Whether what was put in place is as it was put there. The process that put it there may be gone since before the server had loaded it, and the server
    /// have gone on: a save gives the name to another file (rdb.c, rdbSave), the next one to one with the first one's number, and an append-only file grows.
    /// </summary>
    private bool IsUntouched()
    {
        if (!Layout.IsDirectory)
        {
            return IsFetchedFile(_directory.TryGetStatus(Layout.PlacedName));
        }

        if (_directory.TryGetStatus(Layout.PlacedName)?.Type != FileType.Directory)
        {
            return false;
        }

        // Its beginning, what it goes on with, and the manifest.
        const int FilesInDirectory = 3;
        using DirectoryHandle folder = _directory.Handle.OpenDirectory(OfflineDirectory.NameOf(Layout.PlacedName));
        return folder.ReadNames().Count <= FilesInDirectory &&
            IsFetchedFile(folder.TryGetStatus(OfflineDirectory.NameOf(Layout.BaseFileName))) &&
            folder.TryGetStatus(OfflineDirectory.NameOf(Layout.IncrementFileName)) is { Size: 0 };
    }

    private bool IsFetchedFile(FileStatus? status) =>
        status is { Type: FileType.Regular } file && file.Inode == _journal.Inode && file.Size == _journal.Size &&
        file.Modified.ToString() == _journal.Modified;

    /// <summary>Notes where going back is. Where there is no room even for that, it goes back all the same.</summary>
    private void TrySave(OfflineJournal journal)
    {
        try
        {
            _directory.WriteJournal(journal);
        }
        catch (PosixException e) when (e.Error is PosixException.NoSpaceLeft or PosixException.QuotaExceeded)
        {
            _observer.Verbose(e.Message);
        }

        _journal = journal;
    }

    private void Save(OfflineJournal journal)
    {
        _directory.WriteJournal(journal);
        _journal = journal;
        _options.AfterStep?.Invoke(journal.Phase.ToString());
    }

    private async Task<FileStatus> FetchFileAsync(
        BackupReader backup, DirectoryHandle folder, string name, FileStatus? present, OfflineTarget target, CancellationToken cancellationToken)
    {
        string source = $"the backup '{backup.Header.Id}'";
        ManifestEntry entry = RdbFile.Find(await backup.ReadManifestAsync(cancellationToken).ConfigureAwait(false));
        RdbIntegrity integrity = new(source);
        OfflineSample sample = new(OfflineSample.NameOf(backup), _options.SampleSize);
        await using ConfiguredAsyncDisposable sampling = sample.ConfigureAwait(false);
        using NativeFile file = folder.CreateFile(OfflineDirectory.NameOf(name));
        long started = 0;
        try
        {
            await DumpReader.ReadAsync(
                backup,
                entry,
                async (part, token) =>
                {
                    long at = integrity.Length;
                    integrity.Append(part.Span);
                    file.Write(part.Span, at);
                    if (integrity.Length - started >= WritebackSize)
                    {
                        file.StartWriteback(started, integrity.Length - started);
                        started = integrity.Length;
                    }

                    _observer.Progress(new OperationProgress(RedisOfflineRestore.Activity, "Fetching the backup", integrity.Length, entry.Size));
                    await sample.AppendAsync(part, token).ConfigureAwait(false);
                    return true;
                },
                cancellationToken).ConfigureAwait(false);
            integrity.Complete();
            (Sample, HasFetched) = (await sample.CompleteAsync(_observer, cancellationToken).ConfigureAwait(false), true);
        }
        catch (SmcException e) when (e.Code is SmcErrorCode.BackupInterrupted)
        {
            // What a transfer calls interrupted is damaged here.
            throw new SmcException(SmcErrorCode.RdbInvalid, e.Message, e, target: backup.Header.Id);
        }

        Give(file, present?.Mode ?? PrivateFile, target);
        file.Sync();
        return file.GetStatus();
    }

    private static void WriteFile(DirectoryHandle folder, string name, string content, OfflineTarget target)
    {
        using NativeFile file = folder.CreateFile(OfflineDirectory.NameOf(name));
        file.Write(System.Text.Encoding.UTF8.GetBytes(content), 0);
        Give(file, PrivateFile, target);
        file.Sync();
    }

    private static void Give(NativeFile file, int mode, OfflineTarget target)
    {
        if (target.Owner is { } owner)
        {
            file.SetOwner(owner.UserId, owner.GroupId);
        }

        // After the owner: giving a file away takes bits from its mode (chown(2)).
        file.SetMode(mode);
    }

    /// <summary>A suffix that nothing in the directory has.</summary>
    public static string CreateSuffix(OfflineDirectory directory, OfflineLayout layout, DateTimeOffset time)
    {
        string stem = string.Create(CultureInfo.InvariantCulture, $".before-{time.UtcDateTime:yyyyMMdd'T'HHmmss'Z'}");
        string suffix = stem;
        for (int i = 2; layout.Names.Any(name => directory.TryGetStatus(name + suffix) is not null); i++)
        {
            suffix = string.Create(CultureInfo.InvariantCulture, $"{stem}-{i}");
        }

        return suffix;
    }
}
