using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions;

/// <summary>The settings by which a standby on this host follows the database of another region: by a stream, and from the repository.</summary>
internal sealed partial record StandbySource
{
    /// <summary>The settings, as they stand in its configuration.</summary>
    public required IReadOnlyList<KeyValuePair<string, string>> Settings { get; init; }

    /// <summary>Where the password lies by which it connects.</summary>
    public required string PasswordFile { get; init; }

    /// <summary>What that file holds; null where no password is needed.</summary>
    public required string? PasswordLine { get; init; }

    /// <summary>The value of <c>restore_command</c>; empty where it has none.</summary>
    public required string RestoreCommand { get; init; }

    /// <summary>Puts the settings together.</summary>
    /// <param name="site">The site, by whose file the standby finds the repository.</param>
    /// <param name="leader">The region that is followed.</param>
    /// <param name="follower">The region that follows.</param>
    /// <param name="primary">What opens connections to the primary.</param>
    /// <param name="systemId">The database cluster.</param>
    /// <param name="dataDirectory">The standby's data directory.</param>
    /// <param name="program">The words that start <c>smcdr</c>; empty = no second source.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<StandbySource> CreateAsync(
        Site site,
        RegionSettings leader,
        RegionSettings follower,
        PostgresConnector primary,
        ulong systemId,
        string dataDirectory,
        IReadOnlyList<string> program,
        CancellationToken cancellationToken)
    {
        if (leader is { Database.Workload: { } workload, Kubernetes.PortForward: not false })
        {
            throw new SmcException(
                SmcErrorCode.SiteInvalid,
                $"The database of the region '{leader.Name}' is reached through '{workload}' by a forwarded port, and a standby needs an address that lasts.",
                recommendation: $"Give the database a Service that can be reached from this host, name it in 'connection' of '{leader.Name}', and set " +
                    $"'portForward: false' under its kubernetes in '{site.Path}'.",
                target: leader.Name);
        }

        string slot = site.GetStandbySlot(follower);
        NpgsqlConnectionStringBuilder settings = await primary.ResolveAsync(null, cancellationToken).ConfigureAwait(false);
        settings.ApplicationName = slot;
        // Beside the directory: in it, the password would be in each base backup that is taken of it.
        string passwordFile = PasswordFileOf(dataDirectory);
        string? password = settings.Password is { Length: > 0 } given ? LibpqSettings.PasswordLine(given) : null;
        IEnumerable<string> words = LibpqSettings.From(settings).Select(static one => LibpqSettings.Keyword(one.Keyword, one.Value));
        string command = program.Count == 0 ? "" : BuildRestoreCommand(site, systemId, leader.Name, slot, program);
        NpgsqlConnectionStringBuilder own = new(follower.Database!.GetConnectionString());
        return new StandbySource
        {
            PasswordFile = passwordFile,
            PasswordLine = password,
            RestoreCommand = command,
            Settings =
            [
                new("port", own.Port.ToString(CultureInfo.InvariantCulture)),
                new("hot_standby", "on"),
                new("primary_conninfo", string.Join(' ', password is null ? words : words.Append(LibpqSettings.Keyword("passfile", passwordFile)))),
                new("primary_slot_name", slot),
                new("restore_command", command),
                new("archive_cleanup_command", ""),
                new("recovery_end_command", ""),
                // A promotion elsewhere is followed: only one region's WAL is in the repository.
                new("recovery_target_timeline", "latest"),
                new("recovery_min_apply_delay", "0"),
                // What the primary's commits wait for does not follow this server: once promoted, its first commit would wait for ever.
                new("synchronous_standby_names", ""),
                // What a failover away from it has set where it could not be stopped: promoted again, it would take no writes.
                new("default_transaction_read_only", "off"),
            ],
        };
    }

    /// <summary>Where the password lies of the standby in a data directory.</summary>
    internal static string PasswordFileOf(string dataDirectory) => dataDirectory + ".pgpass";

    /// <summary>Whether the file of the password does not hold it yet.</summary>
    public bool IsPasswordMissing => PasswordLine is { } line && (!File.Exists(PasswordFile) || File.ReadAllText(PasswordFile) != line);

    /// <summary>Writes the password, for the server's account alone.</summary>
    public void WritePassword(OsAccount? account)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(PasswordFile)!);
        WriteOwned(PasswordFile, PasswordLine ?? "", account);
    }

    /// <summary>Whether the configuration in a data directory does not have the settings yet.</summary>
    public bool IsConfigurationMissing(string dataDirectory) => Configure(dataDirectory) is var (_, there, wanted) && wanted != there;

    /// <summary>Writes the settings into the configuration in a data directory.</summary>
    public void WriteConfiguration(string dataDirectory, OsAccount? account)
    {
        (string path, string _, string wanted) = Configure(dataDirectory);
        WriteOwned(path, wanted, account);
    }

    /// <summary>Makes a data directory that of a standby: from its next start on it follows.</summary>
    public static void WriteSignal(string dataDirectory, OsAccount? account) =>
        WriteOwned(Path.Combine(dataDirectory, RecoveryConfiguration.StandbySignalName), "", account);

    /// <summary>Has the server's account fetch a segment as the server will, and throws where it cannot.</summary>
    /// <param name="account">The server's account.</param>
    /// <param name="segment">A segment that is in the repository.</param>
    /// <param name="segmentSize">Its size.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task CheckRestoreCommandAsync(OsAccount? account, string segment, int segmentSize, CancellationToken cancellationToken)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("smcdr-");
        try
        {
            if (!OperatingSystem.IsWindows() && account is not null && Posix.IsRoot)
            {
                Posix.SetOwner(folder.FullName, account.UserId, account.GroupId);
            }

            string file = Path.Combine(folder.FullName, segment);
            string command = PlaceholderPattern().Replace(
                RestoreCommand, match => match.Value switch { "%f" => segment, "%p" => file, _ => "%" });
            ProgramResult result = await HostProgram.RunAsync(
                "/bin/sh", ["-c", command], new ProgramOptions { Account = account, TimeLimit = TimeSpan.FromMinutes(2) }, cancellationToken)
                    .ConfigureAwait(false);
            if (result.ExitCode != 0 || new FileInfo(file) is not { Exists: true } fetched || fetched.Length != segmentSize)
            {
                throw new SmcException(
                    SmcErrorCode.TargetUnsuitable,
                    $"The account '{account?.Name ?? Environment.UserName}' cannot fetch WAL from the repository, as the standby must when it does not " +
                        "hear its primary: " +
                        $"{(result.Tail.Length > 0 ? result.Tail : "the segment did not come")}.",
                    recommendation: "Let that account read the site file, the repository and its key, and have its environment hold the secrets that " +
                        "the site file names by " +
                        "env:. Without -NoArchive (--no-archive) the standby heals from the repository; with it, it does not.",
                    target: segment);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private (string Path, string There, string Wanted) Configure(string dataDirectory)
    {
        string path = Path.Combine(dataDirectory, RecoveryConfiguration.FileName);
        string there = File.Exists(path) ? LosslessText.ReadFile(path) : "";
        return (path, there, RecoveryConfiguration.AddStandby(there, Settings));
    }

    private static void WriteOwned(string path, string content, OsAccount? account) =>
        RecoveryScripts.WriteDurably(path, LosslessText.Encode(content), UnixFileMode.UserRead | UnixFileMode.UserWrite, account);

    private static string BuildRestoreCommand(Site site, ulong systemId, string leader, string slot, IReadOnlyList<string> program)
    {
        string words = string.Join(' ', program
            .Concat(["--site", site.Path, "wal", "fetch", "--cluster", systemId.ToString(CultureInfo.InvariantCulture)])
            .Concat(["--primary", leader, "--slot", slot])
            .Select(RecoveryScripts.QuoteForCommand));
        // What ends above 125 would end the standby (xlogarchive.c, RestoreArchivedFile), and so would a program that is not there any more. For a standby
        // "not there" is never the end: it goes on asking, and streaming.
        return $"{StandbyOwnWal.Guard}{words} '%f' '%p' || exit 1";
    }

    [GeneratedRegex("%[%fp]")]
    private static partial Regex PlaceholderPattern();
}
