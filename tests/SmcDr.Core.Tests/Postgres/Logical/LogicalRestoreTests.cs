using System.Globalization;
using Npgsql;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Postgres.Logical;

public sealed class LogicalRestoreTests(LogicalLab lab) : IClassFixture<LogicalLab>
{
    [Fact]
    public async Task Restore_NotEmptyWithoutClean_IsRefused()
    {
        string name = await lab.NewDatabaseAsync();
        BackupInfo backup = await lab.BackupAsync(name);
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => lab.PlanAsync(backup.Id));
        Assert.Equal(SmcErrorCode.TargetNotEmpty, e.Code);
        Assert.Contains("-Clean", e.Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Restore_TwiceWithCleanAndSessionsOpen_EndsThemAndIsTheSame()
    {
        string name = await lab.NewDatabaseAsync();
        string before = await lab.ContentAsync(name);
        BackupInfo backup = await lab.BackupAsync(name);
        for (int i = 0; i < 2; i++)
        {
            await using NpgsqlConnection session = await lab.Server.OpenAsync(name);
            await using NpgsqlCommand idle = new("BEGIN; LOCK TABLE sales.customer", session);
            await idle.ExecuteNonQueryAsync();
            DatabaseRestoreResult result = await lab.RestoreAsync(backup.Id, new LogicalRestoreOptions { Clean = true });
            Assert.Equal(["Create", "Restore", "Integrity report", "Put in place", "Drop the old database"], result.Steps.Select(static step => step.Name));
            Assert.All(result.Tables, static table => Assert.Equal("Passed", table.Outcome));
            Assert.Equal(500, result.Tables.Single(static table => table.Table == "customer").Inserted);
            Assert.Null(result.PreviousDatabase);
            await using NpgsqlCommand query = new("SELECT 1", session);
            await Assert.ThrowsAnyAsync<NpgsqlException>(() => query.ExecuteScalarAsync());
            Assert.Equal(before, await lab.ContentAsync(name));
        }
    }

    [Fact]
    public async Task Restore_EmptyDatabase_IsFilled()
    {
        string name = await lab.NewDatabaseAsync();
        BackupInfo backup = await lab.BackupAsync(name);
        string target = name + "e";
        await lab.Server.ExecuteAsync($"CREATE DATABASE {target}");
        LogicalRestorePlan plan = await lab.PlanAsync(backup.Id, new LogicalRestoreOptions { TargetDatabase = target });
        Assert.Equal(LogicalRestoreMode.Fill, plan.Items[0].Mode);
        Assert.False(plan.IsDestructive);
        await lab.RestoreAsync(backup.Id, new LogicalRestoreOptions { TargetDatabase = target });
        Assert.Equal(await lab.ContentAsync(name), await lab.ContentAsync(target));
    }

    [Fact]
    public async Task Restore_Properties_ComeBackWithTheDatabase_Trap43()
    {
        string name = await lab.NewDatabaseAsync();
        await lab.Server.ExecuteAsync("CREATE ROLE \"the Owner\"; CREATE ROLE guest");
        await lab.Server.ExecuteAsync($"""
            ALTER DATABASE {name} OWNER TO "the Owner";
            ALTER DATABASE {name} SET search_path TO sales, "$user", "Odd, name";
            ALTER DATABASE {name} SET work_mem TO '7MB';
            ALTER DATABASE {name} SET my_app.mode TO 'it''s \ on';
            ALTER DATABASE {name} SET default_transaction_read_only TO on;
            ALTER ROLE guest IN DATABASE {name} SET statement_timeout TO '3s';
            COMMENT ON DATABASE {name} IS 'orders \ ''2026''';
            ALTER DATABASE {name} CONNECTION LIMIT 17;
            REVOKE ALL ON DATABASE {name} FROM PUBLIC;
            GRANT CONNECT ON DATABASE {name} TO guest WITH GRANT OPTION;
            """);
        string before = await PropertiesAsync(name);
        BackupInfo backup = await lab.BackupAsync(name);
        await lab.Server.ExecuteAsync($"DROP DATABASE {name}");
        await lab.RestoreAsync(backup.Id);
        Assert.Equal(before, await PropertiesAsync(name));
        Assert.Contains("the Owner", before, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Restore_Table_BringsWhatBelongsToItAndNothingElse()
    {
        string name = await lab.NewDatabaseAsync();
        string before = await lab.ContentAsync(name);
        BackupInfo backup = await lab.BackupAsync(name);
        await lab.Server.ExecuteAsync("DROP TABLE sales.\"Order; -- 'odd'\"; UPDATE sales.customer SET name = 'kept'; DROP TABLE part", name);
        string kept = await lab.Server.ScalarAsync<string>("SELECT string_agg(DISTINCT name, ',') FROM sales.customer", name);
        DatabaseRestoreResult result = await lab.RestoreAsync(
            backup.Id, new LogicalRestoreOptions { Tables = ["sales.Order; -- 'odd'", "part"] });
        Assert.Equal("Verified", result.State);
        Assert.Equal(3, result.TableCount - result.Tables.Count(static table => table.Table is not ("Order; -- 'odd'" or "part_low" or "part_high")));
        Assert.Equal("kept", kept);

        // Key, foreign key, index, identity and trigger are there again: all but the customers' names is as it was.
        await lab.Server.ExecuteAsync("UPDATE sales.customer SET name = E'line one\\nline two \\\\ ' || id", name);
        Assert.Equal(Sorted(before), Sorted(await lab.ContentAsync(name)));

        SmcException there = await Assert.ThrowsAsync<SmcException>(() => lab.PlanAsync(backup.Id, new LogicalRestoreOptions { Tables = ["nothing"] }));
        Assert.Equal(SmcErrorCode.TargetNotEmpty, there.Code);
        SmcException unknown = await Assert.ThrowsAsync<SmcException>(() => lab.PlanAsync(backup.Id, new LogicalRestoreOptions { Tables = ["nosuch"] }));
        Assert.Equal(SmcErrorCode.ArgumentInvalid, unknown.Code);
    }

    [Fact]
    public async Task Restore_TableThatOthersNeed_FailsAndChangesNothing_Trap43()
    {
        string name = await lab.NewDatabaseAsync();
        BackupInfo backup = await lab.BackupAsync(name);
        await lab.Server.ExecuteAsync("DELETE FROM sales.\"Order; -- 'odd'\"; DELETE FROM sales.customer", name);
        string before = await lab.ContentAsync(name);
        SmcException e = await Assert.ThrowsAsync<SmcException>(
            () => lab.RestoreAsync(backup.Id, new LogicalRestoreOptions { Tables = ["sales.customer"], Clean = true }));
        Assert.Contains("depend", e.Message, StringComparison.Ordinal);
        Assert.Equal(before, await lab.ContentAsync(name));
    }

    [Fact]
    public async Task Restore_Schema_ReplacesItWithClean()
    {
        string name = await lab.NewDatabaseAsync();
        string before = await lab.ContentAsync(name);
        BackupInfo backup = await lab.BackupAsync(name);
        await lab.Server.ExecuteAsync("UPDATE sales.customer SET name = 'wrong'; DROP FUNCTION sales.touch() CASCADE", name);
        DatabaseRestoreResult result = await lab.RestoreAsync(backup.Id, new LogicalRestoreOptions { Schemas = ["sales"], Clean = true });
        Assert.Equal(2, result.TableCount);
        Assert.Equal(Sorted(before), Sorted(await lab.ContentAsync(name)));
    }

    [Fact]
    public async Task Restore_OtherServer_NeedsRolesAndGetsThemWithGlobals_Trap43()
    {
        string name = await lab.NewDatabaseAsync();
        await lab.Server.ExecuteAsync("CREATE ROLE app LOGIN PASSWORD 'secret'");
        await lab.Server.ExecuteAsync("CREATE EXTENSION pg_trgm; ALTER TABLE sales.customer OWNER TO app; SELECT lo_from_bytea(4711, 'large')", name);
        string before = await lab.ContentAsync(name);
        BackupInfo backup = await lab.BackupAsync(name);
        await using PostgresServer other = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false });
        PostgresConnector connector = other.CreateConnector();
        SmcException missing = await Assert.ThrowsAsync<SmcException>(() => lab.PlanAsync(backup.Id, connector: connector));
        Assert.Equal(SmcErrorCode.BackupUnsuitable, missing.Code);
        Assert.Contains("app", missing.Message, StringComparison.Ordinal);

        await lab.RestoreAsync(backup.Id, new LogicalRestoreOptions { NoOwner = true, TargetDatabase = "mine" }, connector: connector);
        Assert.Equal("postgres", await other.ScalarAsync<string>("SELECT tableowner::text FROM pg_tables WHERE tablename = 'customer'", "mine"));

        // The password of the user that restores stays, or the next connection would fail.
        RecordingObserver observer = new();
        await lab.RestoreAsync(backup.Id, new LogicalRestoreOptions { Globals = true }, observer, connector);
        Assert.Empty(observer.Warnings);
        Assert.Equal(before, await lab.ContentAsync(name, other));
        Assert.Equal(
            await lab.Server.ScalarAsync<string>("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'"),
            await other.ScalarAsync<string>("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'"));
    }

    [Fact]
    public async Task Restore_RoleWithoutRights_ChangesNothing()
    {
        string name = await lab.NewDatabaseAsync();
        BackupInfo backup = await lab.BackupAsync(name);
        await lab.Server.ExecuteAsync("CREATE ROLE weak LOGIN PASSWORD 'weak'");
        PostgresConnector weak = new(
            new NpgsqlConnectionStringBuilder(lab.Server.ConnectionString) { Username = "weak" }.ConnectionString, static _ => ValueTask.FromResult<string?>("weak"));
        string before = await lab.ContentAsync(name);
        HashSet<string> databases = await lab.DatabasesAsync();
        foreach (LogicalRestoreOptions options in new LogicalRestoreOptions[]
        {
            new() { Clean = true }, new() { TargetDatabase = "weak_new", NoOwner = true }, new() { Tables = ["nothing"], Clean = true },
        })
        {
            SmcException e = await Assert.ThrowsAsync<SmcException>(() => lab.RestoreAsync(backup.Id, options, connector: weak));
            Assert.Equal(SmcErrorCode.PrivilegeMissing, e.Code);
        }

        Assert.Equal(before, await lab.ContentAsync(name));
        Assert.Equal(databases, await lab.DatabasesAsync());
    }

    [Fact]
    public async Task Restore_ProgramKilledMidway_LeavesTheOldDatabaseAsItWas()
    {
        string name = await lab.NewDatabaseAsync(rows: 100_000);
        string before = await lab.ContentAsync(name);
        BackupInfo backup = await lab.BackupAsync(name);
        RecordingObserver observer = new() { At = (1, () => LogicalBackupTests.Kill("pg_restore", name)) };
        SmcException e = await Assert.ThrowsAsync<SmcException>(
            () => lab.RestoreAsync(backup.Id, new LogicalRestoreOptions { Clean = true }, observer));
        Assert.Equal(SmcErrorCode.RecoveryFailed, e.Code);
        Assert.Equal(before, await lab.ContentAsync(name));
        Assert.DoesNotContain(await lab.DatabasesAsync(), database => database.StartsWith(name + "_", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Restore_DamagedPack_LeavesTheOldDatabaseAsItWas()
    {
        string name = await lab.NewDatabaseAsync(rows: 100_000);
        string before = await lab.ContentAsync(name);
        BackupInfo backup = await lab.BackupAsync(name);
        // The end of the longest pack: the archive's contents, which the plan reads, stand at its beginning.
        string pack = Directory.GetFiles(Path.Combine(lab.RepositoryDirectory, "database", backup.Id), "pack-*").MaxBy(static path => new FileInfo(path).Length)!;
        File.SetUnixFileMode(pack, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await using (FileStream file = new(pack, FileMode.Open, FileAccess.ReadWrite))
        {
            file.Seek(-100, SeekOrigin.End);
            int value = file.ReadByte();
            file.Seek(-100, SeekOrigin.End);
            file.WriteByte((byte)(value ^ 1));
        }

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => lab.RestoreAsync(backup.Id, new LogicalRestoreOptions { Clean = true }));
        Assert.Equal(SmcErrorCode.ChecksumMismatch, e.Code);
        Assert.Equal(before, await lab.ContentAsync(name));
        Assert.DoesNotContain(await lab.DatabasesAsync(), database => database.StartsWith(name + "_", StringComparison.Ordinal));
    }

    [RootFact]
    public async Task Restore_ServerWithoutRoom_SaysSoAndLeavesTheOldDatabase()
    {
        string name = await lab.NewDatabaseAsync();
        using SmallFileSystem small = new();
        PostgresPrograms.GiveToServer(small.Path);
        File.SetUnixFileMode(Path.GetDirectoryName(small.Path)!, (UnixFileMode)0x1ED);
        await lab.Server.ExecuteAsync($"CREATE TABLESPACE small LOCATION '{small.Path}'");
        await lab.Server.ExecuteAsync(
            "CREATE TABLE on_small (a text) TABLESPACE small; INSERT INTO on_small SELECT repeat('y', 1000) FROM generate_series(1, 700)", name);
        string before = await lab.ContentAsync(name);
        BackupInfo backup = await lab.BackupAsync(name);
        try
        {
            foreach (int jobs in new[] { 1, 2 })
            {
                // One copy of the table fits there; a second does not, by half.
                await using (FileStream filler = File.Create(Path.Combine(small.Path, "filler")))
                {
                    filler.Write(new byte[900 << 10]);
                }

                SmcException e = await Assert.ThrowsAsync<SmcException>(
                    () => lab.RestoreAsync(backup.Id, new LogicalRestoreOptions { TargetDatabase = name + "s", Parallelism = jobs }));
                Assert.True(e.Code == SmcErrorCode.DiskSpaceInsufficient, e.Message);
                Assert.DoesNotContain(await lab.DatabasesAsync(), database => database.StartsWith(name + "s", StringComparison.Ordinal));
                Assert.Equal(before, await lab.ContentAsync(name));
            }
        }
        finally
        {
            await lab.Server.ExecuteAsync("ALTER TABLE on_small SET TABLESPACE pg_default", name);
            await lab.Server.ExecuteAsync("CHECKPOINT");
            await lab.Server.ExecuteAsync("DROP TABLESPACE small");
        }
    }

    [Fact]
    public async Task Restore_DatabaseThatTheBackupDoesNotHold_IsRefused()
    {
        string name = await lab.NewDatabaseAsync();
        BackupInfo backup = await lab.BackupAsync(name);
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => lab.PlanAsync(backup.Id, new LogicalRestoreOptions { Databases = ["other"] }));
        Assert.Equal(SmcErrorCode.BackupUnsuitable, e.Code);
        Assert.Contains(name, e.Message, StringComparison.Ordinal);
    }

    private static string Sorted(string dump) => string.Join('\n', dump.Split('\n')
        .Where(static line => !line.StartsWith("--", StringComparison.Ordinal)).Order(StringComparer.Ordinal));

    private Task<string> PropertiesAsync(string name) => lab.Server.ScalarAsync<string>(string.Create(CultureInfo.InvariantCulture, $"""
        SELECT concat_ws(' / ', pg_get_userbyid(d.datdba), d.datacl, d.datconnlimit, d.datcollate, shobj_description(d.oid, 'pg_database'),
            (SELECT string_agg(concat(s.setrole::regrole, s.setconfig), ' + ' ORDER BY s.setrole) FROM pg_db_role_setting s WHERE s.setdatabase = d.oid))
        FROM pg_database d WHERE d.datname = '{name}'
        """));
}
