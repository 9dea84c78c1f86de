using System.Diagnostics;
using System.Globalization;
using System.Text;
using Npgsql;
using SmcDr.Core.Encryption;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Verification;

namespace SmcDr.Core.Tests.Postgres.Logical;

public sealed class LogicalBackupTests(LogicalLab lab) : IClassFixture<LogicalLab>
{
    [Theory]
    [InlineData("plain")]
    [InlineData("-x")]
    [InlineData("with space; DROP TABLE \"t\"")]
    [InlineData("it's \"quoted\" \\ back")]
    [InlineData("a=b")]
    [InlineData("postgresql://example/other")]
    [InlineData("../übel/数据库")]
    [InlineData("@p :q $1 %41")]
    public async Task BackupAndRestore_OddName_BringsTheSameContentBack(string name)
    {
        await lab.NewDatabaseAsync(name);
        string before = await lab.ContentAsync(name);
        BackupInfo backup = await lab.BackupAsync(new LogicalBackupOptions { Databases = [name], ExactRowCount = true });
        Assert.Equal("Logical", backup.Kind);
        Assert.Equal("Complete", backup.State);
        Assert.Equal([name], backup.Databases);

        DatabaseRestoreResult beside = await lab.RestoreAsync(backup.Id, new LogicalRestoreOptions { TargetDatabase = name + "2", Parallelism = 2 });
        Assert.Equal("Verified", beside.State);
        Assert.Equal(before, await lab.ContentAsync(name + "2"));

        await lab.Server.ExecuteAsync("DROP TABLE sales.\"Order; -- 'odd'\"; CREATE TABLE additional (id int)", name);
        DatabaseRestoreResult replaced = await lab.RestoreAsync(backup.Id, new LogicalRestoreOptions { Clean = true });
        Assert.Equal(before, await lab.ContentAsync(name));
        Assert.Equal(1506, replaced.RowCount);
        Assert.Equal(6, replaced.TableCount);
        Assert.DoesNotContain(await lab.DatabasesAsync(), static database => database.Contains("_restoring_", StringComparison.Ordinal) || database.Contains("_before_", StringComparison.Ordinal));
        await lab.Server.ExecuteAsync($"DROP DATABASE {Sql.Name(name)}");
        await lab.Server.ExecuteAsync($"DROP DATABASE {Sql.Name(name + "2")}");
    }

    [Fact]
    public async Task Backup_Details_StateSnapshotRowsAndVersions()
    {
        string name = await lab.NewDatabaseAsync();
        await lab.Server.ExecuteAsync("SELECT lo_from_bytea(0, 'abc'); SELECT lo_from_bytea(0, decode(repeat('00', 3000000), 'hex'))", name);
        DateTimeOffset earliest = DateTimeOffset.UtcNow;
        BackupInfo backup = await lab.BackupAsync(name);
        BackupReader reader = await lab.Repository.OpenBackupAsync(Component.Database, backup.Id, CancellationToken.None);
        LogicalBackupDetails details = reader.Header.Logical!;
        LogicalDatabaseDetails database = Assert.Single(details.Databases);
        Assert.InRange(database.SnapshotTime!.Value, earliest.AddSeconds(-1), DateTimeOffset.UtcNow.AddSeconds(1));
        Assert.NotNull(database.SnapshotLsn);
        Assert.Equal([name], details.Selected);
        Assert.Equal(2, database.LargeObjectCount);
        Assert.Equal(1506, database.RowCount);
        Assert.True(details.RolePasswords);
        Assert.True(database.SizeBytes > 1_000_000);

        Manifest manifest = await reader.ReadManifestAsync(CancellationToken.None);
        Assert.Equal(
            ["dumps/" + name + ".dump", "globals.sql", "tables/" + name + ".jsonl"], manifest.Entries.Select(static entry => entry.Path));
        string tables = Encoding.UTF8.GetString(await DumpReader.ReadAllAsync(reader, manifest.Entries[2], CancellationToken.None));
        Assert.Contains("\"name\":\"customer\",\"rows\":500", tables, StringComparison.Ordinal);
        Assert.Contains("\"name\":\"two\\nlines\",\"rows\":3", tables, StringComparison.Ordinal);
        Assert.Contains("\"name\":\"nothing\",\"rows\":3", tables, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Backup_RowsWrittenMeanwhile_AreOfOneSnapshot()
    {
        string name = await lab.NewDatabaseAsync(rows: 20000);
        using CancellationTokenSource stop = new();
        Task writing = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await lab.Server.ExecuteAsync("INSERT INTO sales.customer (name) SELECT 'new' FROM generate_series(1, 100)", name);
            }
        });
        // Counted by the server in the exported snapshot; a difference would be an error.
        BackupInfo backup = await lab.BackupAsync(new LogicalBackupOptions { Databases = [name], ExactRowCount = true });
        await stop.CancelAsync();
        await writing;
        Assert.Equal("Complete", backup.State);
    }

    [Fact]
    public async Task Backup_StandAloneReader_ExtractsWhatPlainPgRestoreReads()
    {
        string name = await lab.NewDatabaseAsync("reader's choice");
        string before = await lab.ContentAsync(name);
        BackupInfo backup = await lab.BackupAsync(name);
        string target = lab.NewPath();
        LogicalLab.Read("verify", lab.RepositoryDirectory, backup.Id);
        LogicalLab.Read("extract", lab.RepositoryDirectory, backup.Id, target);
        string dump = Path.Combine(target, "dumps", name + ".dump");
        File.SetUnixFileMode(target, (UnixFileMode)0x1ED);
        File.SetUnixFileMode(Path.GetDirectoryName(target)!, (UnixFileMode)0x1ED);
        File.SetUnixFileMode(Path.Combine(target, "dumps"), (UnixFileMode)0x1ED);
        File.SetUnixFileMode(dump, (UnixFileMode)0x1A4);
        await lab.Server.ExecuteAsync("CREATE DATABASE extracted TEMPLATE template0");
        await PostgresPrograms.RunAsync(
            "pg_restore",
            ["-h", "127.0.0.1", "-p", lab.Server.Port.ToString(CultureInfo.InvariantCulture), "-U", "postgres", "-d", "extracted", "--exit-on-error", dump],
            lab.Server.Password);
        Assert.Equal(before, await lab.ContentAsync("extracted"));
        Assert.Contains("CREATE ROLE postgres", await File.ReadAllTextAsync(Path.Combine(target, "globals.sql")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Backup_WithoutDatabases_TakesAllThatAreNoTemplates()
    {
        string closed = await lab.NewDatabaseAsync();
        await lab.Server.ExecuteAsync($"ALTER DATABASE {closed} ALLOW_CONNECTIONS false");
        string open = await lab.NewDatabaseAsync();
        RecordingObserver observer = new();
        BackupInfo backup = await lab.BackupAsync(new LogicalBackupOptions { Parallelism = 2 }, observer);
        Assert.Empty((await lab.Repository.OpenBackupAsync(Component.Database, backup.Id, CancellationToken.None)).Header.Logical!.Selected);
        Assert.Contains(open, backup.Databases);
        Assert.Contains("postgres", backup.Databases);
        Assert.DoesNotContain(closed, backup.Databases);
        Assert.DoesNotContain(backup.Databases, static database => database.StartsWith("template", StringComparison.Ordinal));
        Assert.Contains(observer.Warnings, warning => warning.Contains(closed, StringComparison.Ordinal));
        await lab.Server.ExecuteAsync($"ALTER DATABASE {closed} ALLOW_CONNECTIONS true");
        await lab.Server.ExecuteAsync($"DROP DATABASE {closed}");
    }

    [Fact]
    public async Task Backup_EncryptedRepository_IsVerifiedAndRestoredAndNothingIsInClear()
    {
        const string marker = "PLANTED-MARKER-OF-THE-TEST";
        string name = await lab.NewDatabaseAsync();
        await lab.Server.ExecuteAsync($"INSERT INTO sales.customer (name) SELECT '{marker}' || i FROM generate_series(1, 1000) i", name);
        MemoryObjectStore store = new();
        using RepositoryKeySource key = RepositoryKeySource.FromSecret("correct horse battery staple");
        Repository repository = await Repository.OpenOrCreateAsync(store, key, default);
        LogicalBackupOptions options = new() { Databases = [name], BinDirectory = PostgresPrograms.BinDirectory, Codec = BlockCodec.None };
        BackupInfo backup = await LogicalBackup.RunAsync(lab.Server.CreateConnector(), repository, options, NullObserver.Instance, default);
        Assert.True(backup.Encrypted);
        Assert.All(store.Keys, one => Assert.DoesNotContain(marker, Encoding.Latin1.GetString(store[one]), StringComparison.Ordinal));

        Repository opened = await Repository.OpenAsync(store, key, default);
        BackupVerification verification = new(opened, new BackupVerificationOptions { Deep = true }, NullObserver.Instance);
        await foreach (BackupTestResult result in verification.RunAsync(default))
        {
            Assert.Equal("Passed", result.Outcome);
        }

        PostgresConnector connector = lab.Server.CreateConnector();
        LogicalRestorePlan plan = await LogicalRestore.PlanAsync(
            connector,
            await opened.OpenBackupAsync(Component.Database, backup.Id, default),
            new LogicalRestoreOptions { TargetDatabase = name + "r", BinDirectory = PostgresPrograms.BinDirectory },
            NullObserver.Instance,
            default);
        Assert.Equal("Verified", Assert.Single(await LogicalRestore.RunAsync(plan, connector, NullObserver.Instance, default)).State);
        Assert.Equal(await lab.ContentAsync(name), await lab.ContentAsync(name + "r"));
    }

    [Fact]
    public async Task Backup_UnknownDatabase_IsRefusedBeforeAnythingIsWritten()
    {
        List<string> before = await lab.ObjectsAsync();
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => lab.BackupAsync("nosuch"));
        Assert.Equal(SmcErrorCode.ArgumentInvalid, e.Code);
        Assert.Contains("'nosuch'", e.Message, StringComparison.Ordinal);
        Assert.Equal(before, await lab.ObjectsAsync());
    }

    [Fact]
    public async Task Backup_WrongPassword_SaysSo()
    {
        PostgresConnector connector = new(lab.Server.ConnectionString, static _ => ValueTask.FromResult<string?>("wrong"));
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => lab.BackupAsync(new LogicalBackupOptions(), connector: connector));
        Assert.Equal(SmcErrorCode.AuthenticationFailed, e.Code);
    }

    [Fact]
    public async Task Backup_RoleWithoutRights_IsNoBackup()
    {
        string name = await lab.NewDatabaseAsync();
        await lab.Server.ExecuteAsync("CREATE ROLE reader LOGIN PASSWORD 'p:w\\d'");
        List<string> before = await lab.ObjectsAsync();
        PostgresConnector connector = new(
            new NpgsqlConnectionStringBuilder(lab.Server.ConnectionString) { Username = "reader" }.ConnectionString,
            static _ => ValueTask.FromResult<string?>("p:w\\d"));
        RecordingObserver observer = new();
        SmcException e = await Assert.ThrowsAsync<SmcException>(
            () => lab.BackupAsync(new LogicalBackupOptions { Databases = [name] }, observer, connector));
        Assert.Equal(SmcErrorCode.PrivilegeMissing, e.Code);
        Assert.Equal(before, await lab.ObjectsAsync());

        // With the right to read the tables it works, but for the roles' passwords.
        await lab.Server.ExecuteAsync(
            "GRANT USAGE ON SCHEMA sales TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA sales, public TO reader; GRANT SELECT ON ALL SEQUENCES IN SCHEMA sales TO reader", name);
        BackupInfo backup = await lab.BackupAsync(new LogicalBackupOptions { Databases = [name] }, observer, connector);
        Assert.Equal("Complete", backup.State);
        Assert.Contains(observer.Warnings, static warning => warning.Contains("passwords", StringComparison.Ordinal));
        BackupReader reader = await lab.Repository.OpenBackupAsync(Component.Database, backup.Id, CancellationToken.None);
        Assert.False(reader.Header.Logical!.RolePasswords);
        await lab.Server.ExecuteAsync("DROP OWNED BY reader", name);
        await lab.Server.ExecuteAsync("DROP ROLE reader");
    }

    [Fact]
    public async Task Backup_ProgramKilledMidway_IsNoBackupAndLeavesNothing()
    {
        string name = await lab.NewDatabaseAsync(rows: 200_000);
        List<string> before = await lab.ObjectsAsync();
        RecordingObserver observer = new() { At = (1, () => Kill("pg_dump", name)) };
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => lab.BackupAsync(new LogicalBackupOptions { Databases = [name] }, observer));
        Assert.Equal(SmcErrorCode.BackupInterrupted, e.Code);
        Assert.Contains("signal 9", e.Message, StringComparison.Ordinal);
        Assert.Equal(before, await lab.ObjectsAsync());
    }

    [Fact]
    public async Task Backup_Cancelled_EndsTheProgramAndLeavesNothing()
    {
        string name = await lab.NewDatabaseAsync(rows: 200_000);
        List<string> before = await lab.ObjectsAsync();
        using CancellationTokenSource stop = new();
        RecordingObserver observer = new() { At = (1, stop.Cancel) };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => lab.BackupAsync(new LogicalBackupOptions { Databases = [name] }, observer, cancellationToken: stop.Token));
        Assert.Equal(before, await lab.ObjectsAsync());
        Assert.Empty(Find("pg_dump", name));
    }

    [Fact]
    public async Task Backup_ServerDiesMidway_IsNoBackupAndLeavesNothing()
    {
        string name = await lab.NewDatabaseAsync(rows: 200_000);
        List<string> before = await lab.ObjectsAsync();
        RecordingObserver observer = new() { At = (1, () => lab.Server.KillAsync().GetAwaiter().GetResult()) };
        try
        {
            SmcException e = await Assert.ThrowsAsync<SmcException>(() => lab.BackupAsync(new LogicalBackupOptions { Databases = [name] }, observer));
            Assert.Contains(e.Code, new[] { SmcErrorCode.BackupInterrupted, SmcErrorCode.ServerUnavailable });
            Assert.Equal(before, await lab.ObjectsAsync());
        }
        finally
        {
            await lab.Server.ResumeAsync();
        }
    }

    [Fact]
    public async Task Backup_OldProgram_IsRefusedWithARecommendation_Trap43()
    {
        string directory = lab.NewPath();
        Directory.CreateDirectory(directory);
        foreach (string program in new[] { "pg_dump", "pg_dumpall", "pg_restore", "psql" })
        {
            string path = Path.Combine(directory, program);
            await File.WriteAllTextAsync(path, $"#!/bin/sh\necho '{program} (PostgreSQL) 14.9'\n");
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => lab.BackupAsync(new LogicalBackupOptions { BinDirectory = directory }));
        Assert.Equal(SmcErrorCode.VersionUnsupported, e.Code);
        Assert.Contains("14.9", e.Message, StringComparison.Ordinal);
        Assert.Contains("postgresql-client-", e.Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Backup_TruncatedOutputWithExitCodeZero_IsNoBackup()
    {
        string name = await lab.NewDatabaseAsync();
        List<string> before = await lab.ObjectsAsync();
        string directory = lab.NewPath();
        Directory.CreateDirectory(directory);
        foreach (string program in new[] { "pg_dump", "pg_dumpall", "pg_restore", "psql" })
        {
            string path = Path.Combine(directory, program);
            string real = PostgresPrograms.PathOf(program);
            await File.WriteAllTextAsync(path, program == "pg_dump"
                ? $"#!/bin/sh\ncase \"$1\" in --version) exec {real} --version;; esac\n{real} \"$@\" | head -c 60000\nexit 0\n"
                : $"#!/bin/sh\nexec {real} \"$@\"\n");
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        SmcException e = await Assert.ThrowsAsync<SmcException>(
            () => lab.BackupAsync(new LogicalBackupOptions { Databases = [name], BinDirectory = directory }));
        Assert.Equal(SmcErrorCode.VerificationFailed, e.Code);
        Assert.Equal(before, await lab.ObjectsAsync());
    }

    [Fact]
    public async Task Backup_Arguments_HoldNoPassword()
    {
        string name = await lab.NewDatabaseAsync(rows: 100_000);
        string? command = null;
        string? environment = null;
        RecordingObserver observer = new()
        {
            At = (1, () =>
            {
                int id = Find("pg_dump", name).First();
                command = File.ReadAllText($"/proc/{id}/cmdline");
                environment = File.ReadAllText($"/proc/{id}/environ");
            }),
        };
        await lab.BackupAsync(new LogicalBackupOptions { Databases = [name] }, observer);
        Assert.Contains(name, command, StringComparison.Ordinal);
        Assert.Contains("PGPASSFILE=", environment, StringComparison.Ordinal);
        Assert.DoesNotContain(lab.Server.Password, command, StringComparison.Ordinal);
        Assert.DoesNotContain(lab.Server.Password, environment, StringComparison.Ordinal);
    }

    internal static List<int> Find(string program, string database)
    {
        List<int> found = [];
        foreach (Process process in Process.GetProcessesByName(program))
        {
            using (process)
            {
                try
                {
                    if (File.ReadAllText(FormattableString.Invariant($"/proc/{process.Id}/cmdline")).Contains(database, StringComparison.Ordinal))
                    {
                        found.Add(process.Id);
                    }
                }
                catch (IOException)
                {
                    // It has ended.
                }
            }
        }

        return found;
    }

    internal static void Kill(string program, string database)
    {
        foreach (int id in Find(program, database))
        {
            using Process process = Process.GetProcessById(id);
            process.Kill();
        }
    }
}
