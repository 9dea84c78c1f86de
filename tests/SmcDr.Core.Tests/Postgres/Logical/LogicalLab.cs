using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.Logical;

/// <summary>A server and a repository beside it, for logical backups.</summary>
public sealed class LogicalLab : IAsyncLifetime
{
    private readonly TemporaryDirectory _directory = new();

    public PostgresServer Server { get; private set; } = null!;

    public Repository Repository { get; private set; } = null!;

    public string RepositoryDirectory => Path.Combine(_directory.Path, "repository");

    public string NewPath() => Path.Combine(_directory.Path, Guid.NewGuid().ToString("N"));

    public async Task InitializeAsync()
    {
        Server = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false });
        Directory.CreateDirectory(RepositoryDirectory);
        Repository = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(RepositoryDirectory), CancellationToken.None);
    }

    public async Task DisposeAsync()
    {
        if (Server is not null)
        {
            await Server.DisposeAsync();
        }

        _directory.Dispose();
    }

    /// <summary>A database of its own for a test, with a few tables and rows.</summary>
    public async Task<string> NewDatabaseAsync(string? name = null, int rows = 500)
    {
        name ??= "t" + Guid.NewGuid().ToString("N");
        await Server.ExecuteAsync($"CREATE DATABASE {Sql.Name(name)}");
        await Server.ExecuteAsync(
            $"""
            CREATE SCHEMA sales;
            CREATE TABLE sales.customer (id serial PRIMARY KEY, name text NOT NULL);
            CREATE TABLE sales."Order; -- 'odd'" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES sales.customer, note text);
            CREATE INDEX note ON sales."Order; -- 'odd'" (note);
            CREATE TABLE "two
            lines" (a text);
            CREATE TABLE nothing ();
            CREATE VIEW sales.names AS SELECT name FROM sales.customer;
            CREATE FUNCTION sales.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := NEW.note || ''!''; RETURN NEW; END';
            CREATE TABLE part (k int, v text) PARTITION BY RANGE (k);
            CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (100);
            CREATE TABLE part_high PARTITION OF part FOR VALUES FROM (100) TO (1000000);
            INSERT INTO sales.customer (name) SELECT E'line one\nline two \\ ' || i FROM generate_series(1, {rows}) i;
            INSERT INTO sales."Order; -- 'odd'" (customer, note) SELECT i, repeat('x', i % 300) FROM generate_series(1, {rows}) i;
            CREATE TRIGGER touch BEFORE INSERT ON sales."Order; -- 'odd'" FOR EACH ROW EXECUTE FUNCTION sales.touch();
            INSERT INTO "two
            lines" VALUES (E'\\.'), (NULL), ('');
            INSERT INTO nothing SELECT FROM generate_series(1, 3);
            INSERT INTO part SELECT i, 'v' || i FROM generate_series(1, {rows}) i;
            """,
            name);
        return name;
    }

    public Task<BackupInfo> BackupAsync(
        LogicalBackupOptions options, IOperationObserver? observer = null, PostgresConnector? connector = null, CancellationToken cancellationToken = default) =>
        LogicalBackup.RunAsync(
            connector ?? Server.CreateConnector(),
            Repository,
            options.BinDirectory is null ? options with { BinDirectory = PostgresPrograms.BinDirectory } : options,
            observer ?? NullObserver.Instance,
            cancellationToken);

    public Task<BackupInfo> BackupAsync(string database) => BackupAsync(new LogicalBackupOptions { Databases = [database] });

    public async Task<DatabaseRestoreResult> RestoreAsync(
        string backupId, LogicalRestoreOptions? options = null, IOperationObserver? observer = null, PostgresConnector? connector = null)
    {
        connector ??= Server.CreateConnector();
        LogicalRestorePlan plan = await PlanAsync(backupId, options, observer, connector);
        return Assert.Single(await LogicalRestore.RunAsync(plan, connector, observer ?? NullObserver.Instance, CancellationToken.None));
    }

    public async Task<LogicalRestorePlan> PlanAsync(
        string backupId, LogicalRestoreOptions? options = null, IOperationObserver? observer = null, PostgresConnector? connector = null) =>
        await LogicalRestore.PlanAsync(
            connector ?? Server.CreateConnector(),
            await Repository.OpenBackupAsync(Component.Database, backupId, CancellationToken.None),
            options ?? new LogicalRestoreOptions(),
            observer ?? NullObserver.Instance,
            CancellationToken.None);

    /// <summary>What plain pg_dump writes of a database: definitions, privileges and all rows. The same twice means the same content.</summary>
    public async Task<string> ContentAsync(string database, PostgresServer? server = null)
    {
        server ??= Server;
        string dump = await PostgresPrograms.RunAsync(
            "pg_dump",
            ["-h", "127.0.0.1", "-p", server.Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres", ClientEnvironment.DatabaseArgument(database)],
            server.Password);
        return string.Join('\n', dump.Split('\n').Where(static line =>
            !line.StartsWith("\\restrict", StringComparison.Ordinal) && !line.StartsWith("\\unrestrict", StringComparison.Ordinal)));
    }

    public async Task<HashSet<string>> DatabasesAsync()
    {
        await using NpgsqlConnection connection = await Server.OpenAsync();
        return await DatabaseCatalog.ReadNamesAsync(connection, "SELECT datname::text FROM pg_database", CancellationToken.None);
    }

    /// <summary>The keys of all objects of backups.</summary>
    public async Task<List<string>> ObjectsAsync()
    {
        List<string> keys = [];
        await foreach (ObjectInfo info in Repository.Store.ListAsync("database/", CancellationToken.None))
        {
            keys.Add(info.Key);
        }

        return keys;
    }

    /// <summary>Runs docs/reader/smcdr-read.py.</summary>
    public static string Read(params string[] arguments)
    {
        ProcessStartInfo start = new("python3") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(ReaderPath());
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, error.Result);
        return output;
    }

    private static string ReaderPath([CallerFilePath] string source = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(source)!, "../../../../docs/reader/smcdr-read.py"));
}
