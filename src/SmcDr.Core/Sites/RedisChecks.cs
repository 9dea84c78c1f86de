using System.Globalization;
using System.Runtime.CompilerServices;
using SmcDr.Core.Redis;

namespace SmcDr.Core.Sites;

/// <summary>Whether a Redis server can be backed up, and keeps its data as an operator would expect.</summary>
internal sealed class RedisChecks(RegionSettings region, RedisSettings redis, SecretResolver secrets, TimeProvider clock)
{
    private static readonly Version s_oldest = new(6, 2);

    // SAVE points, the append-only file, and what makes of a full disk a server that takes no writes.
    private static readonly string[] s_settings =
        ["save", "appendonly", "dir", "rdbchecksum", "stop-writes-on-bgsave-error", "maxmemory", "maxmemory-policy"];

    private readonly RedisConnector _connector = redis.CreateConnector(region, secrets);
    private RedisInfo _info = RedisInfo.Parse("");
    private IReadOnlyDictionary<string, string>? _settings;

    public async IAsyncEnumerable<CheckResult> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        CheckRun run = new($"{region.Name} ({_connector.Display})", clock);
        (RedisConnection? opened, IReadOnlyList<CheckResult> opening) = await OpenAsync(run, cancellationToken).ConfigureAwait(false);
        try
        {
            foreach (CheckResult result in opening)
            {
                yield return result;
            }

            string? obstacle = opened is null ? "There is no connection to Redis." : null;
            if (opened is not null)
            {
                CheckResult version = await run.CheckAsync(
                    "RedisVersion", () => CheckVersionAsync(opened, cancellationToken)).ConfigureAwait(false);
                yield return version;
                obstacle = version.Outcome == CheckOutcomes.Failed ? "RedisVersion did not pass." : null;
            }
            else
            {
                yield return run.Skip("RedisVersion", obstacle!);
            }

            foreach ((string name, Func<Task<CheckFinding>> check) in ServerChecks(opened!, cancellationToken))
            {
                yield return obstacle is null
                    ? await run.CheckAsync(name, check).ConfigureAwait(false)
                    : run.Skip(name, obstacle);
            }
        }
        finally
        {
            if (opened is not null)
            {
                await opened.DisposeAsync().ConfigureAwait(false);
            }
        }

        if (redis.DataDirectory is not null)
        {
            yield return await run.CheckAsync("RedisDataDirectory", () => Task.FromResult(CheckDataDirectory())).ConfigureAwait(false);
        }
    }

    private (string Name, Func<Task<CheckFinding>> Check)[] ServerChecks(RedisConnection connection, CancellationToken cancellationToken) =>
    [
        ("RedisRole", () => Task.FromResult(CheckRole())),
        ("RedisPrivileges", () => CheckPrivilegesAsync(connection, cancellationToken)),
        ("RedisPersistence", () => CheckPersistenceAsync(connection, cancellationToken)),
        ("RedisSaves", () => Task.FromResult(CheckSaves())),
        ("RedisChecksum", () => Task.FromResult(CheckChecksum())),
        ("RedisMemory", () => Task.FromResult(CheckMemory())),
        ("RedisReplicas", () => Task.FromResult(CheckReplicas())),
        .. redis.Method == RedisBackupMethod.BgSave ? new (string, Func<Task<CheckFinding>>)[] { ("RedisFile", () => Task.FromResult(CheckFile())) } : [],
    ];

    /// <summary>Connection and authentication are told apart by what refuses us.</summary>
    private async Task<(RedisConnection? Connection, IReadOnlyList<CheckResult> Results)> OpenAsync(
        CheckRun run, CancellationToken cancellationToken)
    {
        RedisConnection? connection = null;
        SmcException? refused = null;
        CheckResult reached = await run.CheckAsync("RedisConnection", async () =>
        {
            try
            {
                connection = await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.SecretUnavailable)
            {
                refused = e;
                return CheckFinding.Skipped("The password, or a file for TLS, is not available.");
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.AuthenticationFailed)
            {
                refused = e;
            }

            return CheckFinding.Passed($"Redis at {_connector.Display} answers{(redis.Tls ? ", encrypted" : "")}.");
        }).ConfigureAwait(false);
        if (reached.Outcome == CheckOutcomes.Failed)
        {
            return (null, [reached, run.Skip("RedisAuthentication", "RedisConnection did not pass.")]);
        }

        CheckResult authenticated = await run.CheckAsync("RedisAuthentication", () => Task.FromResult(refused is not null
            ? CheckFinding.Failed(refused.Message, refused.Recommendation)
            : redis.Password is null && redis.Username is null
                ? CheckFinding.Warning(
                    "The server lets everybody in without a password: who reaches its port can read and delete everything.",
                    "Set a password (requirepass, or better an ACL user for backups), and name it by password in the site file.")
                : CheckFinding.Passed($"The server takes {_connector.DisplayUser}."))).ConfigureAwait(false);
        return (connection, [reached, authenticated]);
    }

    private async Task<CheckFinding> CheckVersionAsync(RedisConnection connection, CancellationToken cancellationToken)
    {
        _info = await RedisSource.ReadInfoAsync(connection, cancellationToken).ConfigureAwait(false);
        return _info.Mode == "sentinel"
            ? CheckFinding.Failed(
                $"What answers at {_connector.Display} is a Sentinel, which has no data.",
                "Name a Redis server; SENTINEL GET-MASTER-ADDR-BY-NAME tells the master's address.")
            : Version.TryParse(_info.Version, out Version? version) && version < s_oldest
                ? CheckFinding.Failed($"Redis {_info.Version} is not supported.", $"Use Redis {s_oldest} or later.")
                : CheckFinding.Passed($"Redis {_info.Version}, {_info.Mode}.");
    }

    private CheckFinding CheckRole()
    {
        if (_info.Mode == "cluster")
        {
            return CheckFinding.Warning(
                "The server is one node of a cluster: a backup of it holds its slots only.",
                "Protect each shard by a site of its own, with one node of it.");
        }

        if (_info.IsMaster)
        {
            return CheckFinding.Passed("The server is a master.");
        }

        string master = $"{_info["master_host"]}:{_info["master_port"]}";
        return _info.IsLinkUp
            ? CheckFinding.Warning(
                $"The server is a replica of {master}. It can be backed up, and a restore must go to the master.",
                "Name the master in the site file, and back up a replica by preferReplica.")
            : CheckFinding.Failed(
                $"The server is a replica that does not hear its master at {master}: what it holds is old.",
                "Repair the replica's link (INFO replication), or name the master in the site file.");
    }

    private async Task<CheckFinding> CheckPrivilegesAsync(RedisConnection connection, CancellationToken cancellationToken)
    {
        // PSYNC cannot be tried without a backup; whoever may not say who it is, may not ask for one either.
        (RedisCommand command, string name, string needs) = redis.Method == RedisBackupMethod.BgSave
            ? (new RedisCommand("LASTSAVE"), "LASTSAVE", "+info +bgsave +lastsave +config|get")
            : (new RedisCommand("REPLCONF", "capa", "psync2"), "REPLCONF", "+info +psync +replconf +config|get");
        if (!connection.Knows(name))
        {
            return CheckFinding.Failed(
                $"The site file says that the server took {name} away, which the method {SiteModel.NameOf(redis.Method.ToString())} needs.",
                "Use the other method, or let the server have the command under another name (rename-command).");
        }

        RedisReply reply = await connection.TryExecuteAsync(command, cancellationToken).ConfigureAwait(false);
        if (!reply.IsError)
        {
            return CheckFinding.Passed($"The user may take backups by the method {SiteModel.NameOf(redis.Method.ToString())}, as far as that can be seen beforehand.");
        }

        SmcException refused = connection.Translate(reply, name);
        return CheckFinding.Failed(
            refused.Message,
            refused.Code == SmcErrorCode.PrivilegeMissing ? $"Run on the server: ACL SETUSER <user> {needs}" : refused.Recommendation);
    }

    private async Task<CheckFinding> CheckPersistenceAsync(RedisConnection connection, CancellationToken cancellationToken)
    {
        _settings = await ReadSettingsAsync(connection, cancellationToken).ConfigureAwait(false);
        if (_settings is null)
        {
            return CheckFinding.Skipped("The user may not read the server's settings (+config|get; before Redis 7 +config).");
        }

        bool hasLog = Setting("appendonly") == "yes";
        bool hasSavePoints = Setting("save") is { Length: > 0 };
        return hasLog
            ? CheckFinding.Passed("The server keeps its data over a restart by an append-only file. A restored RDB alone would be ignored; a restore sees to that.")
            : hasSavePoints
                ? CheckFinding.Passed("The server keeps its data over a restart by save points.")
                : CheckFinding.Warning(
                    _info.Replicas.Count > 0
                        ? "The server keeps nothing over a restart, and has replicas: one that restarts by itself empties them, too."
                        : "The server keeps nothing over a restart: then only the last backup is left.",
                    "Turn appendonly on, or set save points; a master with replicas must not restart without its data.");
    }

    private CheckFinding CheckSaves()
    {
        bool canSave = _info.LastSaveOk;
        bool canLog = _info["aof_last_write_status"] is null or "ok" && _info["aof_last_bgrewrite_status"] is null or "ok";
        if (canSave && canLog)
        {
            return CheckFinding.Passed("What the server saved last, it saved well.");
        }

        const string Advice = "Read the server's log: the disk may be full or not writable, or the host refuses a second process as large as the server (vm.overcommit_memory).";
        return !canLog || Setting("stop-writes-on-bgsave-error") is null or "yes"
            ? CheckFinding.Failed(
                canLog ? "The server's last save failed, and it takes no writes until one succeeds." : "The server could not write its append-only file.", Advice)
            : CheckFinding.Warning("The server's last save failed.", Advice);
    }

    private CheckFinding CheckChecksum() => Setting("rdbchecksum") switch
    {
        null => CheckFinding.Skipped("The user may not read the server's settings."),
        "no" => CheckFinding.Warning(
            "The server writes its data without a checksum, so that damage on the way into a backup may not be seen.",
            "Set rdbchecksum to yes in the server's configuration file and restart it; it cannot be changed while the server runs."),
        _ => CheckFinding.Passed("The server's data carries a checksum."),
    };

    private CheckFinding CheckMemory()
    {
        long used = _info.Number("used_memory") ?? 0;
        if (_info.Number("total_system_memory") is > 0 and long total && used > total / 2)
        {
            return CheckFinding.Warning(
                $"The server uses {DisplayText.Size(used)} of its host's {DisplayText.Size(total)}: a backup or save makes a child process, with which what is written meanwhile takes memory twice.",
                "Back up a replica (preferReplica), or give the host more memory.");
        }

        return Setting("maxmemory") is { } text && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long maximum) && maximum > 0
            ? CheckFinding.Passed($"The server uses {DisplayText.Size(used)} of at most {DisplayText.Size(maximum)} ({Setting("maxmemory-policy")}).")
            : CheckFinding.Passed($"The server uses {DisplayText.Size(used)}.");
    }

    private CheckFinding CheckReplicas()
    {
        if (!_info.IsMaster)
        {
            return CheckFinding.Skipped("The server is a replica itself.");
        }

        int online = _info.Replicas.Count(static replica => replica.IsOnline);
        return online > 0
            ? CheckFinding.Passed(string.Create(CultureInfo.InvariantCulture, $"{online} of {_info.Replicas.Count} replicas follow the server."))
            : redis.PreferReplica || _info.Replicas.Count > 0
                ? CheckFinding.Warning(
                    redis.PreferReplica ? "No replica follows the server, so that the master itself is backed up." : "The server has replicas, and none of them follows it.",
                    "Bring a replica up, or correct endpoint or preferReplica in the site file.")
                : CheckFinding.Passed("The server has no replicas.");
    }

    private CheckFinding CheckFile()
    {
        string? directory = redis.RdbPath is { } path ? Path.GetDirectoryName(path) : Setting("dir");
        return directory is null
            ? CheckFinding.Failed(
                "Where the server saves cannot be read from its settings.", "Name the file by rdbPath in the site file, or let the user read settings (+config|get).")
            : Directory.Exists(directory)
                ? CheckFinding.Passed($"The directory '{directory}', to which the server saves, is here.")
                : CheckFinding.Failed(
                    $"The directory '{directory}', to which the server saves, is not on this host.",
                    "Run backups on the server's host, name the file as it is seen here by rdbPath, or use the method replication.");
    }

    private CheckFinding CheckDataDirectory()
    {
        string path = redis.DataDirectory!;
        return !Directory.Exists(path)
            ? CheckFinding.Warning(
                $"There is no directory '{path}'.",
                "Check dataDirectory in the site file; on a machine that only takes over, it is right that it is not there.")
            : Setting("dir") is { } actual && Path.TrimEndingDirectorySeparator(actual) != Path.TrimEndingDirectorySeparator(path)
                ? CheckFinding.Failed(
                    $"The server keeps its data in '{actual}', and the site file says '{path}'.",
                    "Correct dataDirectory or endpoint in the site file: an offline restore would replace the wrong one.")
                : CheckFinding.Passed($"The directory '{path}' is here.");
    }

    private string? Setting(string name) => _settings?.GetValueOrDefault(name);

    private static async Task<IReadOnlyDictionary<string, string>?> ReadSettingsAsync(RedisConnection connection, CancellationToken cancellationToken)
    {
        if (!connection.Knows("CONFIG"))
        {
            return null;
        }

        RedisReply[] replies = await connection.ExecuteManyAsync(
            [.. s_settings.Select(static name => new RedisCommand("CONFIG", "GET", name))], cancellationToken).ConfigureAwait(false);
        return replies.Any(static reply => reply.IsError)
            ? null
            : replies.Where(static reply => reply.Items is [_, _]).ToDictionary(static reply => reply.Items[0].Text, static reply => reply.Items[1].Text);
    }
}
