using System.Globalization;
using System.Text.Json;
using System.Runtime.Versioning;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Redis.Offline;

/// <summary>
/// The data directory of a server, held by one restore at a time, and the journal in it. Beside the data the journal is on the same file system, and
/// found by whoever looks why the server does not run.
/// </summary>
/// <remarks>
/// The directory is the server account's, who could put a link in the place of anything: so all goes through the open directory by single names, and a
/// journal is believed only where it is a file of our own account.
/// </remarks>
[UnsupportedOSPlatform("windows")]
internal sealed class OfflineDirectory : IDisposable
{
    public const string JournalName = OfflineNames.JournalName;

    /// <summary>The RDB on its way.</summary>
    public const string FileName = OfflineNames.FileName;

    /// <summary>The directory of append-only files on its way.</summary>
    public const string AppendDirectoryName = OfflineNames.AppendDirectoryName;

    private const string NewJournalName = JournalName + ".new";
    private const int MaximumJournal = 1 << 20;

    private readonly DirectoryHandle _handle;

    private OfflineDirectory(DirectoryHandle handle, string path)
    {
        (_handle, Path) = (handle, path);
    }

    public string Path { get; }

    public DirectoryHandle Handle => _handle;

    /// <summary>Opens the directory to look at it.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/>: it is not there, or may not be looked at.</exception>
    public static OfflineDirectory Open(string path)
    {
        try
        {
            return new OfflineDirectory(DirectoryHandle.OpenRoot(path), path);
        }
        catch (PosixException e)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                e.Message,
                e,
                "Check dataDirectory in the site file, and run the command as root or as the account that the server runs as.",
                path);
        }
    }

    /// <summary>Takes the directory for this process.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.OperationInProgress"/>: another one has it.</exception>
    public void Lock()
    {
        if (!_handle.TryLock())
        {
            throw new SmcException(SmcErrorCode.OperationInProgress, $"Another restore is at work in '{Path}'.", target: Path);
        }
    }

    /// <summary>Reads the journal; null where there is none.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.RestoreUnfinished"/>: there is one that cannot be relied on.</exception>
    public OfflineJournal? ReadJournal()
    {
        byte[] name = NameOf(JournalName);
        if (_handle.TryGetStatus(name) is null)
        {
            return null;
        }

        using NativeFile file = _handle.OpenFile(name);
        FileStatus status = file.GetStatus();
        if (status.Type != FileType.Regular || status.LinkCount != 1 || status.UserId != Posix.UserId || status.Size > MaximumJournal)
        {
            throw Damaged($"is not a file that {Environment.UserName} has written");
        }

        byte[] content = new byte[status.Size];
        try
        {
            return file.Read(content, 0) == content.Length ? JsonSerializer.Deserialize(content, OfflineJson.Default.OfflineJournal) : throw new JsonException();
        }
        catch (JsonException e)
        {
            throw Damaged("cannot be read", e);
        }
    }

    /// <summary>Writes the journal anew; it is durable, and the one before is gone, when this returns.</summary>
    public void WriteJournal(OfflineJournal journal)
    {
        byte[] name = NameOf(NewJournalName);
        _handle.Remove(name);
        using (NativeFile file = _handle.CreateFile(name))
        {
            file.Write(JsonSerializer.SerializeToUtf8Bytes(journal, OfflineJson.Default.OfflineJournal), 0);
            file.Sync();
        }

        _handle.TryRename(name, NameOf(JournalName), replace: true);
        _handle.Sync();
    }

    /// <summary>Removes the journal: nothing is left to do.</summary>
    public void RemoveJournal()
    {
        _handle.Remove(NameOf(JournalName));
        _handle.Remove(NameOf(NewJournalName));
        _handle.Sync();
    }

    public FileStatus? TryGetStatus(string name) => _handle.TryGetStatus(NameOf(name));

    /// <summary>Renames; the new name must be free.</summary>
    public void Rename(string source, string name)
    {
        if (!_handle.TryRename(NameOf(source), NameOf(name), replace: false))
        {
            throw new PosixException(PosixException.FileExists, $"Cannot rename '{System.IO.Path.Combine(Path, source)}' to '{name}'");
        }

        _handle.Sync();
    }

    /// <summary>Removes a file, or a directory and the files in it. An absent one is no error.</summary>
    public void Remove(string name)
    {
        byte[] bytes = NameOf(name);
        if (_handle.TryGetStatus(bytes) is not { } status)
        {
            return;
        }

        if (status.Type != FileType.Directory)
        {
            _handle.Remove(bytes);
            return;
        }

        using (DirectoryHandle directory = _handle.OpenDirectory(bytes))
        {
            foreach ((byte[] file, bool _) in directory.ReadNames())
            {
                directory.Remove(file);
            }
        }

        _handle.RemoveDirectory(bytes);
    }

    /// <summary>A name that nothing has: the one that is asked for, or that with a number behind it.</summary>
    public string FreeName(string name)
    {
        string free = name;
        for (int i = 2; TryGetStatus(free) is not null; i++)
        {
            free = string.Create(CultureInfo.InvariantCulture, $"{name}-{i}");
        }

        return free;
    }

    public void Dispose() => _handle.Dispose();

    public static byte[] NameOf(string name) => [.. System.Text.Encoding.UTF8.GetBytes(name), 0];

    private SmcException Damaged(string what, Exception? inner = null) => new(
        SmcErrorCode.RestoreUnfinished,
        $"An earlier restore left the journal '{System.IO.Path.Combine(Path, JournalName)}', which {what}.",
        inner,
        $"Look at the names in '{Path}': what ends with .before- and a time is what the server had. Put it back by hand where the server lacks it, remove the journal, and run the command again.",
        Path);
}
