using System.Globalization;
using System.Text.Json;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Recovery;

/// <summary>
/// The folder beside a data directory that holds all that a recovery needs to be finished by another run, whenever the first one
/// was killed: the journal, what is restored but not yet in its place, the staged WAL, and the server's log.
/// </summary>
internal sealed class RecoveryState : IRecoveryState, IDisposable
{
    private const string JournalName = "journal";
    private const string LockName = "lock";
    private const string OwnerName = "owner";

    // EWOULDBLOCK, and a sharing violation: somebody holds the lock. A disk that is full, say, is another failure and tells itself.
    private const int HeldOnLinux = 11;
    private const int HeldOnMacOS = 35;
    private const int HeldOnWindows = unchecked((int)0x80070020);

    private readonly FileStream _lock;
    private FileStream? _journal;

    private RecoveryState(string root, FileStream @lock, OsAccount? account)
    {
        Root = root;
        _lock = @lock;
        Account = account;
    }

    /// <summary>The folder.</summary>
    public string Root { get; }

    public OsAccount? Account { get; }

    /// <summary>Where the data directory is restored to, before it gets to its place.</summary>
    public string NewDirectory => NewDirectoryIn(Root);

    /// <summary>The staged WAL.</summary>
    public string StagingDirectory => Path.Combine(Root, RecoveryScripts.StagingName);

    /// <summary>What the server may write to: its log and its socket.</summary>
    public string ServerDirectory => Path.Combine(Root, "server");

    /// <summary>The log of the server while it is isolated.</summary>
    public string LogFile => Path.Combine(ServerDirectory, "recovery.log");

    /// <summary>What the journal says.</summary>
    public RecoveryProgress Progress { get; private set; } = new();

    public static string PathFor(string dataDirectory) => dataDirectory + ".smcdr";

    public static string NewDirectoryIn(string root) => Path.Combine(root, "new");

    /// <summary>Reads the journal beside a data directory and changes nothing; null where there is none.</summary>
    public static RecoveryProgress? TryRead(string dataDirectory)
    {
        string path = Path.Combine(PathFor(dataDirectory), JournalName);
        return File.Exists(path) ? Read(path) : null;
    }

    /// <summary>Opens the folder, creating it where it is missing, for this process alone.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.OperationInProgress"/>: another process is at it.</exception>
    public static RecoveryState Open(string dataDirectory, OsAccount? account)
    {
        string root = PathFor(dataDirectory);
        CreateDirectory(root, account, forServer: false);
        FileStream handle;
        try
        {
            // flock(2) underneath: gone with the process, however it ends.
            handle = new FileStream(Path.Combine(root, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (e.HResult is HeldOnLinux or HeldOnMacOS or HeldOnWindows)
        {
            string owner = Path.Combine(root, OwnerName);
            string who = File.Exists(owner) ? $" (process {File.ReadAllText(owner).Trim()})" : "";
            throw new SmcException(
                SmcErrorCode.OperationInProgress,
                $"Another recovery{who} is at work on '{dataDirectory}'.",
                e,
                target: dataDirectory);
        }

        RecoveryState state = new(root, handle, account);
        try
        {
            File.WriteAllText(
                Path.Combine(root, OwnerName), Environment.ProcessId.ToString(CultureInfo.InvariantCulture) + "\n");
            string path = Path.Combine(root, JournalName);
            if (File.Exists(path))
            {
                state.Progress = Read(path);
            }

            return state;
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    /// <summary>Makes a line durable, and only then believes it.</summary>
    public void Append(RecoveryJournalEntry entry)
    {
        if (_journal is null)
        {
            string path = Path.Combine(Root, JournalName);
            FileStreamOptions options = new()
            {
                Mode = FileMode.OpenOrCreate,
                Access = FileAccess.ReadWrite,
                Share = FileShare.Read,
            };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }

            _journal = new FileStream(path, options);
            // A line that was cut off by the end of the machine is no line.
            _journal.SetLength(WholeLines(_journal));
            _journal.Seek(0, SeekOrigin.End);
            Posix.SyncDirectory(Root);
        }

        byte[] line = JsonSerializer.SerializeToUtf8Bytes(entry, RecoveryJson.Default.RecoveryJournalEntry);
        _journal.Write(line);
        _journal.WriteByte((byte)'\n');
        _journal.Flush(flushToDisk: true);
        Progress.Apply(entry);
    }

    public Task AppendAsync(RecoveryJournalEntry entry, CancellationToken cancellationToken)
    {
        Append(entry);
        return Task.CompletedTask;
    }

    public Task ResetAsync(CancellationToken cancellationToken)
    {
        Reset();
        return Task.CompletedTask;
    }

    public Task CreateFoldersAsync(CancellationToken cancellationToken)
    {
        CreateFolders();
        return Task.CompletedTask;
    }

    /// <summary>A phase is over.</summary>
    public void Append(RecoveryPhase phase) => Append(new RecoveryJournalEntry { Phase = phase, Time = DateTimeOffset.UtcNow });

    /// <summary>Forgets an earlier recovery: its journal goes first, what only it needed after that.</summary>
    public void Reset()
    {
        _journal?.Dispose();
        _journal = null;
        File.Delete(Path.Combine(Root, JournalName));
        Posix.SyncDirectory(Root);
        Progress = new RecoveryProgress();
        foreach (string directory in new[] { NewDirectory, StagingDirectory, ServerDirectory })
        {
            DeleteDirectory(directory);
        }
    }

    /// <summary>The folders that fetching and the server need.</summary>
    public void CreateFolders()
    {
        CreateDirectory(StagingDirectory, Account, forServer: false);
        CreateDirectory(ServerDirectory, Account, forServer: true);
    }

    public static void DeleteDirectory(string path)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
    }

    public void Dispose()
    {
        _journal?.Dispose();
        _lock.Dispose();
    }

    /// <summary>
    /// As root, what steers the recovery belongs to root and can only be read by the server's group: the server's account must not
    /// be able to make us write elsewhere by a link. Without root all is one account's.
    /// </summary>
    private static void CreateDirectory(string path, OsAccount? account, bool forServer)
    {
        const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
            return;
        }

        if (Directory.Exists(path))
        {
            if (new DirectoryInfo(path).LinkTarget is not null)
            {
                throw new SmcException(
                    SmcErrorCode.TargetUnsuitable, $"'{path}' is a link and must be a directory.", target: path);
            }
        }
        else
        {
            Directory.CreateDirectory(path, Owner);
        }

        if (Posix.IsRoot && account is not null)
        {
            Posix.SetOwner(path, forServer ? account.UserId : 0, account.GroupId);
            File.SetUnixFileMode(path, forServer ? Owner : Owner | UnixFileMode.GroupRead | UnixFileMode.GroupExecute);
        }
    }

    private static RecoveryProgress Read(string path)
    {
        byte[] content = File.ReadAllBytes(path);
        RecoveryProgress progress = new();
        int start = 0;
        for (int end; (end = Array.IndexOf(content, (byte)'\n', start)) >= 0; start = end + 1)
        {
            try
            {
                progress.Apply(JsonSerializer.Deserialize(
                    content.AsSpan(start, end - start), RecoveryJson.Default.RecoveryJournalEntry)!);
            }
            catch (JsonException e)
            {
                throw new SmcException(
                    SmcErrorCode.RecoveryFailed,
                    $"The journal '{path}' is damaged at byte {start}, so the interrupted recovery cannot be continued.",
                    e,
                    recommendation: "Run the command again with -Force: what is in the data directory is moved aside, and the recovery begins anew.",
                    target: path);
            }
        }

        return progress;
    }

    private static long WholeLines(FileStream file)
    {
        byte[] content = new byte[file.Length];
        file.Position = 0;
        file.ReadExactly(content);
        return Array.LastIndexOf(content, (byte)'\n') + 1;
    }
}
