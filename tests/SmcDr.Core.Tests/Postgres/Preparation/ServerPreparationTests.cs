using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Preparation;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.Preparation;

public sealed class ServerPreparationTests
{
    private const string Password = "from-the-vault 1";
    private const string Slot = "smcdr_site";

    [Fact]
    public async Task RunAsync_ServerOfASpeedFreak_IsSetOneStatementAtATimeAndSaysWhatWaitsForARestart_Trap30()
    {
        await using PostgresServer server = await StartAsync(new Dictionary<string, string>
        {
            ["wal_level"] = "minimal",
            ["max_wal_senders"] = "0",
            ["max_replication_slots"] = "1",
            ["full_page_writes"] = "off",
        });
        List<PreparationChange> changes = [];

        Dictionary<string, PreparationItem> first = await RunAsync(server, changes);

        Assert.Equal(PreparationStates.NeedsRestart, first["wal_level"].State);
        Assert.Equal(("minimal", "replica"), (first["wal_level"].Current, first["wal_level"].Wanted));
        Assert.Equal(PreparationStates.NeedsRestart, first["max_wal_senders"].State);
        Assert.Equal(PreparationStates.NeedsRestart, first["max_replication_slots"].State);
        Assert.Equal(PreparationStates.Changed, first["full_page_writes"].State);
        Assert.Equal(PreparationStates.Changed, first["fsync"].State);
        Assert.Equal("on", await server.ScalarAsync<string>("SHOW full_page_writes"));
        Assert.Equal(PreparationStates.Changed, first["Role"].State);
        // With wal_level = minimal there can be no slot yet, and nobody can stream.
        Assert.Equal(PreparationStates.Missing, first["ReplicationSlot"].State);
        Assert.Contains("restart", first["ReplicationSlot"].Recommendation, StringComparison.Ordinal);
        Assert.Equal(PreparationStates.Right, first["Connection"].State);
        Assert.Equal(PreparationStates.Missing, first["ReplicationConnection"].State);
        Assert.All(changes, static change => Assert.DoesNotContain(';', change.Statement));
        // WAL is streamed: whatever archives on the server is left as it is.
        Assert.DoesNotContain(changes, static change => change.Item.StartsWith("archive_", StringComparison.Ordinal));

        // Before the restart nothing is set again.
        changes.Clear();
        Dictionary<string, PreparationItem> second = await RunAsync(server, changes);
        Assert.Empty(changes);
        Assert.Equal(PreparationStates.NeedsRestart, second["wal_level"].State);

        await server.RestartAsync();
        Dictionary<string, PreparationItem> third = await RunAsync(server, changes);
        Assert.Equal("ReplicationSlot", Assert.Single(changes).Item);
        Assert.Equal(PreparationStates.Right, third["wal_level"].State);
        Assert.Equal(PreparationStates.Right, third["ReplicationConnection"].State);

        changes.Clear();
        Dictionary<string, PreparationItem> fourth = await RunAsync(server, changes);
        Assert.Empty(changes);
        Assert.DoesNotContain(fourth.Values, static item => item.State is not (PreparationStates.Right or PreparationStates.Advice));
        Assert.All(fourth.Values, static item => Assert.Equal(item.State == PreparationStates.Right, item.Recommendation is null));
    }

    [Fact]
    public async Task RunAsync_RoleWithLeastPrivilege_TakesABaseBackupAndStreamsWal()
    {
        await using PostgresServer server = await StartAsync([]);
        await server.ExecuteAsync("CREATE TABLE t AS SELECT i FROM generate_series(1, 20000) i");
        Dictionary<string, PreparationItem> items = await RunAsync(server, []);
        Assert.DoesNotContain(items.Values, static item => item.State is PreparationStates.Missing or PreparationStates.NeedsRestart);

        // Nothing but what was granted: no superuser, no database creator, one membership.
        Assert.True(await server.ScalarAsync<bool>(
            "SELECT NOT rolsuper AND NOT rolcreatedb AND NOT rolcreaterole AND NOT rolbypassrls AND rolreplication FROM pg_roles WHERE rolname = 'smc\"dr'"));
        Assert.Equal(
            "pg_read_all_settings",
            await server.ScalarAsync<string>(
                "SELECT string_agg(m.roleid::regrole::text, ',') FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = 'smc\"dr'"));

        string directory = Directory.CreateTempSubdirectory("smcdr-test-").FullName;
        Repository repository = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(directory), CancellationToken.None);
        using CancellationTokenSource stop = new();
        WalReceiver receiver = new(Backup(server), repository, new WalReceiverOptions { Slot = Slot }, NullObserver.Instance);
        Task running = receiver.RunAsync(null, stop.Token);
        BackupInfo streamed = await BaseBackup.RunAsync(
            Backup(server), repository, new BaseBackupOptions { Slot = Slot }, NullObserver.Instance, CancellationToken.None);
        Assert.Equal("Complete", streamed.State);
        await server.ExecuteAsync("INSERT INTO t SELECT i FROM generate_series(1, 1000) i");
        Lsn end = Lsn.Parse(await server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text"));
        await receiver.WaitForFlushAsync(end, CancellationToken.None);
        await stop.CancelAsync();
        await running;

        // And an incremental one that receives its WAL itself.
        BackupInfo own = await BaseBackup.RunAsync(
            Backup(server), repository, new BaseBackupOptions(), NullObserver.Instance, CancellationToken.None);
        Assert.Equal("Incremental", own.Kind);
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task RunAsync_Password_IsNeitherSentInClearNorLogged()
    {
        await using PostgresServer server = await StartAsync(new Dictionary<string, string> { ["log_statement"] = "all", ["log_min_duration_statement"] = "0" });
        await using (WireTap tap = new(server.Port))
        {
            PostgresConnector administrator = new(
                new NpgsqlConnectionStringBuilder(server.ConnectionString) { Port = tap.Port }.ConnectionString,
                _ => ValueTask.FromResult<string?>(server.Password));
            List<PreparationChange> changes = [];
            await foreach (PreparationItem item in new ServerPreparation(administrator, Options(server), Approve(changes)).RunAsync(CancellationToken.None))
            {
                Assert.DoesNotContain(Password, item.ToString(), StringComparison.Ordinal);
            }

            string sent = tap.Sent;
            Assert.Contains("SCRAM-SHA-256$4096:", sent, StringComparison.Ordinal);
            Assert.DoesNotContain(Password, sent, StringComparison.Ordinal);
            Assert.All(changes, static change => Assert.DoesNotContain("$4096:", change.Statement, StringComparison.Ordinal));
        }

        string log = await server.ReadLogAsync();
        Assert.DoesNotContain(Password, log, StringComparison.Ordinal);
        Assert.DoesNotContain("SCRAM-SHA-256$", log, StringComparison.Ordinal);

        // Another password is noticed, and set.
        List<PreparationChange> again = [];
        ServerPreparation other = new(
            server.CreateConnector(),
            Options(server) with { Password = static _ => ValueTask.FromResult<string?>("another") },
            Approve(again));
        await foreach (PreparationItem item in other.RunAsync(CancellationToken.None))
        {
            Assert.True(item.Item != "Connection" || item.State == PreparationStates.Missing);
        }

        Assert.Equal("RolePassword", Assert.Single(again).Item);
    }

    [Fact]
    public async Task RunAsync_Preview_AsksAboutEverythingAndChangesNothing()
    {
        await using PostgresServer server = await StartAsync(new Dictionary<string, string> { ["max_wal_senders"] = "1" });
        List<PreparationChange> changes = [];
        ServerPreparation preparation = new(
            server.CreateConnector(),
            Options(server) with { IsPreview = true },
            change =>
            {
                changes.Add(change);
                return Task.FromResult(false);
            });
        List<PreparationItem> items = [];
        await foreach (PreparationItem item in preparation.RunAsync(CancellationToken.None))
        {
            items.Add(item);
        }

        Assert.Contains(changes, static change => change.Statement == "ALTER SYSTEM SET max_wal_senders = '10'");
        Assert.Contains(changes, static change => change.Statement.StartsWith("CREATE ROLE \"smc\"\"dr\"", StringComparison.Ordinal));
        Assert.Contains(changes, static change => change.Statement.StartsWith("GRANT EXECUTE ON FUNCTION pg_catalog.pg_backup_start", StringComparison.Ordinal));
        Assert.Contains(changes, static change => change.Item == "ReplicationSlot");
        Assert.Equal(changes.Select(static change => change.Item), items.Where(static item => item.State == PreparationStates.Missing).Select(static item => item.Item));
        Assert.Equal(0L, await server.ScalarAsync<long>("SELECT count(*) FROM pg_roles WHERE rolname = 'smc\"dr'"));
        Assert.Equal(0L, await server.ScalarAsync<long>("SELECT count(*) FROM pg_replication_slots"));
        Assert.Equal(0L, await server.ScalarAsync<long>("SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'"));
    }

    [Fact]
    public async Task RunAsync_SettingOfTheCommandLine_IsNotSetInVainAndSaysWhere()
    {
        await using PostgresServer server = await StartAsync([]);
        await server.StopAsync();
        await PostgresPrograms.RunAsync(
            "pg_ctl", ["start", "-w", "-s", "-D", server.DataDirectory, "-l", server.LogPath, "-o", "-c full_page_writes=off"]);
        List<PreparationChange> changes = [];

        Dictionary<string, PreparationItem> items = await RunAsync(server, changes);

        Assert.Equal(PreparationStates.Missing, items["full_page_writes"].State);
        Assert.Contains("command line", items["full_page_writes"].Recommendation, StringComparison.Ordinal);
        Assert.DoesNotContain(changes, static change => change.Item == "full_page_writes");
    }

    [Fact]
    public async Task RunAsync_HbaThatDoesNotLetTheRoleReplicate_SaysWhichLineIsMissing()
    {
        await using PostgresServer server = await StartAsync([]);
        string path = Path.Combine(server.DataDirectory, "pg_hba.conf");
        await File.WriteAllTextAsync(path, "host all all 127.0.0.1/32 scram-sha-256\n");
        await server.ExecuteAsync("SELECT pg_reload_conf()");

        Dictionary<string, PreparationItem> items = await RunAsync(server, []);

        Assert.Equal(PreparationStates.Right, items["Connection"].State);
        Assert.Equal(PreparationStates.Missing, items["ReplicationConnection"].State);
        Assert.Contains("host replication smc\"dr 127.0.0.1/32 scram-sha-256", items["ReplicationConnection"].Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_AdministratorWhoIsNoSuperuser_IsRefusedBeforeAnything()
    {
        await using PostgresServer server = await StartAsync([]);
        await server.ExecuteAsync("CREATE ROLE clerk LOGIN CREATEROLE PASSWORD 'c'");
        PostgresConnector clerk = server.CreateConnector().WithUser("clerk", static _ => ValueTask.FromResult<string?>("c"));

        SmcException refused = await Assert.ThrowsAsync<SmcException>(async () =>
        {
            await foreach (PreparationItem _ in new ServerPreparation(clerk, Options(server), Approve([])).RunAsync(CancellationToken.None))
            {
            }
        });

        Assert.Equal(SmcErrorCode.PrivilegeMissing, refused.Code);
        Assert.Equal(0L, await server.ScalarAsync<long>("SELECT count(*) FROM pg_roles WHERE rolname = 'smc\"dr'"));
    }

    private static Task<PostgresServer> StartAsync(Dictionary<string, string> settings) =>
        PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false, Settings = settings });

    private static PostgresConnector Backup(PostgresServer server) =>
        server.CreateConnector().WithUser("smc\"dr", static _ => ValueTask.FromResult<string?>(Password));

    private static ServerPreparationOptions Options(PostgresServer server) => new()
    {
        Slot = Slot,
        Backup = Backup(server),
        Password = static _ => ValueTask.FromResult<string?>(Password),
    };

    private static Func<PreparationChange, Task<bool>> Approve(List<PreparationChange> changes) => change =>
    {
        changes.Add(change);
        return Task.FromResult(true);
    };

    private static async Task<Dictionary<string, PreparationItem>> RunAsync(PostgresServer server, List<PreparationChange> changes)
    {
        Dictionary<string, PreparationItem> items = [];
        await foreach (PreparationItem item in new ServerPreparation(server.CreateConnector(), Options(server), Approve(changes)).RunAsync(CancellationToken.None))
        {
            items.Add(item.Item, item);
        }

        return items;
    }
}
