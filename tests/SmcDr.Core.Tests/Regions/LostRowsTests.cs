using System.Text.Json;
using Npgsql;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Regions.Failback;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Regions;

/// <summary>The rows of lost transactions, out of a real server that was killed.</summary>
public sealed class LostRowsTests : IAsyncLifetime
{
    private readonly string _kept = Fixtures.PostgresPrograms.CreateDirectory();
    private PostgresServer _server = null!;

    public async Task InitializeAsync() => _server = await PostgresServer.StartAsync(new PostgresServerOptions
    {
        Fsync = false,
        WalSegmentMegabytes = 1,
        Settings = new Dictionary<string, string> { ["max_prepared_transactions"] = "5", ["min_wal_size"] = "2MB" },
    });

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_kept, recursive: true);
    }

    [Fact]
    public async Task Export_TransactionsOfAllKinds_ExactlyTheirRowsAreWritten()
    {
        await RunAsync(
            """
            CREATE TABLE t (id int PRIMARY KEY, v text, twice int GENERATED ALWAYS AS (id * 2) STORED);
            INSERT INTO t (id, v) SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 5000) i;
            CREATE TABLE "odd ""name/" ("a ""b" text);
            CREATE TABLE untouched AS SELECT i FROM generate_series(1, 10) i;
            CREATE TABLE parted (id int, v text) PARTITION BY LIST (id);
            CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
            CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
            CREATE TABLE gone (id int);
            CREATE TABLE rewritten (id int);
            INSERT INTO rewritten VALUES (1);
            CREATE TABLE packed AS SELECT i FROM generate_series(1, 3) i;
            CREATE TABLE emptied AS SELECT i FROM generate_series(1, 3) i;
            CREATE TABLE only_deleted AS SELECT i FROM generate_series(1, 10) i;
            CHECKPOINT
            """);
        Lsn left = await EndAsync();
        await RunAsync(
            """
            INSERT INTO t (id, v) VALUES (10001, 'inserted'), (10002, 'with, comma "quote"' || chr(10) || 'and a second line'), (10003, NULL);
            UPDATE t SET v = 'updated' WHERE id IN (1, 2500, 4999);
            UPDATE t SET v = repeat('toasted', 10000) WHERE id = 7;
            DELETE FROM t WHERE id = 3;
            INSERT INTO t (id, v) VALUES (10004, 'deleted again');
            DELETE FROM t WHERE id = 10004;
            BEGIN; INSERT INTO t (id, v) VALUES (10005, 'rolled back'); UPDATE t SET v = 'rolled back' WHERE id = 100; ROLLBACK;
            BEGIN;
            INSERT INTO t (id, v) VALUES (10006, 'before a savepoint');
            SAVEPOINT one; INSERT INTO t (id, v) VALUES (10007, 'in a subtransaction'); RELEASE one;
            SAVEPOINT two; INSERT INTO t (id, v) VALUES (10008, 'in one that was rolled back'); ROLLBACK TO two;
            COMMIT;
            BEGIN; INSERT INTO t (id, v) VALUES (10009, 'prepared'); PREPARE TRANSACTION 'kept'; COMMIT PREPARED 'kept';
            BEGIN; INSERT INTO t (id, v) VALUES (10010, 'prepared only'); PREPARE TRANSACTION 'open';
            INSERT INTO "odd ""name/" VALUES ('x');
            INSERT INTO parted VALUES (1, 'one'), (2, 'two');
            UPDATE parted SET id = 2, v = 'moved' WHERE id = 1;
            INSERT INTO gone VALUES (1); DROP TABLE gone;
            INSERT INTO rewritten VALUES (2);
            ALTER TABLE rewritten ALTER COLUMN id TYPE bigint;
            INSERT INTO packed VALUES (4);
            VACUUM FULL packed;
            INSERT INTO emptied VALUES (4);
            TRUNCATE emptied;
            INSERT INTO emptied VALUES (5), (6);
            DELETE FROM only_deleted WHERE i <= 4;
            CREATE TABLE made AS SELECT i FROM generate_series(1, 7) i;
            CREATE TEMP TABLE temporary AS SELECT 1 AS i
            """);
        await _server.ExecuteAsync("SELECT pg_switch_wal()");
        await _server.KillAsync();

        LostRows rows = await ExportAsync(left);

        Assert.Empty(rows.Problems);
        Assert.Equal(
            [
                "public.emptied.csv", "public.made.csv", "public.odd \"name_.csv", "public.packed.csv", "public.parted_2.csv", "public.rewritten.csv",
                "public.t.csv",
            ],
            Directory.GetFiles(Path.Combine(_kept, "rows", "postgres")).Select(static path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
        Dictionary<string, JsonElement> lines = ReadList();
        Assert.DoesNotContain("public.untouched", lines.Keys);
        Assert.Equal((10L, 4L, 2L), Counts(lines["public.t"]));
        Assert.Equal(4, lines["public.only_deleted"].GetProperty("deletedRows").GetInt64());
        Assert.False(lines["public.only_deleted"].TryGetProperty("file", out _));
        // Of the one that moved there is only the new row.
        Assert.Equal(2, lines["public.parted_2"].GetProperty("exportedRows").GetInt64());
        Assert.Equal("i\n4\n", await File.ReadAllTextAsync(Path.Combine(_kept, "rows", "postgres", "public.packed.csv")));
        Assert.Equal("i\n5\n6\n", await File.ReadAllTextAsync(Path.Combine(_kept, "rows", "postgres", "public.emptied.csv")));
        Assert.Equal(lines.Values.Sum(static line => line.GetProperty("exportedRows").GetInt64()), rows.Count);
        // The one that was dropped has taken its row along.
        Assert.Contains("dropped", await File.ReadAllTextAsync(Path.Combine(_kept, "rows.jsonl")), StringComparison.Ordinal);

        // They can be entered again as they are, and are what the server itself has.
        await _server.ResumeAsync();
        await RunAsync(
            "CREATE TABLE entered (id int, v text); CREATE TABLE entered_odd (a text); CREATE TABLE entered_parted (id int, v text); " +
            "CREATE TABLE entered_made (i int); CREATE TABLE entered_rewritten (id bigint)");
        Assert.Equal(10, await EnterAsync("entered (id, v)", "public.t.csv"));
        Assert.Equal(1, await EnterAsync("entered_odd", "public.odd \"name_.csv"));
        Assert.Equal(2, await EnterAsync("entered_parted", "public.parted_2.csv"));
        Assert.Equal(7, await EnterAsync("entered_made", "public.made.csv"));
        Assert.Equal(2, await EnterAsync("entered_rewritten", "public.rewritten.csv"));
        const string Wanted = "SELECT id, v FROM t WHERE id IN (1, 7, 2500, 4999) OR id > 10000";
        Assert.Equal(0L, await _server.ScalarAsync<long>($"SELECT count(*) FROM (({Wanted}) EXCEPT TABLE entered) x"));
        Assert.Equal(0L, await _server.ScalarAsync<long>($"SELECT count(*) FROM (TABLE entered EXCEPT ({Wanted})) x"));
    }

    [Fact]
    public async Task Export_MoreThanThereIsRoomFor_LeavesNoHalfFileAndSaysSo()
    {
        await RunAsync("CREATE TABLE small (v text); CREATE TABLE large (v text)");
        Lsn left = await EndAsync();
        await RunAsync("INSERT INTO small VALUES ('x'); INSERT INTO large SELECT repeat('y', 1000) FROM generate_series(1, 1000)");
        await _server.KillAsync();

        LostRows rows = await ExportAsync(left, mostBytes: 100_000);

        string problem = Assert.Single(rows.Problems);
        Assert.Contains("The rows of 'public.large'", problem, StringComparison.Ordinal);
        Assert.Equal(["public.small.csv"], Directory.GetFiles(Path.Combine(_kept, "rows", "postgres")).Select(static path => Path.GetFileName(path)));
        Dictionary<string, JsonElement> lines = ReadList();
        Assert.Equal(problem, lines["public.large"].GetProperty("problem").GetString());
        Assert.Equal(1000, lines["public.large"].GetProperty("insertedRows").GetInt64());
        Assert.Equal(1, lines["public.small"].GetProperty("exportedRows").GetInt64());
    }

    [Fact]
    public async Task Export_ReadingItTwice_RemovesNothingThatWasThereAndGivesTheSame()
    {
        await RunAsync("CREATE TABLE t (v text); INSERT INTO t SELECT 'x' FROM generate_series(1, 10)");
        Lsn left = await EndAsync();
        await RunAsync("INSERT INTO t SELECT 'lost' FROM generate_series(1, 10)");
        for (int i = 0; i < 10; i++)
        {
            // What no slot keeps, a checkpoint at the end of a crash recovery removes.
            await _server.ExecuteAsync("SELECT pg_switch_wal() FROM pg_create_restore_point('next')");
        }

        await _server.KillAsync();
        string wal = Path.Combine(_server.DataDirectory, "pg_wal");
        string[] before = [.. Directory.GetFiles(wal).Where(static path => WalSegmentName.TryParse(Path.GetFileName(path), out _))];

        Assert.Equal(10, (await ExportAsync(left)).Count);
        Assert.Equal(10, (await ExportAsync(left)).Count);

        Assert.All(before, static path => Assert.True(File.Exists(path), path));
        ControlFile control = await ControlFile.ReadAsync(_server.DataDirectory, default);
        Assert.Equal(DatabaseState.ShutDown, control.State);
        Assert.Equal(10, Directory.GetFiles(Path.Combine(_kept, "rows", "postgres")).Sum(static path => File.ReadLines(path).Count() - 1));
        Assert.DoesNotContain("smcdr", await File.ReadAllTextAsync(Path.Combine(_server.DataDirectory, "postgresql.auto.conf")), StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(_kept, "server")));
    }

    private async Task<LostRows> ExportAsync(Lsn left, long? mostBytes = null)
    {
        LostRows rows = await LostRows.FindAsync(
            _server.DataDirectory, Path.Combine(_server.DataDirectory, "pg_wal"), [1], left, mostBytes, default);
        Core.Recovery.PostgresPrograms programs = await Core.Recovery.PostgresPrograms.FindAsync(Fixtures.PostgresPrograms.BinDirectory, null, default);
        HostServer server = new(programs, _server.DataDirectory, Fixtures.PostgresPrograms.OsUser);
        await using FormerInstance instance = await FormerInstance.StartAsync(server, _kept, "postgres", NullObserver.Instance, default);
        Assert.True(FormerInstance.IsLeftOver(_server.DataDirectory));
        await rows.ExportAsync(instance, server, _kept, NullObserver.Instance, default);
        return rows;
    }

    private Dictionary<string, JsonElement> ReadList() => File.ReadLines(Path.Combine(_kept, "rows.jsonl"))
        .Select(static line => JsonDocument.Parse(line).RootElement)
        .Where(static line => line.TryGetProperty("table", out _))
        .ToDictionary(static line => line.GetProperty("table").GetString()!);

    private static (long Exported, long Updated, long Deleted) Counts(JsonElement line) => (
        line.GetProperty("exportedRows").GetInt64(), line.GetProperty("updatedRows").GetInt64(), line.GetProperty("deletedRows").GetInt64());

    private async Task<Lsn> EndAsync() => Lsn.Parse(await _server.ScalarAsync<string>("SELECT pg_current_wal_insert_lsn()::text"));

    /// <summary>Runs statements each for itself, as a client does.</summary>
    private async Task RunAsync(string statements)
    {
        await using NpgsqlConnection connection = await _server.OpenAsync();
        foreach (string statement in statements.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            await using NpgsqlCommand command = new(statement, connection);
            await command.ExecuteNonQueryAsync();
        }
    }

    private async Task<long> EnterAsync(string table, string file)
    {
        await using NpgsqlConnection connection = await _server.OpenAsync();
        await using (TextWriter writer = await connection.BeginTextImportAsync($"COPY {table} FROM STDIN (FORMAT csv, HEADER)"))
        {
            await writer.WriteAsync(await File.ReadAllTextAsync(Path.Combine(_kept, "rows", "postgres", file)));
        }

        return await _server.ScalarAsync<long>($"SELECT count(*) FROM {table.Split(' ')[0]}");
    }
}
