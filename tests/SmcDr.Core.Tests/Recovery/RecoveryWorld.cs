using System.Globalization;
using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using TestPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.Recovery;

/// <summary>
/// A database whose server is lost, and its repository: a base backup, and WAL with six transactions after it, each with its
/// restore point, time, position and id. Its configuration is as unfriendly to a recovery as a real one: left-over recovery
/// settings, an archive command, paths of its own.
/// </summary>
public sealed class RecoveryWorld : IAsyncLifetime
{
    public const int RowsInBackup = 3;
    public const int Steps = 6;
    public const int SegmentSize = 1 << 20;

    /// <summary>The step before which a table is emptied.</summary>
    public const int DeletedBefore = 4;

    /// <summary>A database whose collations come from libraries that the host does not have.</summary>
    public const string OddDatabase = "odd name's";
    public const string OddVersion = "57.1";

    /// <summary>A line of the primary's configuration that is in Latin-1, and no UTF-8.</summary>
    public const string LatinLine = "# für die Bücher";

    /// <summary>Settings of the primary with which no server starts here.</summary>
    public static IReadOnlyDictionary<string, string> HostSettings { get; } = new Dictionary<string, string>
    {
        ["hba_file"] = "/nowhere/pg_hba.conf",
        ["ident_file"] = "/nowhere/pg_ident.conf",
        ["ssl"] = "on",
        ["ssl_cert_file"] = "/nowhere/server.crt",
        ["unix_socket_directories"] = "/nowhere",
        ["logging_collector"] = "on",
        ["log_directory"] = "/nowhere",
        ["external_pid_file"] = "/nowhere/pid",
        ["huge_pages"] = "on",
    };

    private PostgresServer? _server;

    /// <summary>The directory of all that the tests restore; each takes a folder of its own.</summary>
    public string Root { get; } = TestPrograms.CreateDirectory();

    public Repository Repository { get; private set; } = null!;

    public string RepositoryPath => Path.Combine(Root, "repository");

    public WalArchive Archive { get; private set; } = null!;

    public string BackupId { get; private set; } = null!;

    public BackupHeader Backup { get; private set; } = null!;

    public string Password { get; private set; } = null!;

    /// <summary>What the primary's archive command touches: once the primary is gone, nobody may.</summary>
    public string ArchivedMarker => Path.Combine(Root, "archived");

    /// <summary>The state right after each transaction.</summary>
    public IReadOnlyList<WorldStep> Timeline { get; private set; } = [];

    public DateTimeOffset LastServerTime { get; private set; }

    public async Task InitializeAsync()
    {
        Directory.CreateDirectory(RepositoryPath);
        Repository = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(RepositoryPath), default);
        string tablespace = Path.Combine(Root, "primary-tablespace");
        Directory.CreateDirectory(tablespace);
        TestPrograms.GiveToServer(tablespace);
        _server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            Fsync = false,
            WalSegmentMegabytes = 1,
            Settings = new Dictionary<string, string>
            {
                ["archive_mode"] = "on",
                ["archive_command"] = $"echo %f >> {ArchivedMarker}",
                ["wal_keep_size"] = "1GB",
                ["max_connections"] = "57",
            },
        });
        Password = _server.Password;
        await _server.ExecuteAsync($"CREATE TABLESPACE side LOCATION '{tablespace}'");
        await _server.ExecuteAsync("CREATE TABLE t (id int PRIMARY KEY, v text)");
        await _server.ExecuteAsync("CREATE TABLE s (id int PRIMARY KEY) TABLESPACE side");
        await _server.ExecuteAsync($"CREATE DATABASE \"{OddDatabase}\" TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de'");
        // Trap 13: its text was sorted by libraries of other versions than this host's, as after a move to another image.
        await _server.ExecuteAsync(
            """
            CREATE COLLATION "Odd one" (provider = icu, locale = 'fr');
            CREATE COLLATION unused (provider = icu, locale = 'fr');
            CREATE TABLE words (id int PRIMARY KEY, word text UNIQUE, odd text COLLATE "Odd one" UNIQUE);
            CREATE INDEX ON words (lower(odd));
            UPDATE pg_collation SET collversion = '153.14' WHERE collname IN ('Odd one', 'unused');
            """,
            OddDatabase);
        await _server.ExecuteAsync($"UPDATE pg_database SET datcollversion = '{OddVersion}' WHERE datname = '{OddDatabase.Replace("'", "''", StringComparison.Ordinal)}'");
        await _server.ExecuteAsync(
            """"
            CREATE SCHEMA "Odd schema";
            CREATE TABLE "Odd schema"."To be.emptied" (id int, "a ""b""" text);
            INSERT INTO "Odd schema"."To be.emptied" SELECT i, E'one, "two"\nüñí ' || i FROM generate_series(1, 5) AS i;
            CREATE TABLE parted (id int) PARTITION BY RANGE (id);
            CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (10);
            CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (10) TO (20);
            INSERT INTO parted SELECT generate_series(0, 19);
            """");
        for (int i = 1; i <= RowsInBackup; i++)
        {
            await InsertAsync(i);
        }

        // Trap 15: what an earlier recovery, or a standby's setup, left behind.
        await _server.ExecuteAsync("ALTER SYSTEM SET recovery_target_xid = '999999'");
        await _server.ExecuteAsync("ALTER SYSTEM SET restore_command = 'false'");
        await _server.ExecuteAsync("ALTER SYSTEM SET primary_conninfo = 'host=203.0.113.1'");
        await _server.ExecuteAsync($"ALTER SYSTEM SET recovery_end_command = 'touch {Root}/recovery-end-command-ran'");

        // Trap 22: what is of that host, and not of the one that it is recovered on.
        foreach ((string name, string value) in HostSettings)
        {
            await _server.ExecuteAsync($"ALTER SYSTEM SET {name} = '{value}'");
        }

        // In the encoding of a database of old, as of a comment, a path or a name.
        await File.AppendAllTextAsync(Path.Combine(_server.DataDirectory, "postgresql.auto.conf"), LatinLine + "\n", System.Text.Encoding.Latin1);
        BackupInfo info = await BaseBackup.RunAsync(
            _server.CreateConnector(),
            Repository,
            new BaseBackupOptions { Parallelism = 2 },
            NullObserver.Instance,
            (request, _, _) =>
            {
                Archive = new WalArchive(Repository, request.SystemId);
                return Task.FromResult<IBackupWal>(new CopiedWal(this));
            },
            TimeSpan.FromSeconds(10),
            default);
        BackupId = info.Id;
        Backup = (await Repository.OpenBackupAsync(Component.Database, BackupId, default)).Header;

        List<WorldStep> timeline = [];
        for (int i = 1; i <= Steps; i++)
        {
            if (i == DeletedBefore)
            {
                await _server.ExecuteAsync("DELETE FROM \"Odd schema\".\"To be.emptied\"");
            }

            timeline.Add(await StepAsync(i));
            if (i % 2 == 0)
            {
                await _server.ExecuteAsync("SELECT pg_switch_wal()");
            }
        }

        Timeline = timeline;
        LastServerTime = await ServerTimeAsync();
        await CopyWalAsync();
        await _server.DisposeAsync();
        Directory.Delete(tablespace, recursive: true);
    }

    public async Task DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }

        Directory.Delete(Root, recursive: true);
    }

    /// <summary>A folder of a test, owned by the account of the server.</summary>
    internal RecoveryPlace NewPlace([System.Runtime.CompilerServices.CallerMemberName] string name = "")
    {
        string path = Directory.CreateDirectory(Path.Combine(Root, $"{name}-{Guid.NewGuid():N}"[^40..])).FullName;
        TestPrograms.GiveToServer(path);
        return new RecoveryPlace(this, path);
    }

    private async Task<WorldStep> StepAsync(int number)
    {
        int id = RowsInBackup + number;
        await using NpgsqlConnection connection = await _server!.OpenAsync();
        uint xid;
        await using (NpgsqlTransaction transaction = await connection.BeginTransactionAsync())
        {
            await using NpgsqlCommand insert = new($"INSERT INTO t VALUES ({id}, repeat('{id}', 100)); INSERT INTO s VALUES ({id})", connection);
            await insert.ExecuteNonQueryAsync();
            await using NpgsqlCommand query = new("SELECT pg_current_xact_id()::text", connection);
            xid = uint.Parse((string)(await query.ExecuteScalarAsync())!, CultureInfo.InvariantCulture);
            await transaction.CommitAsync();
        }

        Lsn lsn = Lsn.Parse(await _server.ScalarAsync<string>("SELECT pg_current_wal_insert_lsn()::text"));
        DateTimeOffset time = await ServerTimeAsync();
        string name = $"after {id}";
        await _server.ExecuteAsync($"SELECT pg_create_restore_point('{name}')");
        return new WorldStep(id, xid, lsn, time, name);
    }

    private Task<int> InsertAsync(int id) =>
        _server!.ExecuteAsync($"INSERT INTO t VALUES ({id}, repeat('{id}', 100)); INSERT INTO s VALUES ({id})");

    private async Task<DateTimeOffset> ServerTimeAsync() =>
        new(await _server!.ScalarAsync<DateTime>("SELECT clock_timestamp()"), TimeSpan.Zero);

    /// <summary>Archives every finished segment that the server has, and finishes the present one first.</summary>
    private async Task CopyWalAsync()
    {
        await _server!.ExecuteAsync("SELECT pg_switch_wal()");
        // Not pg_walfile_name: at a boundary it names the segment before in some versions, and the one behind in others.
        Lsn end = Lsn.Parse(await _server.ScalarAsync<string>("SELECT pg_current_wal_lsn()::text"));
        DateTimeOffset time = await ServerTimeAsync();
        foreach (string path in Directory.GetFiles(Path.Combine(_server.DataDirectory, "pg_wal")).Order(StringComparer.Ordinal))
        {
            if (WalSegmentName.TryParse(Path.GetFileName(path), out WalSegmentName name) &&
                name.EndLsn(SegmentSize) <= end)
            {
                byte[] content = await File.ReadAllBytesAsync(path);
                WalIndexBuilder index = new();
                WalRecordScanner scanner = new(name.StartLsn(content.Length), name.Timeline, content.Length, Archive.SystemId)
                {
                    OnTransaction = index.Add,
                    OnRestorePoint = index.Add,
                };
                scanner.Append(content);
                await Archive.PutSegmentAsync(
                    name,
                    content,
                    new WalFacts
                    {
                        LastRecordEnd = scanner.LastRecordEnd,
                        Index = index.Take(),
                        // Behind the others there was more already.
                        ServerTime = name.EndLsn(SegmentSize) + SegmentSize > end ? time : null,
                    },
                    default);
            }
        }
    }

    private sealed class CopiedWal(RecoveryWorld world) : IBackupWal
    {
        public Task Running { get; } = new TaskCompletionSource().Task;

        public Task WaitForAsync(uint timeline, Lsn from, Lsn to, CancellationToken cancellationToken) => world.CopyWalAsync();

        public string Describe() => "";

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
