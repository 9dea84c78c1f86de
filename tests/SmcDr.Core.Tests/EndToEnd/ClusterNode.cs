using System.Globalization;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>A server of a cluster: its directory, and as long as it is a primary its writer.</summary>
internal sealed class ClusterNode : IAsyncDisposable
{
    private readonly string? _directory;
    private LedgerWriter? _writer;

    private ClusterNode(PostgresServer server, string? directory) => (Server, _directory) = (server, directory);

    public PostgresServer Server { get; }

    public uint Timeline { get; private set; }

    public bool IsRunning => Server.ProcessId is not null;

    private static Dictionary<string, string> Settings { get; } = new(StringComparer.Ordinal)
    {
        ["wal_keep_size"] = "512MB",
        ["max_wal_size"] = "64MB",
        ["min_wal_size"] = "32MB",
        ["track_commit_timestamp"] = "on",
        // As minutes are to half an hour.
        ["wal_sender_timeout"] = "3s",
        ["wal_receiver_timeout"] = "3s",
        ["wal_retrieve_retry_interval"] = "100ms",
        ["checkpoint_timeout"] = "30s",
        ["max_wal_senders"] = "20",
    };

    public static async Task<ClusterNode> CreateAsync()
    {
        PostgresServer server = await PostgresServer.StartAsync(
            new PostgresServerOptions { Fsync = false, WalSegmentMegabytes = 1, Settings = Settings });
        await server.ExecuteAsync(LedgerWriter.Schema);
        return new ClusterNode(server, null);
    }

    /// <summary>A streaming standby of a running primary.</summary>
    public static async Task<ClusterNode> CloneAsync(ClusterNode primary)
    {
        string directory = PostgresPrograms.CreateDirectory();
        string data = Path.Combine(directory, "data");
        try
        {
            await PostgresPrograms.RunAsync(
                "pg_basebackup",
                [
                    "-D", data, "-h", "127.0.0.1", "-p", primary.Server.Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres",
                    "-X", "stream", "-c", "fast", "-R", "--no-sync",
                ],
                primary.Server.Password);
            return await OpenAsync(directory, primary.Server.Password);
        }
        catch
        {
            Directory.Delete(directory, recursive: true);
            throw;
        }
    }

    /// <summary>Starts the cluster in a directory's folder <c>data</c>, which then belongs to the node.</summary>
    public static async Task<ClusterNode> OpenAsync(string directory, string password) => new(
        await PostgresServer.StartAsync(new PostgresServerOptions
        {
            ExistingDataDirectory = Path.Combine(directory, "data"),
            Password = password,
            Fsync = false,
            Settings = Settings,
        }),
        directory);

    /// <summary>From where on it has WAL: where the backup began that it was made of.</summary>
    public Lsn FirstLsn() => Directory.GetFiles(Path.Combine(Server.DataDirectory, "pg_wal"))
        .Select(static path => WalSegmentName.TryParse(Path.GetFileName(path), out WalSegmentName name) ? name.StartLsn(1 << 20) : (Lsn?)null)
        .Min() ?? throw new InvalidOperationException("The server has no WAL.");

    /// <summary>Becomes a primary that is written to.</summary>
    public async Task BeginAsync(CommitLedger ledger, int seed)
    {
        string segment = await Server.ScalarAsync<string>("SELECT pg_walfile_name(pg_current_wal_insert_lsn())");
        Timeline = uint.Parse(segment[..8], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        TimelineHistory history = Timeline == 1 ? TimelineHistory.Root(1) : TimelineHistory.Parse(
            Timeline, await File.ReadAllBytesAsync(Path.Combine(Server.DataDirectory, "pg_wal", TimelineHistory.FileName(Timeline))));
        ledger.Begin(history, await LedgerWriter.ReadAsync(Server));
        _writer = new LedgerWriter(Server, ledger, Timeline, seed);
    }

    public async Task<Lsn> PositionAsync() => Lsn.Parse(await Server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text"));

    public async Task EndWriterAsync()
    {
        if (_writer is not null)
        {
            await _writer.DisposeAsync();
            _writer = null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await EndWriterAsync();
        await Server.DisposeAsync();
        if (Directory.Exists(_directory))
        {
            Directory.Delete(_directory, recursive: true);
        }
    }
}
