using Npgsql;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>A stream into a disk that is really full, killed while it spills: nothing that the server was told is lost.</summary>
public sealed class SpillKillTests : IAsyncLifetime
{
    private const string Slot = "smcdr_spill";

    private readonly TemporaryDirectory _root = new();
    private PostgresServer _server = null!;
    private Dictionary<string, string> _environment = [];

    private string Spill => Path.Combine(_root.Path, "spill");

    public async Task InitializeAsync()
    {
        _server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            WalSegmentMegabytes = 1,
            Settings = new Dictionary<string, string> { ["wal_keep_size"] = "0", ["max_wal_size"] = "32MB", ["min_wal_size"] = "32MB" },
        });
        await _server.ExecuteAsync("CREATE TABLE t (id bigserial PRIMARY KEY, v text)");
        _environment = new Dictionary<string, string> { ["SMCDR_TEST_PASSWORD"] = _server.Password };
    }

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        _root.Dispose();
    }

    [RootFact]
    public async Task Stream_KilledTwiceWhileItSpillsIntoAFullDisk_TheNextOneBringsItAndARecoveryHasEverything()
    {
        using SmallFileSystem disk = new(12);
        string site = Path.Combine(_root.Path, "smcdr.yaml");
        await File.WriteAllTextAsync(
            site,
            $$"""
            name: spill
            repository:
              location: file://{{disk.Path}}/repository
            regions:
              here:
                role: primary
                database:
                  connection: "{{_server.ConnectionString}}"
                  password: env:SMCDR_TEST_PASSWORD
                  slot: {{Slot}}
            walStream: { spillDirectory: {{Spill}}, spillLimit: 1GiB }
            """);
        AssertSucceeded(await SmcdrProcess.RunAsync(_environment, "--site", site, "backup", "database", "--json"));
        string[] stream = ["--site", site, "wal", "stream", "--json"];
        for (int round = 0; round < 2; round++)
        {
            using SmcdrProcess process = SmcdrProcess.Start(_environment, stream);
            int before = Spilled();
            while (Spilled() < before + 3)
            {
                await InsertAsync();
                await UntilSlotAsync(await CurrentLsnAsync());
            }

            Assert.True(await process.KillAsync());
        }

        // What only the spill has, the server has let go of.
        await _server.ExecuteAsync("CHECKPOINT");
        Lsn end = await CurrentLsnAsync();
        disk.Grow(200);
        (int exitCode, string output, string error) = await SmcdrProcess.RunAsync(_environment, [.. stream, "--once"]);
        AssertSucceeded((exitCode, output, error));
        Assert.Contains("an earlier stream spilled", error, StringComparison.Ordinal);
        Assert.Equal(0, Spilled());

        string data = Path.Combine(_server.CreateDirectory("recovered"), "data");
        AssertSucceeded(await SmcdrProcess.RunAsync(
            _environment, "--site", site, "restore", "database", "--latest", "--data-directory", data, "--no-start", "--yes", "--json"));
        await using PostgresServer recovered = await PostgresServer.StartAsync(
            new PostgresServerOptions { ExistingDataDirectory = data, Password = _server.Password });
        Assert.Equal(await DigestAsync(_server), await DigestAsync(recovered));
        Assert.True(await CurrentLsnAsync() >= end);
    }

    private static void AssertSucceeded((int ExitCode, string Output, string Error) result) => Assert.True(result.ExitCode == 0, result.Error);

    private static async Task<string> DigestAsync(PostgresServer server) =>
        await server.ScalarAsync<string>("SELECT count(*) || ' ' || md5(string_agg(t::text, '|' ORDER BY id)) FROM t");

    private int Spilled() => Directory.Exists(Spill) ? Directory.GetFiles(Spill, "0*-*").Length : 0;

    private async Task InsertAsync()
    {
        await using NpgsqlConnection connection = await _server.OpenAsync();
        await using NpgsqlCommand command = new(
            "INSERT INTO t (v) SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 300) g, generate_series(1, 60) GROUP BY g", connection);
        await command.ExecuteNonQueryAsync();
    }

    private async Task<Lsn> CurrentLsnAsync() => Lsn.Parse(await _server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text"));

    private async Task UntilSlotAsync(Lsn lsn)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        while (!await _server.ScalarAsync<bool>(
            $"SELECT COALESCE((SELECT restart_lsn >= '{lsn}' FROM pg_replication_slots WHERE slot_name = '{Slot}'), false)"))
        {
            await Task.Delay(50, limit.Token);
        }
    }
}
