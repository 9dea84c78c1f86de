using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Postgres.Wal.Importing;
using SmcDr.Core.Postgres.Wal.Searching;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>Somebody dropped something: it is found in the WAL, and a recovery to where the search says brings it back.</summary>
public sealed class UndoTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Recovery_ToTheLsnThatTheSearchGives_BringsBackTheTableAndEveryCommitBefore()
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            Settings = new Dictionary<string, string> { ["max_prepared_transactions"] = "5" },
        });
        Repository repository = await OpenRepositoryAsync();
        await server.ExecuteAsync("CREATE TABLE orders AS SELECT g AS id FROM generate_series(1, 2000) g; CREATE TABLE other (id int)");
        await server.ExecuteAsync("CREATE TABLE twice AS TABLE orders");
        await server.ExecuteAsync("CREATE DATABASE shop");
        await server.ExecuteAsync("CREATE TABLE t AS SELECT 7 AS v", "shop");
        await using (RunningStream stream = RunningStream.Start(server.CreateConnector(), repository, "smcdr_undo"))
        {
            await BaseBackup.RunAsync(
                server.CreateConnector(), repository, new BaseBackupOptions { Slot = "smcdr_undo" }, NullObserver.Instance, default);
            await server.ExecuteAsync("INSERT INTO other VALUES (1)");

            // A transaction that begins before and is committed right before, one that is open across, one right behind.
            await using NpgsqlConnection before = await server.OpenAsync();
            await ExecuteAsync(before, "BEGIN; INSERT INTO other VALUES (2)");
            await using NpgsqlConnection across = await server.OpenAsync();
            await ExecuteAsync(across, "BEGIN; INSERT INTO other VALUES (4)");
            await using NpgsqlConnection drop = await server.OpenAsync();
            await ExecuteAsync(drop, "BEGIN; DROP TABLE orders");
            await ExecuteAsync(before, "COMMIT");
            await ExecuteAsync(drop, "COMMIT");
            await ExecuteAsync(across, "COMMIT");

            await server.ExecuteAsync("INSERT INTO other VALUES (5)");
            await server.ExecuteAsync("BEGIN; DROP TABLE twice; PREPARE TRANSACTION 'p'");
            await server.ExecuteAsync("COMMIT PREPARED 'p'");
            await server.ExecuteAsync("DROP DATABASE shop");
            await server.ExecuteAsync("INSERT INTO other VALUES (6)");
            await stream.Receiver.WaitForFlushAsync(
                Lsn.Parse(await server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text")), default);
        }

        List<TransactionInfo> found = [];
        WalArchive archive = new(repository, ulong.Parse(
            await server.ScalarAsync<string>("SELECT system_identifier::text FROM pg_control_system()"), System.Globalization.CultureInfo.InvariantCulture));
        await foreach (TransactionInfo one in TransactionSearch.FindAsync(archive, new(), server.CreateConnector(), NullObserver.Instance, default))
        {
            found.Add(one);
        }

        await server.KillAsync();
        Assert.Equal(
            [TransactionKinds.Drop, TransactionKinds.Drop, TransactionKinds.DropDatabase], found.Select(static one => one.Kind));
        Assert.EndsWith("orders", found[0].RelationNames, StringComparison.Ordinal);

        await using (PostgresServer recovered = await RecoverAsync(server, repository, found[0], "dropped"))
        {
            Assert.Equal(2000L, await recovered.ScalarAsync<long>("SELECT count(*) FROM orders"));
            Assert.Equal("1,2", await recovered.ScalarAsync<string>("SELECT string_agg(id::text, ',' ORDER BY id) FROM other"));
            await recovered.AssertSoundAsync();
        }

        await using (PostgresServer recovered = await RecoverAsync(server, repository, found[1], "prepared"))
        {
            // It is prepared still, and holds its locks.
            Assert.True(found[1].IsPrepared);
            await recovered.ExecuteAsync("ROLLBACK PREPARED 'p'");
            Assert.Equal(2000L, await recovered.ScalarAsync<long>("SELECT count(*) FROM twice"));
            Assert.Equal("1,2,4,5", await recovered.ScalarAsync<string>("SELECT string_agg(id::text, ',' ORDER BY id) FROM other"));
        }

        await using (PostgresServer recovered = await RecoverAsync(server, repository, found[2], "database"))
        {
            Assert.Equal(7, await recovered.ScalarAsync<int>("SELECT v FROM t", "shop"));
            Assert.Equal("1,2,4,5", await recovered.ScalarAsync<string>("SELECT string_agg(id::text, ',' ORDER BY id) FROM other"));
        }
    }

    [Theory]
    [InlineData("cp %p {0}/%f")]
    [InlineData("gzip < %p > {0}/%f.gz")]
    [InlineData("zstd -q < %p > {0}/%f.zst")]
    public async Task Recovery_FromWalThatAnArchiveCommandWrote_BringsBackTheLastCommit(string command)
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions { WalSegmentMegabytes = 1 });
        string source = server.CreateDirectory("archive");
        await server.RestartAsync(new Dictionary<string, string>
        {
            ["archive_mode"] = "on",
            ["archive_command"] = string.Format(System.Globalization.CultureInfo.InvariantCulture, command, source),
        });
        Repository repository = await OpenRepositoryAsync();
        await server.ExecuteAsync("CREATE TABLE orders (id int PRIMARY KEY, v text)");
        await BaseBackup.RunAsync(server.CreateConnector(), repository, new BaseBackupOptions(), NullObserver.Instance, default);
        await FillAsync(1);
        WalImportResult first = await ImportAsync();
        await FillAsync(2);
        WalImportResult second = await ImportAsync();
        await server.KillAsync();

        Assert.Equal(("Complete", "Complete"), (first.State, second.State));
        Assert.True(first.ImportedCount > 2 && second.ImportedCount > 2);
        Assert.Equal(1, second.LabelCount);
        Assert.True(second.PresentCount >= first.ImportedCount);
        await using PostgresServer recovered = await RecoverAsync(server, repository, null, "imported");
        Assert.Equal(10000L, await recovered.ScalarAsync<long>("SELECT count(*) FROM orders"));
        await recovered.AssertSoundAsync();

        async Task FillAsync(int part)
        {
            await server.ExecuteAsync($"INSERT INTO orders SELECT g, repeat(md5(g::text), 10) FROM generate_series({part} * 5000, {part} * 5000 + 4999) g");
            string last = await server.ScalarAsync<string>("SELECT pg_walfile_name(pg_current_wal_insert_lsn())");
            await server.ExecuteAsync("SELECT pg_switch_wal()");
            using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
            while (string.CompareOrdinal(await server.ScalarAsync<string>("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver"), last) < 0)
            {
                await Task.Delay(50, limit.Token);
            }
        }

        async Task<WalImportResult> ImportAsync() => await WalImport.RunAsync(
            repository, await WalImportPlan.CreateAsync(new WalImportOptions { Path = source }, default), NullObserver.Instance, default);
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using NpgsqlCommand command = new(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<PostgresServer> RecoverAsync(PostgresServer server, Repository repository, TransactionInfo? undone, string name)
    {
        string data = Path.Combine(server.CreateDirectory(name), "data");
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(
            new RecoveryRequest
            {
                Repository = repository,
                DataDirectory = data,
                KeepRunning = false,
                Target = undone is null ? RecoveryTarget.Latest : RecoveryTarget.AtLsn(Lsn.Parse(undone.RecoveryLsn)) with { Inclusive = false },
            },
            NullObserver.Instance,
            default);
        await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, default);
        return await PostgresServer.StartAsync(new PostgresServerOptions
        {
            ExistingDataDirectory = data,
            Password = server.Password,
            Settings = new Dictionary<string, string> { ["archive_mode"] = "off" },
        });
    }

    private async Task<Repository> OpenRepositoryAsync() =>
        await Repository.OpenOrCreateAsync(new DirectoryObjectStore(Path.Combine(_directory.Path, "repository")), default);
}
