using System.Globalization;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres;
using SmcDr.Core.Recovery;

namespace SmcDr.Core.Regions.Failback;

/// <summary>
/// The former primary, started in its own directory for as long as its rows are read: isolated as a side instance is (<see cref="ServerIsolation"/>), by
/// settings of its command line alone, so that nothing in the directory says so afterwards.
/// </summary>
/// <remarks>
/// Started after a crash it goes through crash recovery, as pg_rewind would have it do. The WAL that pg_rewind reads it lets lie. What it adds is behind the fork,
/// and goes with the rest.
/// </remarks>
internal sealed class FormerInstance : IAsyncDisposable
{
    private const int Port = 5432;
    private const string Folder = "server";
    private const string Mark = "smcdr.operation";
    private const string MarkValue = "lost-rows";
    private static readonly TimeSpan s_stopLimit = TimeSpan.FromMinutes(1);
    private readonly HostServer _server;
    private readonly string _folder;

    private FormerInstance(HostServer server, string folder)
    {
        _server = server;
        _folder = folder;
    }

    /// <summary>Opens connections to it, as a superuser.</summary>
    public PostgresConnector Connector { get; private set; } = null!;

    /// <summary>Whether the server in a data directory is one that an interrupted run has left.</summary>
    public static bool IsLeftOver(string dataDirectory) =>
        HostServer.FindRunning(dataDirectory) is { } running &&
        ProcessTable.CommandLine(running.ProcessId).Any(static word => word.Contains($"{Mark}={MarkValue}", StringComparison.Ordinal));

    /// <summary>Why it must not be started, in a sentence; null where it may be.</summary>
    /// <param name="dataDirectory">The data directory.</param>
    /// <param name="control">Its control file.</param>
    public static string? FindProblem(string dataDirectory, Postgres.BaseBackups.ControlFile control)
    {
        bool IsThere(string name) => File.Exists(Path.Combine(dataDirectory, name));
        return control.State is Postgres.BaseBackups.DatabaseState.InArchiveRecovery or Postgres.BaseBackups.DatabaseState.ShutDownInRecovery ||
            IsThere(RecoveryConfiguration.StandbySignalName) || IsThere(RecoveryConfiguration.SignalName) || IsThere("backup_label")
                ? $"It was left as a standby or in the middle of a recovery ({control.State}), and would have to be promoted first."
                : null;
    }

    /// <summary>Starts it.</summary>
    /// <param name="server">The former primary, which does not run.</param>
    /// <param name="kept">Where what is kept of it lies: beside its data directory.</param>
    /// <param name="user">Who may have been configured to connect to it.</param>
    /// <param name="observer">Hears of libraries that it is started without.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">It does not start, or cannot be asked.</exception>
    public static async Task<FormerInstance> StartAsync(
        HostServer server, string kept, string? user, IOperationObserver observer, CancellationToken cancellationToken)
    {
        FormerInstance instance = new(server, CreateFolder(server, kept));
        bool isUp = false;
        try
        {
            await instance.StartAsync(observer, cancellationToken).ConfigureAwait(false);
            instance.Connector = await instance.FindSuperuserAsync(user, cancellationToken).ConfigureAwait(false);
            isUp = true;
            return instance;
        }
        finally
        {
            if (!isUp)
            {
                await instance.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>Stops it, cleanly where that can be: so pg_rewind takes it as it is.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopAsync(_server).ConfigureAwait(false);
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Stops one, whoever has started it.</summary>
    public static async Task StopAsync(HostServer server)
    {
        try
        {
            await server.StopAsync(StopMode.Fast, s_stopLimit, CancellationToken.None).ConfigureAwait(false);
        }
        catch (SmcException)
        {
            // What follows goes through crash recovery then.
            await server.EndAsync().ConfigureAwait(false);
        }
    }

    /// <summary>A folder for its socket, of the server's account alone: beside the data directory, where an interrupted run's is found again.</summary>
    private static string CreateFolder(HostServer server, string kept)
    {
        string folder = Path.Combine(kept, Folder);
        if (!ServerIsolation.CanHoldSocket(folder, Port))
        {
            folder = Directory.CreateTempSubdirectory("smcdr-").FullName;
        }
        else if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }

        server.CreateOwnedDirectory(folder);
        return folder;
    }

    private async Task StartAsync(IOperationObserver observer, CancellationToken cancellationToken)
    {
        string access = Path.Combine(_folder, "pg_hba.conf");
        string identities = Path.Combine(_folder, "pg_ident.conf");
        const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        RecoveryScripts.WriteDurably(access, "local all all trust\n"u8.ToArray(), Private, _server.Account);
        RecoveryScripts.WriteDurably(identities, default, Private, _server.Account);
        Dictionary<string, string> settings = new(ServerIsolation.Common(_server.Programs.Major), StringComparer.Ordinal)
        {
            [Mark] = MarkValue,
            ["data_directory"] = _server.DataDirectory,
            ["hba_file"] = access,
            ["ident_file"] = identities,
            ["listen_addresses"] = "",
            ["unix_socket_directories"] = _folder,
            ["port"] = Port.ToString(CultureInfo.InvariantCulture),
            ["default_transaction_read_only"] = "on",
            ["restart_after_crash"] = "off",
            ["autovacuum"] = "off",
            ["checkpoint_timeout"] = "1d",
            // pg_rewind reads back to the last checkpoint before the fork; and slots are not given up for room.
            ["wal_keep_size"] = "2147483647",
            ["max_slot_wal_keep_size"] = "-1",
            // Nobody waits for what it does not commit; and what it says is for us.
            ["lc_messages"] = "C",
        };
        if (await PreloadLibraries.FindAsync(_server, cancellationToken).ConfigureAwait(false) is { } found)
        {
            settings["shared_preload_libraries"] = found.Value;
            observer.Warning(
                $"The former primary loads libraries that this host does not have, and is read without them: {string.Join(", ", found.Missing)}.");
        }

        HostServer started = new(_server.Programs, _server.DataDirectory, _server.Account?.Name, Path.Combine(_folder, "server.log"));
        // However long its crash recovery takes.
        await started.StartAsync(settings, null, null, cancellationToken).ConfigureAwait(false);
    }

    private async Task<PostgresConnector> FindSuperuserAsync(string? user, CancellationToken cancellationToken)
    {
        PostgresConnector connector = new(new NpgsqlConnectionStringBuilder
        {
            Host = _folder,
            Port = Port,
            Username = user ?? "postgres",
            Database = "template1",
            SslMode = SslMode.Disable,
            GssEncryptionMode = GssEncryptionMode.Disable,
        }.ConnectionString);
        NpgsqlConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            NpgsqlCommand command = new(
                "SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles WHERE rolsuper AND rolcanlogin ORDER BY oid LIMIT 1", connection);
            await using (command.ConfigureAwait(false))
            {
                return await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) is string superuser
                    ? connector.WithUser(superuser, null)
                    : connector;
            }
        }
    }
}
