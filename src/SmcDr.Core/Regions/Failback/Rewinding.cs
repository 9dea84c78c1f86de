using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Regions.Failback;

/// <summary>Rewinds a former primary to where its history was left, and further to that of another server, by pg_rewind.</summary>
/// <remarks>
/// What is known to go wrong with it, and what is done about that: without data checksums and <c>wal_log_hints</c> nobody knows which pages have changed (it
/// refuses; it is not tried). WAL between the last common checkpoint and the end may be gone, removed by the very crash recovery that it runs first (patroni
/// 1561, and issue 10 of pg_rewind's first repository): it gets a <c>restore_command</c> that has the kept WAL first and the repository second, and no
/// prefetch, since it reads backwards. It takes a server that was killed through crash recovery in single-user mode, which fails where a <c>standby.signal</c>
/// lies about (multigres 745): that is removed before. On a former standby that was killed crash recovery would write into a history that is not its own: not
/// tried. It overwrites settings (<see cref="KeptConfiguration"/>). Cut off in the middle, it leaves a directory that no later attempt can make right ("a new
/// fresh backup is recommended", its documentation says): then, and whenever it fails, a delta restore follows.
/// </remarks>
internal static class Rewinding
{
    private const string Program = "pg_rewind";
    private static readonly TimeSpan s_leftOverLimit = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(200);

    /// <summary>Why it cannot be done, in a sentence; null where it can be tried.</summary>
    /// <param name="server">The former primary.</param>
    /// <param name="control">Its control file.</param>
    /// <param name="facts">Where its history was left.</param>
    /// <param name="leader">The server that leads.</param>
    /// <param name="leaderDirectory">The data directory of that, where it is on this host.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<string?> FindProblemAsync(
        HostServer server,
        ControlFile control,
        FailbackFacts facts,
        PostgresConnector leader,
        string? leaderDirectory,
        CancellationToken cancellationToken)
    {
        if (facts.Left is null)
        {
            return "It is on the timeline of the server that leads, of which it may hold something else.";
        }

        if (!server.Programs.Has(Program))
        {
            return $"There is no {Program} in '{server.Programs.BinDirectory}'.";
        }

        if (control is { ChecksumVersion: 0, WalLogHints: false })
        {
            return "It has neither data checksums nor wal_log_hints, so nobody knows which pages have changed.";
        }

        if (control.State is DatabaseState.InArchiveRecovery or DatabaseState.StartingUp || File.Exists(Path.Combine(server.DataDirectory, "backup_label")))
        {
            return $"It was left in the middle of a recovery ({control.State}).";
        }

        // It makes the other's tablespaces where the other has them (file_ops.c, create_target_symlink): on one host that is the same directory.
        if (leaderDirectory is not null && new[] { leaderDirectory, server.DataDirectory }.Any(static directory =>
            Directory.EnumerateFileSystemEntries(Path.Combine(directory, "pg_tblspc")).Any()))
        {
            return "Both are on this host, and there are tablespaces.";
        }

        NpgsqlConnection connection = await leader.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            try
            {
                return await ServerFacts.ScalarAsync<string>(connection, "SELECT pg_catalog.current_setting('full_page_writes')", cancellationToken)
                    .ConfigureAwait(false) == "on"
                    ? null
                    : "The server that leads has full_page_writes off.";
            }
            catch (PostgresException e)
            {
                throw leader.Translate(e);
            }
        }
    }

    /// <summary>
    /// Whether one was begun in a directory and did not end well. That is noted beside the directory, for whoever begins another plan, or one without a
    /// journal.
    /// </summary>
    public static bool WasCutOff(string dataDirectory) => File.Exists(MarkOf(dataDirectory));

    /// <summary>What it left was made right.</summary>
    public static void Forget(string dataDirectory)
    {
        File.Delete(MarkOf(dataDirectory));
        Posix.SyncDirectory(Path.GetDirectoryName(dataDirectory)!);
    }

    /// <summary>Does it.</summary>
    /// <param name="server">The former primary, stopped.</param>
    /// <param name="source">The settings by which it will follow; its password file is there.</param>
    /// <param name="leader">The server that leads.</param>
    /// <param name="kept">Where its WAL is kept.</param>
    /// <param name="observer">Hears what the program says.</param>
    /// <param name="cancellationToken">Stops the program.</param>
    /// <returns>Why it failed, in a sentence; null where it did not.</returns>
    public static async Task<string?> RunAsync(
        HostServer server, StandbySource source, PostgresConnector leader, string kept, IOperationObserver observer, CancellationToken cancellationToken)
    {
        foreach (string signal in new[] { RecoveryConfiguration.SignalName, RecoveryConfiguration.StandbySignalName })
        {
            File.Delete(Path.Combine(server.DataDirectory, signal));
        }

        Configure(server, BuildRestoreCommand(Path.Combine(kept, KeepLostStep.WalFolder), source.RestoreCommand));
        Dictionary<string, string> environment = [];
        if (source.PasswordLine is not null)
        {
            environment["PGPASSFILE"] = source.PasswordFile;
        }

        NpgsqlConnectionStringBuilder settings = await leader.ResolveAsync(null, cancellationToken).ConfigureAwait(false);
        settings.ApplicationName = Program;
        string connection = string.Join(' ', LibpqSettings.From(settings)
            .Select(static one => LibpqSettings.Keyword(one.Keyword, one.Value))
            .Append(LibpqSettings.Keyword("dbname", settings.Database ?? "postgres")));
        RecoveryScripts.WriteDurably(MarkOf(server.DataDirectory), default, UnixFileMode.UserRead | UnixFileMode.UserWrite, server.Account);
        ProgramResult result = await server.Programs.RunAsync(
            Program,
            // With progress: one whose starter was killed ends at its next line, which nobody takes.
            ["--target-pgdata", server.DataDirectory, "--source-server", connection, "--restore-target-wal", "--progress"],
            new ProgramOptions { Account = server.Account, Environment = environment },
            cancellationToken).ConfigureAwait(false);
        observer.Verbose($"{Program}: {result.Error.Trim()}");
        return result.ExitCode == 0 ? null : $"{Program} failed: {result.Tail}";
    }

    /// <summary>Waits until a program is gone that an earlier, killed run has left behind.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetInUse"/>: it does not end.</exception>
    public static async Task WaitForLeftOverAsync(string dataDirectory, CancellationToken cancellationToken)
    {
        DateTimeOffset limit = DateTimeOffset.UtcNow + s_leftOverLimit;
        while (FindLeftOver(dataDirectory) is { } id)
        {
            if (DateTimeOffset.UtcNow > limit)
            {
                throw new SmcException(
                    SmcErrorCode.TargetInUse,
                    $"An earlier {Program} (process {id}) is still at work in '{dataDirectory}'.",
                    recommendation: "Wait until it has ended, or end it.",
                    target: dataDirectory);
            }

            await Task.Delay(s_poll, cancellationToken).ConfigureAwait(false);
        }
    }

    private static string MarkOf(string dataDirectory) => dataDirectory + ".rewinding";

    private static int? FindLeftOver(string dataDirectory)
    {
        foreach (int id in ProcessTable.Ids())
        {
            try
            {
                if (ProcessTable.ReadState(id) is (Program, not ('Z' or 'X')) &&
                    ProcessTable.CommandLine(id).Contains(dataDirectory))
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

    private static void Configure(HostServer server, string restoreCommand)
    {
        string path = Path.Combine(server.DataDirectory, RecoveryConfiguration.FileName);
        string content = File.Exists(path) ? LosslessText.ReadFile(path) : "";
        RecoveryScripts.WriteDurably(
            path,
            LosslessText.Encode(RecoveryConfiguration.AddStandby(content, [new("restore_command", restoreCommand)])),
            UnixFileMode.UserRead | UnixFileMode.UserWrite,
            server.Account);
    }

    /// <summary>The kept WAL first: behind the fork nobody else has it.</summary>
    private static string BuildRestoreCommand(string folder, string repository)
    {
        string own = $"cp {RecoveryScripts.QuoteForCommand(folder + Path.DirectorySeparatorChar)}'%f' '%p' 2>/dev/null";
        return repository.Length == 0 ? own : $"{own} || {repository}";
    }
}
