using System.Globalization;
using Npgsql;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.BaseBackups;

public class BaseBackupTests
{
    protected virtual bool ReadLocally => true;

    [Fact]
    public async Task RunAsync_UnderWriteLoad_IsRecoveredToTheSameContent_Trap6()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync(
            """
            CREATE TABLE big AS SELECT i AS id, md5(i::text) AS a, repeat(md5((i * 7)::text), 4) AS b FROM generate_series(1, 200000) i;
            CREATE INDEX ON big (a);
            CREATE TABLE load (id bigserial PRIMARY KEY, filler text);
            CREATE TABLE dropped AS SELECT repeat('x', 500) FROM generate_series(1, 20000);
            CREATE UNLOGGED TABLE unlogged AS SELECT generate_series(1, 1000) AS i;
            """);
        using CancellationTokenSource enough = new();
        Task<int>[] writers = [.. Enumerable.Range(0, 2).Select(_ => Task.Run(() => WriteAsync(lab.Server, enough.Token)))];
        await using NpgsqlConnection temporary = await lab.Server.OpenAsync();
        await using (NpgsqlCommand command = new("CREATE TEMP TABLE temporary AS SELECT generate_series(1, 1000)", temporary))
        {
            await command.ExecuteNonQueryAsync();
        }

        RecordingObserver observer = new()
        {
            At = (5_000_000, () => lab.Server.ExecuteAsync("DROP TABLE dropped; CHECKPOINT").GetAwaiter().GetResult()),
        };

        BackupInfo info = await lab.BackupAsync(observer: observer);

        await enough.CancelAsync();
        int written = (await Task.WhenAll(writers)).Sum();
        string unloggedFile = await lab.Server.ScalarAsync<string>("SELECT pg_relation_filepath('unlogged')");
        string unloggedIndex = await lab.Server.ScalarAsync<string>("SELECT pg_relation_filepath('pg_class')");
        await lab.ArchiveAllAsync();
        (_, Manifest manifest) = await lab.OpenAsync(info.Id);
        Dictionary<string, ManifestEntry> entries = manifest.Entries.ToDictionary(static entry => entry.Path);

        // What must not be there, and the directories that must.
        Assert.Equal(unloggedFile + "_init", Assert.Single(entries.Keys, path => path.StartsWith(unloggedFile, StringComparison.Ordinal)));
        Assert.Contains(unloggedIndex, entries.Keys);
        Assert.DoesNotContain(entries.Keys, static path => path.Contains("/t3_", StringComparison.Ordinal) || path.Contains("/pg_internal.init", StringComparison.Ordinal));
        Assert.DoesNotContain(entries.Values, static entry => System.Text.RegularExpressions.Regex.IsMatch(entry.Path, @"/t\d+_\d+"));
        Assert.DoesNotContain("postmaster.pid", entries.Keys);
        foreach (string directory in (string[])["pg_wal", "pg_wal/archive_status", "pg_replslot", "pg_notify", "pg_subtrans", "pg_tblspc", "pg_twophase", "pg_commit_ts"])
        {
            Assert.Equal(ManifestEntryKind.Directory, entries[directory].Kind);
            Assert.Equal(0x1C0, entries[directory].Mode);
        }

        Assert.DoesNotContain(entries.Values, static entry => entry.Kind == ManifestEntryKind.File && entry.Path.StartsWith("pg_wal/", StringComparison.Ordinal));
        Assert.Contains("pg_xact/0000", entries.Keys);
        Assert.Equal(info.StartLsn, manifest.Header.Database!.StartLsn.ToString());
        Assert.True(manifest.Header.Database.StopLsn > manifest.Header.Database.StartLsn);
        Assert.Equal(0, info.PageChecksumErrors);
        Assert.Equal("Complete", info.State);
        Assert.Equal(observer.Progresses.Max(static p => p.Total), observer.Progresses.Where(static p => p.Total is not null).Max(static p => p.Done));
        Assert.True(Assert.Single(observer.Progresses, static p => p.IsCompleted) == observer.Progresses.Last());

        string target = lab.NewPath();
        BaseRestoreResult result = await lab.RestoreAsync(info.Id, new BaseRestoreTarget { DataDirectory = target });
        Assert.Equal(manifest.Header.FileCount, result.FileCount);
        Assert.False(File.Exists(Path.Combine(target, "smcdr-restore.json")));
        await using PostgresServer restored = await lab.RecoverAsync(target);
        foreach (string table in (string[])["big", "load", "pg_class"])
        {
            string sql = $"SELECT count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {table} t";
            Assert.Equal(await lab.Server.ScalarAsync<string>(sql), await restored.ScalarAsync<string>(sql));
        }

        Assert.Equal((long)written, await restored.ScalarAsync<long>("SELECT count(*) FROM load"));
        Assert.Equal(0L, await restored.ScalarAsync<long>("SELECT count(*) FROM unlogged"));
        Assert.True(await restored.ScalarAsync<bool>("SELECT to_regclass('dropped') IS NULL"));
        await PostgresPrograms.RunAsync(
            "pg_amcheck", ["-h", "127.0.0.1", "-p", Port(restored), "-U", "postgres", "--install-missing", "--heapallindexed", "postgres"], restored.Password);
        await restored.StopAsync();
        await PostgresPrograms.RunAsync("pg_checksums", ["--check", "-D", target]);
        Assert.Equal(0, await lab.SessionCountAsync());
    }

    [Fact]
    public async Task RunAsync_WithTablespace_IsRestoredElsewhere()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        string location = lab.NewServerDirectory();
        string foreign = Directory.CreateDirectory(Path.Combine(location, "PG_99_1")).FullName;
        await File.WriteAllTextAsync(Path.Combine(foreign, "1"), "another cluster's");
        await lab.Server.ExecuteAsync($"CREATE TABLESPACE fast LOCATION '{location}'");
        await lab.Server.ExecuteAsync("CREATE TABLE t TABLESPACE fast AS SELECT i, repeat('x', 100) AS b FROM generate_series(1, 30000) i");

        BackupInfo info = await lab.BackupAsync();
        await lab.ArchiveAllAsync();
        (_, Manifest manifest) = await lab.OpenAsync(info.Id);
        TablespaceDetails tablespace = Assert.Single(manifest.Header.Database!.Tablespaces);
        Assert.Equal(("fast", location), (tablespace.Name, tablespace.Location));
        Assert.DoesNotContain(manifest.Entries, static entry => entry.Path.Contains("PG_99_1", StringComparison.Ordinal));

        string target = lab.NewPath();
        string moved = lab.NewPath();
        // Not given: it would go where the running server has it.
        SmcException taken = await Assert.ThrowsAsync<SmcException>(
            () => lab.RestoreAsync(info.Id, new BaseRestoreTarget { DataDirectory = target }));
        Assert.Equal(SmcErrorCode.TargetNotEmpty, taken.Code);
        Assert.Equal(location, taken.Target);
        Assert.False(Directory.Exists(target));
        SmcException inside = await Assert.ThrowsAsync<SmcException>(() => lab.RestoreAsync(
            info.Id,
            new BaseRestoreTarget { DataDirectory = target, Tablespaces = new Dictionary<uint, string> { [tablespace.Oid] = Path.Combine(target, "x") } }));
        Assert.Equal(SmcErrorCode.TargetUnsuitable, inside.Code);

        await lab.RestoreAsync(
            info.Id,
            new BaseRestoreTarget { DataDirectory = target, Tablespaces = new Dictionary<uint, string> { [tablespace.Oid] = moved } });

        Assert.Equal(
            $"{tablespace.Oid} {moved}\n", await File.ReadAllTextAsync(Path.Combine(target, "tablespace_map")));
        await using PostgresServer restored = await lab.RecoverAsync(target);
        Assert.Equal(moved, await restored.ScalarAsync<string>("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'"));
        Assert.Equal(30000L, await restored.ScalarAsync<long>("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task RestoreFilesAsync_TwoTablespacesToOnePath_IsRefused_Trap12()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync($"CREATE TABLESPACE one LOCATION '{lab.NewServerDirectory()}'");
        await lab.Server.ExecuteAsync($"CREATE TABLESPACE two LOCATION '{lab.NewServerDirectory()}'");
        BackupInfo info = await lab.BackupAsync();
        (_, Manifest manifest) = await lab.OpenAsync(info.Id);
        string target = lab.NewPath();
        string shared = lab.NewServerDirectory();
        string link = Path.Combine(lab.NewServerDirectory(), "link");
        Directory.CreateSymbolicLink(link, shared);
        uint[] oids = [.. manifest.Header.Database!.Tablespaces.Select(static t => t.Oid)];

        foreach (string second in (string[])[shared, shared + "/", Path.Combine(shared, "below"), link, Path.Combine(link, "below")])
        {
            SmcException refused = await Assert.ThrowsAsync<SmcException>(() => lab.RestoreAsync(
                info.Id,
                new BaseRestoreTarget
                {
                    DataDirectory = target,
                    Tablespaces = new Dictionary<uint, string> { [oids[0]] = shared, [oids[1]] = second },
                }));
            Assert.Equal(SmcErrorCode.TargetUnsuitable, refused.Code);
        }

        Assert.False(Directory.Exists(target));
    }

    [Fact]
    public async Task RunAsync_DamagedPage_IsNamedAndTheBackupKeptAndMarked_Trap7()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, repeat('x', 400) AS b FROM generate_series(1, 60000) i; CREATE TABLE s AS SELECT 1 AS i");
        string big = await lab.Server.ScalarAsync<string>("SELECT pg_relation_filepath('t')");
        string small = await lab.Server.ScalarAsync<string>("SELECT pg_relation_filepath('s')");
        await lab.Server.StopAsync();
        Damage(Path.Combine(lab.Server.DataDirectory, big), (8192 * 700) + 5000);
        Damage(Path.Combine(lab.Server.DataDirectory, small), 8000);
        // A position that no WAL has reached is no excuse either.
        using (FileStream stream = new(Path.Combine(lab.Server.DataDirectory, big), FileMode.Open))
        {
            stream.Position = 8192 * 1300;
            stream.Write([0x7F, 0, 0, 0, 0, 0, 0, 0]);
        }

        await lab.Server.ResumeAsync();
        RecordingObserver observer = new();

        BackupInfo info = await lab.BackupAsync(observer: observer);

        Assert.Equal(3, info.PageChecksumErrors);
        BackupReader reader = await lab.Repository.OpenBackupAsync(Component.Database, info.Id, CancellationToken.None);
        Assert.Equal(
            new[] { $"{small} block 0", $"{big} block 1300", $"{big} block 700" }.Order(StringComparer.Ordinal),
            reader.Header.Database!.DamagedPages);
        Assert.Contains(observer.Warnings, warning => warning.Contains($"{big} block 700", StringComparison.Ordinal));
    }

    [Fact]
    public async Task RunAsync_SessionKilled_IsInterruptedAndLeavesNothing_Trap2()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, repeat(md5(i::text), 10) AS b FROM generate_series(1, 100000) i");
        RecordingObserver observer = new()
        {
            At = (1 << 20, () => lab.Server.ExecuteAsync(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'smcdr'").GetAwaiter().GetResult()),
        };

        SmcException interrupted = await Assert.ThrowsAsync<SmcException>(
            () => lab.BackupAsync(observer: observer, watchInterval: TimeSpan.FromMilliseconds(10)));

        Assert.Equal(SmcErrorCode.BackupInterrupted, interrupted.Code);
        Assert.Empty(await lab.BackupObjectsAsync());
        Assert.Empty(await ListAsync(lab));

        // Also where nobody asked meanwhile, the end notices.
        interrupted = await Assert.ThrowsAsync<SmcException>(() => lab.BackupAsync(
            observer: new RecordingObserver { At = observer.At }, watchInterval: TimeSpan.FromHours(1)));
        Assert.Equal(SmcErrorCode.BackupInterrupted, interrupted.Code);
        Assert.Empty(await lab.BackupObjectsAsync());
    }

    [Fact]
    public async Task RunAsync_ReaderKilled_GoesOn()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: false);
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, repeat(md5(i::text), 10) AS b FROM generate_series(1, 100000) i");
        RecordingObserver observer = new()
        {
            At = (1 << 20, () => lab.Server.ExecuteAsync(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'smcdr' AND query LIKE '%pg_read_binary_file%'")
                .GetAwaiter().GetResult()),
        };

        BackupInfo info = await lab.BackupAsync(observer: observer);

        Assert.Equal("Complete", info.State);
        Assert.Contains("terminating connection due to administrator command", await lab.Server.ReadLogAsync(), StringComparison.Ordinal);
        await lab.RestoreAsync(info.Id, new BaseRestoreTarget { DataDirectory = lab.NewPath() });
    }

    [Fact]
    public async Task RunAsync_Cancelled_LeavesNeitherObjectsNorSessions()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, repeat(md5(i::text), 10) AS b FROM generate_series(1, 100000) i");
        using CancellationTokenSource stop = new();
        RecordingObserver observer = new() { At = (1 << 20, stop.Cancel) };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => lab.BackupAsync(observer: observer, cancellationToken: stop.Token));

        Assert.Empty(await lab.BackupObjectsAsync());
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(lab.RepositoryDirectory), "*pack*", SearchOption.AllDirectories));
        await BackupLab.UntilAsync(async () => await lab.SessionCountAsync() == 0);
    }

    [Fact]
    public async Task RunAsync_RoleWithoutPrivileges_SaysWhatToGrantAndThatSuffices()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        string location = lab.NewServerDirectory();
        await lab.Server.ExecuteAsync($"CREATE TABLESPACE fast LOCATION '{location}'");
        await lab.Server.ExecuteAsync("CREATE TABLE t TABLESPACE fast AS SELECT 1 AS i; CREATE ROLE \"back-up\" LOGIN PASSWORD 'geheim'");
        PostgresConnector connector = new(
            new NpgsqlConnectionStringBuilder(lab.Server.ConnectionString) { Username = "back-up" }.ConnectionString,
            static _ => ValueTask.FromResult<string?>("geheim"));

        SmcException missing = await Assert.ThrowsAsync<SmcException>(() => lab.BackupAsync(connector: connector));

        Assert.Equal(SmcErrorCode.PrivilegeMissing, missing.Code);
        Assert.Contains("GRANT pg_read_all_settings TO \"back-up\"", missing.Message, StringComparison.Ordinal);
        Assert.Contains("pg_backup_start(text, boolean)", missing.Recommendation, StringComparison.Ordinal);
        Assert.Empty(await lab.BackupObjectsAsync());

        // What the message says is what helps.
        string grants = missing.Recommendation[missing.Recommendation.IndexOf("GRANT", StringComparison.Ordinal)..];
        await lab.Server.ExecuteAsync(grants);
        BackupInfo info = await lab.BackupAsync(connector: connector);
        (_, Manifest manifest) = await lab.OpenAsync(info.Id);
        Assert.Contains(manifest.Entries, static entry => entry.Path.StartsWith("pg_tblspc/", StringComparison.Ordinal) && entry.Size > 0);
        Assert.Equal(Path.GetFullPath(lab.Server.DataDirectory), manifest.Header.Database!.DataDirectory);
        Assert.Equal(info.Id, (await lab.BackupAsync(connector: connector)).Parent);

        await lab.Server.ExecuteAsync("REVOKE EXECUTE ON FUNCTION pg_backup_stop(boolean) FROM \"back-up\"");
        missing = await Assert.ThrowsAsync<SmcException>(() => lab.BackupAsync(connector: connector));
        Assert.Contains("GRANT EXECUTE ON FUNCTION pg_catalog.pg_backup_stop(boolean) TO", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_UnreadableFile_IsNotTakenForAVanishedOne_Trap6()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        string path = Path.Combine(lab.Server.DataDirectory, "base", "1", "99999");
        await File.WriteAllTextAsync(path, "root's alone");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.None);
        }

        SmcException unreadable = await Assert.ThrowsAsync<SmcException>(() => lab.BackupAsync());

        Assert.Equal(SmcErrorCode.PrivilegeMissing, unreadable.Code);
        Assert.Contains("base/1/99999", unreadable.Message, StringComparison.Ordinal);
        Assert.Empty(await lab.BackupObjectsAsync());
    }

    [Fact]
    public async Task RunAsync_Tls_WorksAndKeepsTheKeyPrivate()
    {
        await using BackupLab lab = await BackupLab.StartAsync(new PostgresServerOptions { Tls = true, Fsync = false }, ReadLocally);

        BackupInfo info = await lab.BackupAsync();

        (_, Manifest manifest) = await lab.OpenAsync(info.Id);
        // Certificate and key of this server lie beside the data directory.
        Assert.Contains(lab.Server.CertificatePath!, manifest.Header.Database!.OutsideFiles);
    }

    [Fact]
    public async Task RunAsync_SmallSegments_AndNoChecksums_WarnsAndRestores_Trap33()
    {
        await using BackupLab lab = await BackupLab.StartAsync(new PostgresServerOptions { DataChecksums = false, Fsync = false }, ReadLocally);
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
        RecordingObserver observer = new();

        BackupInfo info = await lab.BackupAsync(new BaseBackupOptions { Label = "Ω label", PackSize = 1 << 20, Codec = BlockCodec.None, Parallelism = 1 }, observer);

        Assert.Contains(observer.Warnings, static warning => warning.Contains("no data checksums", StringComparison.Ordinal));
        Assert.Contains(observer.Warnings, static warning => warning.Contains("fsync = off", StringComparison.Ordinal));
        await lab.ArchiveAllAsync();
        string target = lab.NewPath();
        await lab.RestoreAsync(info.Id, new BaseRestoreTarget { DataDirectory = target });
        byte[] label = await File.ReadAllBytesAsync(Path.Combine(target, "backup_label"));
        Assert.StartsWith("START WAL LOCATION: ", System.Text.Encoding.UTF8.GetString(label), StringComparison.Ordinal);
        Assert.Contains("\nLABEL: Ω label\n", System.Text.Encoding.UTF8.GetString(label), StringComparison.Ordinal);
        Assert.DoesNotContain((byte)'\r', label);
        await using PostgresServer restored = await lab.RecoverAsync(target);
        Assert.Equal(1000L, await restored.ScalarAsync<long>("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task RunAsync_LabelWithLineEnd_IsRefused()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);

        SmcException refused = await Assert.ThrowsAsync<SmcException>(
            () => lab.BackupAsync(new BaseBackupOptions { Label = "a\nSTART TIMELINE: 9" }));

        Assert.Equal(SmcErrorCode.ArgumentInvalid, refused.Code);
    }

    [Fact]
    public async Task RunAsync_WalDoesNotArrive_TimesOutAndLeavesNothing_Trap9()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync("ALTER SYSTEM SET archive_command = 'false'");
        await lab.Server.ExecuteAsync("SELECT pg_reload_conf()");

        SmcException late = await Assert.ThrowsAsync<SmcException>(
            () => lab.BackupAsync(new BaseBackupOptions { WalTimeout = TimeSpan.FromMilliseconds(300) }));

        Assert.Equal(SmcErrorCode.WalTimeout, late.Code);
        Assert.Empty(await lab.BackupObjectsAsync());
    }

    [Fact]
    public async Task RunAsync_LinkIntoItself_IsNamed()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        Directory.CreateSymbolicLink(Path.Combine(lab.Server.DataDirectory, "loop"), lab.Server.DataDirectory);

        SmcException endless = await Assert.ThrowsAsync<SmcException>(() => lab.BackupAsync());

        Assert.Equal(SmcErrorCode.SettingUnsuitable, endless.Code);
        Assert.Contains("loop/loop", endless.Message, StringComparison.Ordinal);
    }

    private static void Damage(string path, long position)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.ReadWrite);
        stream.Position = position;
        int value = stream.ReadByte();
        stream.Position = position;
        stream.WriteByte((byte)~value);
    }

    private static string Port(PostgresServer server) => server.Port.ToString(CultureInfo.InvariantCulture);

    private static async Task<List<BackupEntry>> ListAsync(BackupLab lab)
    {
        List<BackupEntry> result = [];
        await foreach (BackupEntry entry in lab.Repository.ListBackupsAsync(Component.Database, CancellationToken.None))
        {
            result.Add(entry);
        }

        return result;
    }

    /// <summary>Writes and updates until told to stop; returns how many rows it has inserted.</summary>
    private static async Task<int> WriteAsync(PostgresServer server, CancellationToken cancellationToken)
    {
        await using NpgsqlConnection connection = await server.OpenAsync();
        int count = 0;
        while (!cancellationToken.IsCancellationRequested)
        {
            await using NpgsqlCommand command = new(
                "INSERT INTO load (filler) VALUES (repeat('y', 200)); UPDATE big SET a = md5(a) WHERE id = 1 + (random() * 199999)::int",
                connection);
            await command.ExecuteNonQueryAsync(CancellationToken.None);
            count++;
        }

        return count;
    }
}
