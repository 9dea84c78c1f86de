using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Recovery;

/// <summary>
/// One PostgreSQL server in a data directory of this host. It is started by <c>pg_ctl</c>, so that it is a session of its own and
/// goes on when this process ends or its terminal is closed.
/// </summary>
public sealed class HostServer
{
    private const string LockFile = "postmaster.pid";
    private const int KilledWaitSeconds = 30;
    private static readonly TimeSpan s_pollInterval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_endLimit = TimeSpan.FromSeconds(10);

    // pg_ctl puts the data directory and the log's path between double quotes of a shell command (pg_ctl.c, start_postmaster).
    private static readonly SearchValues<char> s_unsafeInPgCtl = SearchValues.Create("\"$`\\\n\r");

    private readonly OsAccount? _account;

    /// <summary>Describes a server; nothing is started yet.</summary>
    /// <param name="programs">The programs of the data directory's major version.</param>
    /// <param name="dataDirectory">The data directory.</param>
    /// <param name="osUser">The account to run it as when we are root; null = the data directory's owner, else <c>postgres</c>.</param>
    /// <param name="logFile">Where it logs before it reads its own settings; default: beside the data directory.</param>
    public HostServer(PostgresPrograms programs, string dataDirectory, string? osUser = null, string? logFile = null)
    {
        ArgumentNullException.ThrowIfNull(programs);
        ArgumentException.ThrowIfNullOrEmpty(dataDirectory);
        Programs = programs;
        DataDirectory = Path.GetFullPath(dataDirectory).TrimEnd(Path.DirectorySeparatorChar);
        LogFile = Path.GetFullPath(logFile ?? DataDirectory + ".log");
        foreach (string path in new[] { DataDirectory, LogFile })
        {
            if (path.AsSpan().ContainsAny(s_unsafeInPgCtl))
            {
                throw new SmcException(
                    SmcErrorCode.TargetUnsuitable,
                    $"The path '{path}' holds a character that pg_ctl does not pass on safely.",
                    recommendation: "Use a path without double quotes, dollar signs, backquotes, backslashes and line breaks.",
                    target: path);
            }
        }

        _account = OsAccount.ForServer(DataDirectory, osUser);
    }

    /// <summary>The programs it is run with.</summary>
    public PostgresPrograms Programs { get; }

    /// <summary>The data directory.</summary>
    public string DataDirectory { get; }

    /// <summary>Where it logs before it reads its own settings.</summary>
    public string LogFile { get; }

    /// <summary>The account that it runs as; null on Windows.</summary>
    public OsAccount? Account => _account;

    /// <summary>Finds the server that runs in a data directory; null where none does, a stale <c>postmaster.pid</c> included.</summary>
    /// <remarks>
    /// A process id alone proves nothing: after a crash it may belong to somebody else. On Linux the process whose working
    /// directory is the data directory is meant, whatever name space or link it sees it through; a server in a container with the
    /// directory mounted has another id in its <c>postmaster.pid</c> than here, so all processes are looked at.
    /// </remarks>
    public static RunningServer? FindRunning(string dataDirectory)
    {
        string path = Path.Combine(dataDirectory, LockFile);
        string content;
        try
        {
            content = File.ReadAllText(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }

        string[] lines = content.Split('\n', StringSplitOptions.TrimEntries);
        if (!int.TryParse(lines[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int id))
        {
            return null;
        }

        // A stand-alone backend ("postgres --single") writes its id negated (miscinit.c, CreateLockFile).
        id = Math.Abs(id);
        int? actual = ProcessTable.IsPresent ? FindProcess(id, content) : IsAlive(id) ? id : null;
        if (actual is null)
        {
            return null;
        }

        int? port = lines.Length > 3 && int.TryParse(lines[3], CultureInfo.InvariantCulture, out int number) ? number : null;
        return new RunningServer(
            actual.Value,
            port,
            lines.Length > 4 && lines[4].Length > 0 ? lines[4] : null,
            lines.Length > 7 ? lines[7] : "");
    }

    /// <summary>
    /// The System V shared memory of the server that ran in a data directory last, by what its lock file says (miscinit.c, AddToDataDirLockFile);
    /// null where there is none.
    /// </summary>
    internal static int? FindSharedMemory(string dataDirectory)
    {
        string path = Path.Combine(dataDirectory, LockFile);
        string[] lines = File.Exists(path) ? File.ReadAllLines(path) : [];
        string[] words = lines.Length > 6 ? lines[6].Split(' ', StringSplitOptions.RemoveEmptyEntries) : [];
        return words.Length == 2 && int.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out int id) ? id : null;
    }

    /// <summary>Whether a server runs in a data directory.</summary>
    public static bool IsRunning(string dataDirectory) => FindRunning(dataDirectory) is not null;

    /// <summary>The process of a server on this host that has a tablespace at a directory; null where none is found.</summary>
    public static int? FindServerUsing(string location)
    {
        foreach (int id in ProcessTable.Ids().Where(IsServer))
        {
            try
            {
                string links = ProcessTable.PathOf(id, "cwd/pg_tblspc");
                if (Directory.Exists(links) &&
                    Directory.EnumerateFileSystemEntries(links).Any(l => new FileInfo(l).LinkTarget == location))
                {
                    return id;
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It ended meanwhile, or is somebody else's.
            }
        }

        return null;
    }

    /// <summary>All tablespaces of servers that run on this host, as far as they can be seen: process, data directory, object id and location.</summary>
    internal static List<(int Process, string DataDirectory, uint Oid, string Location)> FindTablespaces()
    {
        List<(int, string, uint, string)> result = [];
        foreach (int id in ProcessTable.Ids().Where(IsServer))
        {
            try
            {
                string links = ProcessTable.PathOf(id, "cwd/pg_tblspc");
                foreach (string link in Directory.Exists(links) ? Directory.GetFileSystemEntries(links) : [])
                {
                    if (uint.TryParse(Path.GetFileName(link), CultureInfo.InvariantCulture, out uint oid) && new FileInfo(link).LinkTarget is { } location)
                    {
                        result.Add((id, ProcessTable.WorkingDirectory(id) ?? "", oid, location));
                    }
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It ended meanwhile, or is somebody else's.
            }
        }

        return result;
    }

    /// <summary>The server that runs in this data directory; null where none does.</summary>
    public RunningServer? FindRunning() => FindRunning(DataDirectory);

    /// <summary>Makes a new database cluster in the data directory, which must not exist or be empty.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetNotEmpty"/>, <see cref="SmcErrorCode.ServerStartFailed"/>.</exception>
    public async Task InitializeAsync(InitializeOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (Directory.Exists(DataDirectory) && Directory.EnumerateFileSystemEntries(DataDirectory).Any())
        {
            throw new SmcException(
                SmcErrorCode.TargetNotEmpty, $"The directory '{DataDirectory}' is not empty.", target: DataDirectory);
        }

        CreateOwnedDirectory(DataDirectory);
        List<string> arguments =
        [
            "-D", DataDirectory, "-U", options.Superuser, "-A", options.Authentication, "-E", "UTF8", "--no-locale", "--no-instructions",
        ];
        if (options.WalSegmentMegabytes is { } megabytes)
        {
            arguments.Add($"--wal-segsize={megabytes.ToString(CultureInfo.InvariantCulture)}");
        }

        // PostgreSQL 18 turned checksums on by default and brought the option to turn them off.
        if (options.DataChecksums)
        {
            arguments.Add("--data-checksums");
        }
        else if (Programs.Major >= 18)
        {
            arguments.Add("--no-data-checksums");
        }

        if (!options.Sync)
        {
            arguments.Add("--no-sync");
        }

        string? passwordFile = null;
        try
        {
            if (options.Password is { } password)
            {
                passwordFile = DataDirectory + ".password";
                await WritePrivateFileAsync(passwordFile, password + "\n", cancellationToken).ConfigureAwait(false);
                arguments.Add("--pwfile=" + passwordFile);
            }

            ProgramResult result = await RunAsync("initdb", arguments, cancellationToken).ConfigureAwait(false);
            if (result.ExitCode != 0)
            {
                throw new SmcException(
                    SmcErrorCode.ServerStartFailed,
                    $"initdb cannot make a database cluster in '{DataDirectory}': {result.Tail}.",
                    recommendation: "Correct what initdb names and run the command again.",
                    target: DataDirectory);
            }
        }
        finally
        {
            if (passwordFile is not null)
            {
                File.Delete(passwordFile);
            }
        }
    }

    /// <summary>
    /// Starts the server. Returns when <paramref name="isUp"/> says so (default: it takes connections). On cancellation or failure
    /// what was started is stopped again.
    /// </summary>
    /// <param name="settings">Settings that win over every configuration file.</param>
    /// <param name="isUp">Whether the start is over. Asked several times a second; may throw to end the wait.</param>
    /// <param name="timeLimit">How long that may take; null = as long as the server lives.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.TargetInUse"/>, <see cref="SmcErrorCode.ServerStartFailed"/>, <see cref="SmcErrorCode.OperationTimedOut"/>.
    /// </exception>
    public async Task<RunningServer> StartAsync(
        IReadOnlyDictionary<string, string>? settings,
        Func<RunningServer, bool>? isUp,
        TimeSpan? timeLimit,
        CancellationToken cancellationToken)
    {
        if (FindRunning() is { } already)
        {
            throw new SmcException(
                SmcErrorCode.TargetInUse,
                $"A server (process {already.ProcessId}) runs in '{DataDirectory}' already.",
                target: DataDirectory);
        }

        cancellationToken.ThrowIfCancellationRequested();
        RemoveLockFileOfZombie();
        long logStart = File.Exists(LogFile) ? new FileInfo(LogFile).Length : 0;
        if (logStart == 0)
        {
            await WritePrivateFileAsync(LogFile, "", cancellationToken).ConfigureAwait(false);
        }

        // -W: pg_ctl's own wait would end with a server in recovery; we know what we wait for.
        List<string> arguments = ["start", "-W", "-s", "-D", DataDirectory, "-l", LogFile, "-p", Programs.PathOf("postgres")];
        if (settings is { Count: > 0 })
        {
            arguments.Add("-o");
            arguments.Add(SettingArguments(settings));
        }

        bool up = false;
        try
        {
            ProgramResult result = await RunAsync("pg_ctl", arguments, cancellationToken).ConfigureAwait(false);
            if (result.ExitCode != 0)
            {
                throw Failed($"pg_ctl says: {result.Tail}.", logStart);
            }

            RunningServer server = await WaitUntilUpAsync(
                isUp ?? (static s => s.IsReady), timeLimit, logStart, cancellationToken).ConfigureAwait(false);
            up = true;
            return server;
        }
        finally
        {
            if (!up)
            {
                await EndAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>Stops the server and waits until it is gone. None that runs is no error.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.OperationTimedOut"/>.</exception>
    public async Task StopAsync(StopMode mode, TimeSpan? timeLimit, CancellationToken cancellationToken)
    {
        if (FindRunning() is null)
        {
            return;
        }

        int seconds = (int)Math.Ceiling((timeLimit ?? TimeSpan.FromHours(1)).TotalSeconds);
        ProgramResult result = await RunAsync(
            "pg_ctl",
            [
                "stop", "-w", "-s", "-D", DataDirectory, "-m", mode == StopMode.Fast ? "fast" : "immediate",
                "-t", seconds.ToString(CultureInfo.InvariantCulture),
            ],
            cancellationToken).ConfigureAwait(false);
        if (result.ExitCode != 0 && FindRunning() is { } server)
        {
            throw new SmcException(
                SmcErrorCode.OperationTimedOut,
                $"The server in '{DataDirectory}' (process {server.ProcessId}) does not stop: {result.Tail}.",
                target: DataDirectory);
        }
    }

    /// <summary>
    /// Ends a server of which nothing is needed any more, as fast as it goes and whatever state it is in. None that runs is no error.
    /// </summary>
    /// <remarks>
    /// It is asked first: a killed postmaster leaves its shared memory behind (sysv_shmem.c), of which the system has 4,096 segments by default, and
    /// only the next start in the same data directory would remove it.
    /// </remarks>
    public async Task EndAsync()
    {
        try
        {
            await StopAsync(StopMode.Immediate, s_endLimit, CancellationToken.None).ConfigureAwait(false);
        }
        catch (SmcException)
        {
            // It hangs, or pg_ctl cannot be run.
        }

        await KillAsync(CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>
    /// kill -9 of the postmaster and all its processes; returns when they are gone. None that runs is no error. Shared memory stays until the next
    /// start in the data directory, which needs it to find out what is left of the last.
    /// </summary>
    public async Task KillAsync(CancellationToken cancellationToken)
    {
        long deadline = Stopwatch.GetTimestamp() + (KilledWaitSeconds * Stopwatch.Frequency);
        while (true)
        {
            List<int> processes = ServerProcesses();
            if (processes.Count == 0)
            {
                return;
            }

            foreach (int id in processes)
            {
                try
                {
                    using Process process = Process.GetProcessById(id);
                    process.Kill();
                }
                catch (Exception e) when (e is ArgumentException or InvalidOperationException)
                {
                    // It ended by itself.
                }
            }

            if (Stopwatch.GetTimestamp() > deadline)
            {
                throw new SmcException(
                    SmcErrorCode.OperationTimedOut, $"The server in '{DataDirectory}' cannot be killed.", target: DataDirectory);
            }

            await Task.Delay(s_pollInterval, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The last lines of the server's log.</summary>
    /// <param name="lines">How many.</param>
    /// <param name="from">The byte to begin at, to leave out earlier runs.</param>
    public IReadOnlyList<string> TailLog(int lines, long from = 0)
    {
        const int Window = 256 << 10;
        try
        {
            using FileStream file = new(LogFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            file.Position = Math.Max(Math.Min(from, file.Length), file.Length - Window);
            using StreamReader reader = new(file, Encoding.UTF8);
            return [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).TakeLast(lines)];
        }
        catch (FileNotFoundException)
        {
            return [];
        }
    }

    /// <summary>Runs one of the programs as the server's account.</summary>
    public Task<ProgramResult> RunAsync(string program, IReadOnlyList<string> arguments, CancellationToken cancellationToken) =>
        Programs.RunAsync(program, arguments, new ProgramOptions { Account = _account }, cancellationToken);

    internal static string QuoteForShell(string text) => $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    /// <summary>The end of the log as it may stand in a message.</summary>
    internal string QuoteLog(long from) => Quote(TailLog(200, from));

    /// <summary>The end of a log as it may stand in a message: without statements, which can hold secrets.</summary>
    internal static string Quote(IEnumerable<string> log)
    {
        const int Most = 6;
        List<string> lines =
        [
            .. log
                .Where(static l => !l.Contains("STATEMENT:", StringComparison.Ordinal) && !l.Contains("DETAIL:", StringComparison.Ordinal))
                .Select(static l => l.Trim()),
        ];
        // What a server says while it goes down must not push out why.
        int reason = lines.FindLastIndex(static l => l.Contains("FATAL:", StringComparison.Ordinal) || l.Contains("PANIC:", StringComparison.Ordinal));
        int first = Math.Max(lines.Count - Most, 0);
        return string.Join(" | ", lines.Skip(reason >= 0 ? Math.Min(reason, first) : first).Take(Most));
    }

    /// <summary>Settings as arguments of a server in a shell's command line.</summary>
    internal static string SettingArguments(IEnumerable<KeyValuePair<string, string>> settings) =>
        string.Join(' ', settings.Select(static s => $"-c {QuoteForShell($"{s.Key}={s.Value}")}"));

    internal void CreateOwnedDirectory(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
            return;
        }

        if (!Directory.Exists(path))
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        GiveToAccount(path);
    }

    internal void GiveToAccount(string path)
    {
        if (!OperatingSystem.IsWindows() && Posix.IsRoot && _account is { } account)
        {
            Posix.SetOwner(path, account.UserId, account.GroupId);
        }
    }

    private async Task<RunningServer> WaitUntilUpAsync(
        Func<RunningServer, bool> isUp, TimeSpan? timeLimit, long logStart, CancellationToken cancellationToken)
    {
        // The lock file appears within milliseconds after pg_ctl's fork, or the server says why it does not start.
        TimeSpan grace = TimeSpan.FromSeconds(30);
        Stopwatch watch = Stopwatch.StartNew();
        bool seen = false;
        using PeriodicTimer timer = new(s_pollInterval);
        while (true)
        {
            RunningServer? server = FindRunning();
            if (server is not null)
            {
                seen = true;
                if (isUp(server))
                {
                    return server;
                }
            }
            else if (seen || watch.Elapsed > grace || HasEnded(logStart))
            {
                throw Failed(seen ? "it ended again." : "it did not come up.", logStart);
            }

            if (timeLimit is { } limit && watch.Elapsed > limit)
            {
                throw new SmcException(
                    SmcErrorCode.OperationTimedOut,
                    $"The server in '{DataDirectory}' was not up after {limit.TotalSeconds:0} seconds and was stopped.",
                    target: DataDirectory);
            }

            await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Whether the log shows that the server never came as far as its lock file.</summary>
    private bool HasEnded(long logStart) =>
        TailLog(50, logStart).Any(static l => l.Contains("FATAL:", StringComparison.Ordinal)) && ServerProcesses().Count == 0;

    private SmcException Failed(string how, long logStart)
    {
        string log = QuoteLog(logStart);
        return new SmcException(
            SmcErrorCode.ServerStartFailed,
            $"The server in '{DataDirectory}' does not start: {how}" + (log.Length > 0 ? $" Its log ends: {log}" : ""),
            target: DataDirectory);
    }

    private List<int> ServerProcesses()
    {
        if (!ProcessTable.IsPresent)
        {
            return FindRunning() is { } server ? [server.ProcessId] : [];
        }

        // Every process of a server works in its data directory.
        List<int> result = [];
        // A directory that is gone may still have a server, whose working directory then has another name; one that never was has none.
        string data = (Directory.Exists(DataDirectory) ? new DirectoryInfo(DataDirectory).ResolveLinkTarget(returnFinalTarget: true)?.FullName : null) ?? DataDirectory;
        foreach (int id in ProcessTable.Ids())
        {
            if (ProcessTable.WorkingDirectory(id) is { } work && (work == data || work == DataDirectory) && IsServer(id))
            {
                result.Add(id);
            }
        }

        // The postmaster first: it would start the others again.
        int? postmaster = FindRunning()?.ProcessId;
        return [.. result.OrderByDescending(id => id == postmaster)];
    }

    private static int? FindProcess(int id, string lockFile)
    {
        if (IsServerOf(id, lockFile))
        {
            return id;
        }

        foreach (int other in ProcessTable.Ids().Where(other => other != id && IsServerOf(other, lockFile)))
        {
            return other;
        }

        return null;
    }

    /// <summary>Whether a process is the server whose lock file has been read.</summary>
    internal static bool IsServerOf(int id, string lockFile)
    {
        if (!IsServer(id))
        {
            return false;
        }

        try
        {
            // Through the process's own eyes: the same lock file with the same start time is the same directory. The lines behind those
            // three tell what the server is doing, and may have been written anew since (miscinit.c, AddToDataDirLockFile).
            string seen = File.ReadAllText(ProcessTable.PathOf(id, "cwd/" + LockFile));
            return seen.Split('\n').Take(3).SequenceEqual(lockFile.Split('\n').Take(3));
        }
        catch (UnauthorizedAccessException)
        {
            // Somebody else's server: with the id that our lock file names it is taken for the one, to be safe.
            return lockFile.StartsWith(id.ToString(CultureInfo.InvariantCulture) + "\n", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Whether a process is a PostgreSQL server's and lives; one that only waits to be reaped does not.</summary>
    private static bool IsServer(int id)
    {
        try
        {
            (string name, char state) = ProcessTable.ReadState(id);
            return name.StartsWith("post", StringComparison.Ordinal) && state is not ('Z' or 'X');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>
    /// A killed postmaster that nobody reaps, as in a container whose first process is no init, still has its id, and the server
    /// then believes its own old lock file (miscinit.c, CreateLockFile: kill(pid, 0) succeeds). No process works in the directory:
    /// that was found out before.
    /// </summary>
    private void RemoveLockFileOfZombie()
    {
        string path = Path.Combine(DataDirectory, LockFile);
        try
        {
            if (File.Exists(path) &&
                int.TryParse(File.ReadLines(path).FirstOrDefault(), CultureInfo.InvariantCulture, out int id) &&
                ProcessTable.ReadState(id).State is ('Z' or 'X'))
            {
                File.Delete(path);
            }
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            // No such process, or no /proc on this system.
        }
    }

    private static bool IsAlive(int id)
    {
        try
        {
            using Process process = Process.GetProcessById(id);
            return !process.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private async Task WritePrivateFileAsync(string path, string content, CancellationToken cancellationToken)
    {
        FileStreamOptions options = new() { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        FileStream file = new(path, options);
        await using (file.ConfigureAwait(false))
        {
            await file.WriteAsync(Encoding.UTF8.GetBytes(content), cancellationToken).ConfigureAwait(false);
        }

        GiveToAccount(path);
    }
}
