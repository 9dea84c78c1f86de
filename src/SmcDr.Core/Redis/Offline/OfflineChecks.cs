using System.Globalization;
using System.Text.RegularExpressions;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Offline;

/// <summary>What stands in the way of a server's loading a backup when it starts, wherever it runs.</summary>
/// <param name="server">The server for messages.</param>
/// <param name="header">The backup.</param>
/// <param name="warnings">Gets what whoever decides should know.</param>
internal sealed partial class OfflineChecks(string server, BackupHeader header, List<string> warnings)
{
    private readonly RedisBackupDetails _details = header.Redis!;

    /// <summary>What the backup itself allows.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.BackupUnsuitable"/>.</exception>
    public static void CheckBackup(BackupHeader header)
    {
        if (header.Redis is not { } details)
        {
            throw new SmcException(
                SmcErrorCode.BackupUnsuitable,
                $"The backup '{header.Id}' is not one of Redis.",
                recommendation: "Choose one that 'Get-SmcBackup -Component Redis' lists.",
                target: header.Id);
        }

        if (details.Content is { Keys: 0, Functions.Count: 0 })
        {
            throw new SmcException(
                SmcErrorCode.BackupUnsuitable,
                $"The backup '{header.Id}' has no keys: a server that starts with it is empty, and so are its replicas a moment later.",
                recommendation: "Choose another backup. A server that is to be empty is emptied by FLUSHALL.",
                target: header.Id);
        }
    }

    /// <summary>The version in what <c>redis-server --version</c> answers; null where it is none.</summary>
    public static string? VersionIn(string output) => VersionPattern().Match(output) is { Success: true } match
        // Valkey counts on from 7.2, from which it comes, and reads the same files.
        ? match.Groups[1].Value == "Valkey" ? "7.2.4" : match.Groups[2].Value
        : null;

    /// <summary>Which files a server loads as it is set.</summary>
    /// <param name="settings">What it will start with.</param>
    /// <param name="directory">Its data directory.</param>
    /// <param name="isKnown">Whether anybody knows what it starts with.</param>
    /// <param name="isPresent">Tells whether there is something of a name in the directory.</param>
    /// <param name="major">The major version of its program.</param>
    /// <param name="backedUp">How the server was set that was backed up; null where the backup does not say.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SettingUnsuitable"/>: a setting is no name of a file.</exception>
    public static OfflineLayout CreateLayout(
        OfflineSettings settings,
        string directory,
        bool isKnown,
        Func<string, bool> isPresent,
        int major,
        IReadOnlyDictionary<string, string>? backedUp)
    {
        OfflineLayout layout = new()
        {
            DataDirectory = directory,
            FileName = PlainName(settings, "dbfilename"),
            AppendFileName = PlainName(settings, "appendfilename"),
            AppendDirectoryName = PlainName(settings, "appenddirname"),
            IsAppendOnly = settings["appendonly"].Equals("yes", StringComparison.OrdinalIgnoreCase),
            Major = major,
        };
        if (isKnown || settings.Written("appendonly") is not null)
        {
            return layout;
        }

        // Where nobody says how it is started, what lies there says how it was, and where nothing does, as on a volume that was made anew, the backup.
        bool hasLog = isPresent(layout.AppendFileName) || isPresent(layout.AppendDirectoryName);
        return layout with
        {
            IsAppendOnly = hasLog || (!isPresent(layout.FileName) && backedUp?.GetValueOrDefault("appendonly") == "yes"),
        };
    }

    /// <summary>Whether a program's version loads the backup's.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.RdbNewer"/>: it does not.</exception>
    public void CheckVersion(string program, string version)
    {
        int newest = DumpProbe.Guess(version);
        if (_details.RdbVersion > newest)
        {
            throw new SmcException(
                SmcErrorCode.RdbNewer,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The backup '{header.Id}' of Redis {_details.ServerVersion} is in version {_details.RdbVersion} of the format, and '{program}' is Redis {version}, which loads versions up to {newest}."),
                recommendation: $"Install Redis {_details.ServerVersion} or later, or restore with the method Online, which works where single keys are understood.",
                target: program);
        }
    }

    /// <summary>Whether a server loads the backup as it is set; what it would lose over a restart becomes a warning.</summary>
    /// <param name="settings">What it will start with.</param>
    /// <param name="info">What it says of itself; null where it does not run.</param>
    /// <param name="isKnown">Whether anybody knows what it starts with.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SettingUnsuitable"/>: it would not start, or not as it runs.</exception>
    public void CheckSettings(OfflineSettings settings, RedisInfo? info, bool isKnown)
    {
        if (settings.LosesPassword)
        {
            throw new SmcException(
                SmcErrorCode.SettingUnsuitable,
                $"Redis at {server} runs with a password that its configuration does not have: started again it would have none, or another.",
                recommendation: "Write it to the configuration (CONFIG REWRITE), or name the service or configuration file that has it in the site file.",
                target: server);
        }

        int databases = int.TryParse(settings["databases"], NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : int.MaxValue;
        int highest = _details.Content?.Databases.Select(static database => database.Database).DefaultIfEmpty().Max() ?? 0;
        if (isKnown && highest >= databases)
        {
            throw new SmcException(
                SmcErrorCode.SettingUnsuitable,
                string.Create(CultureInfo.InvariantCulture, $"The backup '{header.Id}' has keys in database {highest}, and Redis at {server} is set to {databases} databases: it would not start."),
                recommendation: string.Create(CultureInfo.InvariantCulture, $"Set 'databases {highest + 1}' in the server's configuration file."),
                target: server);
        }

        bool isCluster = settings["cluster-enabled"].Equals("yes", StringComparison.OrdinalIgnoreCase);
        if (isCluster && (_details.Mode != "cluster" || highest > 0))
        {
            throw new SmcException(
                SmcErrorCode.SettingUnsuitable,
                $"Redis at {server} is a node of a cluster, and the backup '{header.Id}' is of a single server.",
                recommendation: "Restore with the method Online, which brings each key to the node that has its slot.",
                target: server);
        }

        if (isCluster)
        {
            warnings.Add("A node of a cluster takes the keys of its own slots alone: the backup must be of the node that had the same ones.");
        }

        if (_details.Content is { Modules.Count: > 0 } content && (info is not null ? info["module"] is null : isKnown && settings.Written("loadmodule") is null))
        {
            throw new SmcException(
                SmcErrorCode.SettingUnsuitable,
                $"The backup '{header.Id}' has values of the modules' types {string.Join(", ", content.Modules)}, and Redis at {server} loads no modules: it would not start.",
                recommendation: "Install the modules that the backed-up server had, and name them in the server's configuration (loadmodule).",
                target: server);
        }

        foreach (string name in settings.Lost())
        {
            warnings.Add($"The restart takes back what {name} was set to while the server ran ('{settings.Running(name)}'): its configuration says {(settings.Written(name) is { } written ? $"'{written}'" : "nothing of it")}. CONFIG REWRITE keeps it.");
        }
    }

    private static string PlainName(OfflineSettings settings, string setting)
    {
        string name = settings[setting];
        return name is not ("" or "." or "..") && !name.Contains('/', StringComparison.Ordinal) ? name : throw new SmcException(
            SmcErrorCode.SettingUnsuitable,
            $"The server's setting {setting} is '{name}', which is no name of a file.",
            recommendation: "Correct it in the server's configuration.",
            target: setting);
    }

    // "Redis server v=7.0.15 sha=…"
    [GeneratedRegex(@"\A(\w+) server v=([0-9]+(?:\.[0-9]+)+)", RegexOptions.CultureInvariant)]
    private static partial Regex VersionPattern();
}
