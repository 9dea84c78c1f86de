using System.Globalization;
using System.Runtime.Versioning;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Offline;

/// <summary>Finds the server on this host, and looks at everything that an offline restore needs, before anything is changed.</summary>
[UnsupportedOSPlatform("windows")]
internal sealed class OfflinePreflight(
    RedisConnector connector, BackupHeader header, Guid repositoryId, RedisOfflineOptions options, IOperationObserver observer)
{
    /// <summary>What Debian's and other packages call the program.</summary>
    public static IReadOnlyList<string> Programs { get; } = ["redis-server", "valkey-server", "keydb-server"];

    /// <summary>For journal, manifest and the like, beside the RDB.</summary>
    private const long Margin = 1 << 20;

    /// <summary>Clocks that count seconds, from two places.</summary>
    private static readonly TimeSpan s_ageTolerance = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan s_shortLimit = TimeSpan.FromSeconds(30);

    private readonly RedisBackupDetails _details = header.Redis!;
    private readonly List<string> _warnings = [];

    /// <summary>Where a restore without the server's own protocol can be done.</summary>
    [UnsupportedOSPlatformGuard("windows")]
    public static bool IsSupported => OperatingSystem.IsLinux() && Environment.Is64BitProcess;

    /// <summary>Throws elsewhere.</summary>
    public static void ThrowIfUnsupported()
    {
        if (!IsSupported)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                "Redis is restored by its files on 64-bit Linux only.",
                recommendation: "Run the command on the Linux machine that the server runs on, or restore with the method Online.");
        }
    }

    /// <summary>Looks.</summary>
    public async Task<OfflineTarget> RunAsync(CancellationToken cancellationToken)
    {
        (RedisInfo? info, IReadOnlyDictionary<string, string>? running, string? suspend) = await RunningRedis.AskAsync(connector, observer, cancellationToken).ConfigureAwait(false);
        RedisProcess? process = info is null ? null : FindProcess(info);
        string? unit = options.Service is { } service
            ? service.Contains('.', StringComparison.Ordinal) ? service : service + ".service"
            : process?.ReadUnit();
        IReadOnlyList<string> command = unit is null
            ? []
            : await new SystemdUnit(unit, options.Systemctl).ReadCommandAsync(cancellationToken).ConfigureAwait(false);
        string? configFile = options.ConfigFile ?? (info?["config_file"] is { Length: > 0 } named ? named : ConfigFileIn(command));
        OfflineSettings settings = new(ReadConfiguration(configFile, command), running, keepsRunning: unit is null);
        string path = FindDirectory(process, settings);
        using OfflineDirectory directory = OfflineDirectory.Open(path);
        OfflineJournal? interrupted = directory.ReadJournal();
        CheckNobodyElse(interrupted, info, directory);
        OsAccount? owner = FindOwner(process, path);
        (string program, string version) = await FindProgramAsync(info, command, cancellationToken).ConfigureAwait(false);
        bool isKnown = configFile is not null || unit is not null || info is not null;
        OfflineLayout layout = interrupted?.Layout ?? OfflineChecks.CreateLayout(
            settings, directory.Path, isKnown, name => directory.TryGetStatus(name) is not null, MajorOf(version), header.Redis!.Settings);
        OfflineChecks checks = new(connector.Display, header, _warnings);
        checks.CheckVersion(program, version);
        checks.CheckSettings(settings, info, isKnown);
        CheckDirectory(directory, layout);
        CheckMemory(settings, info);
        CheckUnsaved(info, layout);
        OfflineStart start = interrupted?.Start ?? CreateStart(unit, program, configFile, settings, path, owner, isKnown);
        return new OfflineTarget
        {
            Layout = layout,
            Start = start,
            Info = info,
            Version = version,
            Owner = owner,
            Interrupted = interrupted,
            Warnings = _warnings,
            SuspendFirst = suspend,
            Temporary = start.IsTemporary ? TemporaryRedis.Create(layout, _details.Content, path) : null,
        };
    }

    /// <summary>The server's process on this host. That its id is right is not enough: in a container it counts from one.</summary>
    private RedisProcess FindProcess(RedisInfo info)
    {
        RedisProcess? process = info.Number("process_id") is { } id ? RedisProcess.TryRead((int)id) : null;
        return process is not null && (process.Age - TimeSpan.FromSeconds(info.Number("uptime_in_seconds") ?? 0)).Duration() < s_ageTolerance
            ? process
            : throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"Redis at {connector.Display} is no process of this host, or one in a container.",
                recommendation: "Run the command on the server's host, or restore with the method Online, which works from anywhere.",
                target: connector.Display);
    }

    private static string? ConfigFileIn(IReadOnlyList<string> command) =>
        command.Skip(1).FirstOrDefault() is { } first && !first.StartsWith('-') ? first : null;

    private static RedisConfiguration ReadConfiguration(string? file, IReadOnlyList<string> command)
    {
        RedisConfiguration configuration = new();
        if (file is not null)
        {
            configuration.AddFile(file);
        }

        configuration.AddArguments([.. command.Skip(1)]);
        return configuration;
    }

    private string FindDirectory(RedisProcess? process, OfflineSettings settings)
    {
        string? named = options.DataDirectory is { } option ? Path.TrimEndingDirectorySeparator(Path.GetFullPath(option)) : null;
        // A server works in its data directory (config.c, setConfigDirOption).
        string? actual = process is not null ? ProcessTable.WorkingDirectory(process.Id) ?? throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                string.Create(CultureInfo.InvariantCulture, $"The data directory of Redis at {connector.Display} (process {process.Id}) cannot be seen by this account."),
                recommendation: "Run the command as root, or as the account that the server runs as.",
                target: connector.Display)
            : settings.Written("dir") is { } written && Path.IsPathRooted(written) ? Path.TrimEndingDirectorySeparator(written)
            : null;
        if (named is not null && actual is not null && !IsSame(named, actual))
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"Redis at {connector.Display} keeps its data in '{actual}', and the site file says '{named}'.",
                recommendation: "Correct dataDirectory or endpoint in the site file: the wrong data would be replaced.",
                target: named);
        }

        return actual ?? named ?? throw new SmcException(
            SmcErrorCode.ServerUnavailable,
            $"Redis at {connector.Display} does not answer, and where on this host it has its data is not known.",
            recommendation: "Name dataDirectory, and configFile or service, of the server in the site file; or start it.",
            target: connector.Display);
    }

    private static bool IsSame(string first, string second)
    {
        try
        {
            using DirectoryHandle one = DirectoryHandle.OpenRoot(first);
            using DirectoryHandle other = DirectoryHandle.OpenRoot(second);
            return (one.GetStatus().FileSystem, one.GetStatus().Inode) == (other.GetStatus().FileSystem, other.GetStatus().Inode);
        }
        catch (PosixException)
        {
            return first == second;
        }
    }

    private void CheckNobodyElse(OfflineJournal? interrupted, RedisInfo? info, OfflineDirectory directory)
    {
        if (interrupted is not null)
        {
            interrupted.ThrowUnlessOf(repositoryId, header.Id);
        }
        else if (info is null && RedisProcess.FindIn(directory.Handle) is { } silent)
        {
            throw new SmcException(
                SmcErrorCode.TargetInUse,
                string.Create(CultureInfo.InvariantCulture, $"The process {silent.Id} of Redis works in '{directory.Path}', and does not answer at {connector.Display}."),
                recommendation: "Correct endpoint or dataDirectory in the site file, or end that process.",
                target: directory.Path);
        }
    }

    /// <summary>Whose the files are to be; null where the present account makes them anyway.</summary>
    private OsAccount? FindOwner(RedisProcess? process, string path)
    {
        (uint user, uint group) = process is not null ? process.ReadAccount() : Posix.GetOwner(path);
        if (!Posix.IsRoot)
        {
            return user == Posix.UserId ? null : throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"The data of Redis in '{path}' belongs to {NameOf(user)}, and this runs as {Environment.UserName}.",
                recommendation: $"Run the command as root or as {NameOf(user)}.",
                target: path);
        }

        if (options.OsUser is { } name)
        {
            OsAccount account = OsAccount.Find(name) ?? throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"There is no account '{name}' on this host.",
                recommendation: "Correct osUser in the site file: it is the account that the server runs as.",
                target: name);
            if (process is null)
            {
                return account;
            }

            if (account.UserId != user)
            {
                _warnings.Add($"Redis at {connector.Display} runs as {NameOf(user)}, and not as '{name}' as the site file says; its files are given to {NameOf(user)}.");
            }
        }

        return new OsAccount(OsAccount.Find(user)?.Name ?? "", user, group);
    }

    private static string NameOf(uint user) => OsAccount.Find(user) is { } account
        ? $"'{account.Name}'"
        : string.Create(CultureInfo.InvariantCulture, $"user {user}");

    /// <summary>The program that will load the data, and its version, which an update may have changed since the running one was started.</summary>
    private async Task<(string Program, string Version)> FindProgramAsync(
        RedisInfo? info, IReadOnlyList<string> command, CancellationToken cancellationToken)
    {
        IEnumerable<string?> candidates =
        [
            command is [string started, ..] ? started : null,
            .. options.BinDirectory is { } bin ? Programs.Select(name => Path.Combine(bin, name)) : [],
            info?["executable"],
            .. from name in Programs
               from directory in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
               select Path.Combine(directory, name),
        ];
        string program = candidates.FirstOrDefault(File.Exists) ?? throw new SmcException(
            SmcErrorCode.ProgramNotFound,
            "The program redis-server was not found on this host.",
            recommendation: "Name its directory as binDirectory in the site file, or run the command on the server's host.");
        ProgramResult result = await HostProgram.RunAsync(
            program, ["--version"], new ProgramOptions { TimeLimit = s_shortLimit }, cancellationToken).ConfigureAwait(false);
        return OfflineChecks.VersionIn(result.Output) is { } version ? (program, version)
            : info is not null ? (program, info.Version)
            : throw new SmcException(
                SmcErrorCode.ProgramNotFound,
                $"'{program} --version' does not answer with the version of Redis: {result.Tail}.",
                recommendation: "Name the directory of redis-server as binDirectory in the site file.",
                target: program);
    }

    private int MajorOf(string version) => options.MajorVersion ?? (Version.TryParse(version, out Version? parsed) ? parsed.Major : 0);

    private void CheckDirectory(OfflineDirectory directory, OfflineLayout layout)
    {
        if (!directory.Handle.IsWritable)
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"Nothing can be written to the data directory '{directory.Path}' of Redis.",
                recommendation: "Mount it writable, and run the command as root or as the account that the server runs as.",
                target: directory.Path);
        }

        foreach (string name in layout.Names.Where(name => FileSystems.IsMountPoint(Path.Combine(directory.Path, name))))
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                $"'{Path.Combine(directory.Path, name)}' is a file system of its own, and cannot be moved aside.",
                recommendation: "Mount the whole data directory instead, or restore with the method Online.",
                target: directory.Path);
        }

        long needed = header.SizeBytes + Margin;
        long available = FileSystems.Available(directory.Path);
        if (available < needed)
        {
            throw new SmcException(
                SmcErrorCode.DiskSpaceInsufficient,
                $"The data directory '{directory.Path}' has room for {DisplayText.Size(available)}, and the restore needs {DisplayText.Size(needed)} beside what is there, which stays.",
                target: directory.Path);
        }
    }

    private void CheckMemory(OfflineSettings settings, RedisInfo? info)
    {
        if (_details.Content?.UsedMemory is not { } used)
        {
            return;
        }

        if (OfflineSettings.ParseSize(settings["maxmemory"]) is > 0 and { } maximum && used > maximum)
        {
            string policy = settings["maxmemory-policy"];
            _warnings.Add(
                $"The server that was backed up used {DisplayText.Size(used)}, and maxmemory is {DisplayText.Size(maximum)} here: all is loaded, and then " +
                (policy == "noeviction" ? "nothing can be written." : $"the policy {policy} removes keys."));
        }

        // What the present server lets go of is free for the next.
        long free = AvailableMemory() + (info?.Number("used_memory_rss") ?? 0);
        if (used > free)
        {
            _warnings.Add($"The server that was backed up used {DisplayText.Size(used)}, and this host has {DisplayText.Size(free)} of memory left for it: it may be ended while it loads.");
        }
    }

    private void CheckUnsaved(RedisInfo? info, OfflineLayout layout)
    {
        if (info?.Number("rdb_changes_since_last_save") is > 0 and { } changes && info.Number("aof_enabled") is not 1)
        {
            _warnings.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"The server has made {changes:N0} changes since it last saved. They are in no file, and gone when it is stopped: run BGSAVE or take a backup first if they could be needed."));
        }

        if (layout.IsAppendOnly && info?.Number("aof_enabled") is 0)
        {
            _warnings.Add("The server runs without an append-only file, and its configuration says that it starts with one: it is restored for that.");
        }
    }

    private static OfflineStart CreateStart(
        string? unit, string program, string? configFile, OfflineSettings settings, string path, OsAccount? owner, bool isKnown)
    {
        string logFile = settings["logfile"];
        string? log = logFile.Length == 0 ? null : Path.Combine(path, logFile);
        if (unit is not null)
        {
            return new OfflineStart { Unit = unit, LogFile = log };
        }

        if (owner is { UserId: not 0, Name: "" })
        {
            throw new SmcException(
                SmcErrorCode.TargetUnsuitable,
                string.Create(CultureInfo.InvariantCulture, $"The data of Redis in '{path}' belongs to user {owner.UserId}, which has no name on this host: the server cannot be started as it."),
                recommendation: "Create an account with that id (useradd), or name the service that starts the server in the site file.",
                target: path);
        }

        string written = settings.Written("dir") ?? ".";
        if (!Path.IsPathRooted(written) && written.Trim('.', '/').Length > 0)
        {
            throw new SmcException(
                SmcErrorCode.SettingUnsuitable,
                $"The configuration file '{configFile}' has the data directory '{written}', and from which directory the server is started nobody says.",
                recommendation: "Give 'dir' as a full path in the configuration file.",
                target: configFile);
        }

        string ownLog = Path.Combine(path, OfflineStart.LogName);
        return new OfflineStart
        {
            Program = program,
            ConfigFile = configFile,
            IsTemporary = !isKnown,
            LogFile = log ?? ownLog,
            Account = owner is { UserId: not 0 } ? owner.Name : null,
            Arguments = !isKnown ? ["-"] :
            [
                .. settings.Arguments(),
                .. IsSame(written, path) ? (string[])[] : ["--dir", path],
                // So that it stays when this command has ended.
                "--daemonize", "yes",
                "--supervised", "no",
                .. log is null ? (string[])["--logfile", ownLog] : [],
                // What goes to the background writes one in any case, elsewhere.
                .. settings["pidfile"].Length == 0 ? (string[])["--pidfile", Path.Combine(path, OfflineStart.PidName)] : [],
            ],
        };
    }

    private static long AvailableMemory()
    {
        // "MemAvailable:   12345678 kB" (proc(5)).
        string line = File.ReadLines("/proc/meminfo").FirstOrDefault(static line => line.StartsWith("MemAvailable:", StringComparison.Ordinal)) ?? "";
        return line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var number, ..] &&
            long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out long kibibytes) ? kibibytes << 10 : long.MaxValue;
    }
}
