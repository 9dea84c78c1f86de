using System.Security.Cryptography;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.BaseBackups;

public class IncrementalBackupTests
{
    protected virtual bool ReadLocally => true;

    private static readonly BaseBackupOptions s_full = new() { Full = true };

    [Fact]
    public async Task RunAsync_ChainOfFive_EachRestoresToWhatAFullOneHolds()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        PostgresServer server = lab.Server;
        string location = lab.NewServerDirectory();
        await server.ExecuteAsync(
            """
            CREATE EXTENSION amcheck;
            CREATE TABLE big (id int PRIMARY KEY, a text, b text) WITH (fillfactor = 90);
            INSERT INTO big SELECT i, md5(i::text), repeat(md5((i * 7)::text), 4) FROM generate_series(1, 60000) i;
            CREATE TABLE shrinking AS SELECT i, repeat('s', 200) AS s FROM generate_series(1, 40000) i;
            CREATE TABLE rewritten AS SELECT i, repeat('r', 200) AS s FROM generate_series(1, 20000) i;
            CREATE TABLE dropped AS SELECT i, repeat('d', 200) AS s FROM generate_series(1, 20000) i;
            CREATE UNLOGGED TABLE unlogged AS SELECT i, repeat('u', 200) AS s FROM generate_series(1, 20000) i;
            """);
        await server.ExecuteAsync("CREATE DATABASE early");
        // Whoever reads a row for the first time after its transaction may change its page, the backups themselves by reading catalogs.
        await server.ExecuteAsync("VACUUM");
        Age(server);
        BackupInfo first = await lab.BackupAsync();
        Assert.Equal(("Full", (string?)null, 0L), (first.Kind, first.Parent, first.ComparedBytes));
        string parent = first.Id;
        string[][] changes =
        [
            ["UPDATE big SET b = 'one' WHERE id % 400 = 7", "DROP TABLE dropped"],
            ["DELETE FROM shrinking WHERE i > 9000", "VACUUM shrinking", $"CREATE TABLESPACE fast LOCATION '{location}'",
                "CREATE TABLE spaced TABLESPACE fast AS SELECT i, md5(i::text) AS s FROM generate_series(1, 40000) i"],
            ["VACUUM FULL rewritten", "CREATE DATABASE late", "DROP DATABASE early", "UPDATE spaced SET s = 'two' WHERE i % 500 = 3"],
            ["INSERT INTO big SELECT i, 'three', repeat('x', 300) FROM generate_series(60001, 75000) i", "TRUNCATE unlogged"],
            ["UPDATE big SET a = 'four' WHERE id BETWEEN 1000 AND 12000", "DELETE FROM spaced WHERE i > 30000", "VACUUM spaced"],
        ];
        for (int round = 0; round < changes.Length; round++)
        {
            foreach (string sql in changes[round])
            {
                await server.ExecuteAsync(sql);
            }

            await server.ExecuteAsync("VACUUM");
            await server.ExecuteAsync("CHECKPOINT");
            BackupInfo increment = await lab.BackupAsync();
            BackupInfo full = await lab.BackupAsync(s_full);

            Assert.Equal(("Incremental", parent), (increment.Kind, increment.Parent));
            Assert.Equal("Full", full.Kind);
            Assert.InRange(increment.SentBytes!.Value, 1, full.SentBytes!.Value / 2);
            Assert.InRange(increment.StoredBytes!.Value, 1, full.StoredBytes!.Value * 3 / 4);
            Dictionary<string, string> expected = await FilesAsync(lab, full.Id);
            Dictionary<string, string> found = await FilesAsync(lab, increment.Id);
            Assert.Equal(expected.Keys.Order(), found.Keys.Order());
            Assert.Empty(expected.Where(file => found[file.Key] != file.Value).Select(static file => file.Key));

            // The next builds on the full one of the same state; so that the chain goes on, that one is taken away.
            await RemoveAsync(lab, full.Id);
            parent = increment.Id;
            if (round % 2 == 0)
            {
                Age(server);
            }
        }

        (_, Manifest last) = await lab.OpenAsync(parent);
        Assert.Equal(6, last.Packs.Select(static pack => pack.BackupId).Distinct().Count());
        await lab.ArchiveAllAsync();
        TablespaceDetails tablespace = Assert.Single(last.Header.Database!.Tablespaces);
        string target = lab.NewPath();
        await lab.RestoreAsync(
            parent,
            new BaseRestoreTarget { DataDirectory = target, Tablespaces = new Dictionary<uint, string> { [tablespace.Oid] = lab.NewPath() } });
        await using PostgresServer restored = await lab.RecoverAsync(target);
        foreach (string table in (string[])["big", "shrinking", "rewritten", "spaced", "pg_class"])
        {
            string sql = $"SELECT count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {table} t";
            Assert.Equal(await server.ScalarAsync<string>(sql), await restored.ScalarAsync<string>(sql));
        }

        Assert.Equal(0L, await restored.ScalarAsync<long>("SELECT count(*) FROM unlogged"));
        await restored.ExecuteAsync("SELECT bt_index_parent_check('big_pkey', true, true)");
        await restored.StopAsync();
        await PostgresPrograms.RunAsync("pg_checksums", ["--check", "-D", target]);
    }

    [Fact]
    public async Task RunAsync_UnderWriteLoad_IsRecoveredToTheSameContent()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync(
            """
            CREATE TABLE big AS SELECT i AS id, md5(i::text) AS a, repeat(md5((i * 7)::text), 4) AS b FROM generate_series(1, 100000) i;
            CREATE TABLE dropped AS SELECT repeat('x', 500) FROM generate_series(1, 20000);
            CREATE TABLE truncated AS SELECT repeat('x', 500) FROM generate_series(1, 40000);
            """);
        BackupInfo full = await lab.BackupAsync();
        using CancellationTokenSource enough = new();
        Task load = Task.Run(async () =>
        {
            for (int i = 1; !enough.IsCancellationRequested; i++)
            {
                await lab.Server.ExecuteAsync($"UPDATE big SET a = 'x{i}' WHERE id % 97 = {i % 97}");
            }
        });
        RecordingObserver observer = new()
        {
            At = (5_000_000, () => lab.Server
                .ExecuteAsync("DROP TABLE dropped; DELETE FROM truncated WHERE ctid > '(100,1)'; CHECKPOINT").GetAwaiter().GetResult()),
        };

        BackupInfo info = await lab.BackupAsync(observer: observer);

        await enough.CancelAsync();
        await load;
        Assert.Equal(full.Id, info.Parent);
        Assert.Equal(0, info.PageChecksumErrors);
        Assert.Equal(observer.Progresses.Max(static p => p.Total), observer.Progresses.Where(static p => p.Total is not null).Max(static p => p.Done));
        await lab.ArchiveAllAsync();
        string target = lab.NewPath();
        await lab.RestoreAsync(info.Id, new BaseRestoreTarget { DataDirectory = target });
        await using PostgresServer restored = await lab.RecoverAsync(target);
        foreach (string table in (string[])["big", "truncated"])
        {
            string sql = $"SELECT count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0) FROM {table} t";
            Assert.Equal(await lab.Server.ScalarAsync<string>(sql), await restored.ScalarAsync<string>(sql));
        }

        await restored.StopAsync();
        await PostgresPrograms.RunAsync("pg_checksums", ["--check", "-D", target]);
    }

    /// <summary>File times count seconds: what is changed in the second in which it was copied looks as if it were not.</summary>
    [Theory]
    [InlineData(1000)]
    [InlineData(3 << 20)]
    public async Task RunAsync_ChangedInTheSecondOfTheCopy_IsNotMissed_Trap8(int size)
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        DateTime now = Whole(DateTime.UtcNow);
        WriteFile(lab, "young", size, 1, now);
        string old = WriteFile(lab, "old", size, 1, now.AddHours(-1));
        await lab.BackupAsync();
        string young = WriteFile(lab, "young", size, 2, now);
        WriteFile(lab, "old", size, 2, now.AddHours(-1));

        BackupInfo info = await lab.BackupAsync();

        Dictionary<string, string> files = await FilesAsync(lab, info.Id);
        Assert.Equal(young, files["young"]);
        // With a time that proves that it was not changed, a file is not even looked at: this is what the other one was in danger of.
        Assert.Equal(old, files["old"]);
        Assert.Equal("Incremental", info.Kind);
    }

    [Fact]
    public void TimeLimit_ServersClockWasSet_IsNone()
    {
        DateTimeOffset start = new(2026, 11, 23, 10, 0, 0, 700, TimeSpan.Zero);
        DatabaseBackupDetails parent = Details(start);
        DateTimeOffset later = start.AddDays(1);

        // The whole second, and the margin.
        Assert.Equal(start.AddSeconds(-2.7), BackupParent.TimeLimit(parent, new ServerClock(later, later, later)));
        // Set back behind the parent's end, and set back by an hour but ahead of it again.
        Assert.Null(BackupParent.TimeLimit(parent, new ServerClock(start.AddSeconds(5), start.AddSeconds(5), start)));
        Assert.Null(BackupParent.TimeLimit(parent, new ServerClock(later.AddHours(-1), later, later)));
        Assert.Null(BackupParent.TimeLimit(parent, new ServerClock(later.AddSeconds(3), later, later)));
        Assert.Null(BackupParent.TimeLimit(parent with { CopyStartTime = null }, new ServerClock(later, later, later)));
        // The file system's clock is another machine's, and behind.
        Assert.Equal(start.AddSeconds(-10), new ServerClock(start, start, start.AddSeconds(-10)).Earliest);
    }

    [Fact]
    public async Task RunAsync_ParentDamaged_BuildsOnAnOlderOneOrOnNone()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 30000) i");
        BackupInfo full = await lab.BackupAsync();
        BackupInfo second = await lab.BackupAsync();
        BackupInfo third = await lab.BackupAsync();
        Assert.Equal((full.Id, second.Id), (second.Parent, third.Parent));

        Delete(lab, third.Id, "pack-000001");
        Flip(lab, second.Id, "manifest");
        RecordingObserver observer = new();
        BackupInfo fourth = await lab.BackupAsync(observer: observer);
        Assert.Equal(full.Id, fourth.Parent);
        Assert.Contains(observer.Warnings, warning => warning.Contains(third.Id, StringComparison.Ordinal) && warning.Contains("pack-000001", StringComparison.Ordinal));
        Assert.Contains(observer.Warnings, warning => warning.Contains(second.Id, StringComparison.Ordinal) && warning.Contains("manifest", StringComparison.Ordinal));

        Flip(lab, fourth.Id, "complete");
        Delete(lab, full.Id, "pack-000001");
        observer = new RecordingObserver();
        BackupInfo fifth = await lab.BackupAsync(observer: observer);
        Assert.Equal(("Full", (string?)null), (fifth.Kind, fifth.Parent));
        Assert.Contains(observer.Warnings, static warning => warning.StartsWith("No earlier backup can be built on", StringComparison.Ordinal));
        Assert.Equal(await FilesAsync(lab, fifth.Id), await FilesAsync(lab, (await lab.BackupAsync()).Id));
    }

    [Fact]
    public async Task RunAsync_ParentOfAnEncryptedRepositoryDamaged_IsNoReasonForHavingNoBackup()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 60000) i");
        BackupInfo full = await lab.BackupAsync();
        BackupInfo second = await lab.BackupAsync();
        (_, Manifest manifest) = await lab.OpenAsync(full.Id);
        HashSet<string> hashes = [.. manifest.Entries.SelectMany(static entry => entry.Extents)
            .Select(static extent => extent.Block?.PageHashes?.Block.Pack.Key).OfType<string>()];
        Repository repository = await Repository.OpenAsync(
            new HookedObjectStore(lab.Repository.Store, (operation, key) => operation != "read" ? Task.CompletedTask
                : key == RepositoryKeys.Manifest(Component.Database, second.Id)
                    ? throw new SmcException(SmcErrorCode.ObjectSwapped, $"The object '{key}' is another one's.")
                : hashes.Contains(key)
                    ? throw new SmcException(SmcErrorCode.FramesReordered, $"The object '{key}' is in disorder.")
                : Task.CompletedTask),
            CancellationToken.None);

        RecordingObserver observer = new();
        BackupInfo third = await lab.BackupAsync(observer: observer, repository: repository);
        Assert.Equal(full.Id, third.Parent);
        Assert.Contains(observer.Warnings, warning => warning.StartsWith($"The backup '{second.Id}' cannot be built on", StringComparison.Ordinal));
        Assert.Contains(observer.Warnings, static warning => warning.StartsWith("Hashes of pages cannot be read", StringComparison.Ordinal));
        Assert.Equal(await FilesAsync(lab, (await lab.BackupAsync(s_full)).Id), await FilesAsync(lab, third.Id));
    }

    [Fact]
    public async Task RunAsync_HashBlockDamaged_CopiesItsPagesAgainAndSaysSo()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 60000) i");
        BackupInfo full = await lab.BackupAsync();
        (_, Manifest manifest) = await lab.OpenAsync(full.Id);
        foreach (BlockReference hashes in manifest.Entries.SelectMany(static entry => entry.Extents)
            .Select(static extent => extent.Block?.PageHashes?.Block).OfType<BlockReference>().Distinct())
        {
            Flip(lab, full.Id, Path.GetFileName(hashes.Pack.Key), hashes.Offset);
        }

        RecordingObserver observer = new();
        BackupInfo info = await lab.BackupAsync(observer: observer);

        Assert.Equal(full.Id, info.Parent);
        Assert.Contains(observer.Warnings, static warning => warning.StartsWith("Hashes of pages cannot be read", StringComparison.Ordinal));
        Assert.InRange(info.SentBytes!.Value, 3_000_000, long.MaxValue);
        Assert.Equal(await FilesAsync(lab, (await lab.BackupAsync(s_full)).Id), await FilesAsync(lab, info.Id));
    }

    [Fact]
    public async Task RunAsync_ParentRemovedAfterTheClaim_ChoosesAnother()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        BackupInfo full = await lab.BackupAsync();
        BackupInfo second = await lab.BackupAsync();
        // The one who removes has taken the marker away, and looks for claims only then.
        RecordingObserver observer = new();
        bool removed = false;
        BackupInfo third = await BaseBackup.RunAsync(
            lab.Server.CreateConnector(),
            await Repository.OpenAsync(
                new HookedStore(lab.Repository.Store, key =>
                {
                    if (key.EndsWith("/started", StringComparison.Ordinal) && !removed)
                    {
                        removed = true;
                        Delete(lab, second.Id, "complete");
                    }
                }),
                CancellationToken.None),
            new BaseBackupOptions { ReadLocally = ReadLocally },
            observer,
            CancellationToken.None);

        Assert.Equal(full.Id, third.Parent);
        Assert.Contains(observer.Warnings, warning => warning.Contains($"'{second.Id}' was removed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task RunAsync_PacksLostMeanwhile_IsNotCompleted()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 30000) i");
        BackupInfo full = await lab.BackupAsync();
        RecordingObserver observer = new() { At = (1, () => Delete(lab, full.Id, "pack-000001")) };
        SmcException lost = await Assert.ThrowsAsync<SmcException>(() => lab.BackupAsync(observer: observer));
        Assert.Equal(SmcErrorCode.ObjectNotFound, lost.Code);
        Assert.DoesNotContain(await lab.BackupObjectsAsync(), static key => key.Contains("-incremental/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task RunAsync_AfterRecoveryToANewTimeline_BuildsOnWhatTheServerHasPassed()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) AS s FROM generate_series(1, 60000) i");
        Age(lab.Server);
        BackupInfo before = await lab.BackupAsync();
        await lab.ArchiveAllAsync();
        string target = lab.NewPath();
        await lab.RestoreAsync(before.Id, new BaseRestoreTarget { DataDirectory = target });
        await using PostgresServer restored = await lab.RecoverAsync(target);
        // The old server goes on, which the new one is no descendant of.
        await lab.Server.ExecuteAsync("UPDATE t SET s = 'old' WHERE i % 100 = 0");
        BackupInfo after = await lab.BackupAsync();
        Assert.Equal(before.Id, after.Parent);
        await restored.ExecuteAsync("UPDATE t SET s = 'new' WHERE i % 1000 = 0");

        RecordingObserver observer = new();
        BackupInfo info = await BaseBackup.RunAsync(
            restored.CreateConnector(), lab.Repository, new BaseBackupOptions { ReadLocally = ReadLocally }, observer, CancellationToken.None);

        Assert.Equal(("Incremental", before.Id, 2), (info.Kind, info.Parent, info.Timeline));
        Assert.Equal(0, info.UnchangedFileCount);
        Assert.Contains(observer.Verboses, verbose => verbose.Contains($"'{after.Id}' is not built on", StringComparison.Ordinal));
        Assert.InRange(info.SentBytes!.Value, 1, before.SentBytes!.Value / 2);
        await restored.ExecuteAsync("CHECKPOINT");
        BackupInfo full = await BaseBackup.RunAsync(restored.CreateConnector(), lab.Repository, s_full, observer, CancellationToken.None);
        Assert.Equal(await FilesAsync(lab, full.Id), await FilesAsync(lab, info.Id));
    }

    [Fact]
    public async Task RunAsync_ServerRestarted_SkipsUnchangedFiles()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) AS s FROM generate_series(1, 60000) i");
        await lab.Server.ExecuteAsync("VACUUM");
        await lab.Server.ExecuteAsync("CHECKPOINT");
        Age(lab.Server);
        await lab.BackupAsync();
        await lab.Server.RestartAsync();

        BackupInfo info = await lab.BackupAsync();

        Assert.InRange(info.UnchangedFileCount!.Value, info.FileCount!.Value * 8 / 10, info.FileCount.Value);
        Assert.InRange(info.SentBytes!.Value, 1, info.SizeBytes!.Value / 20);
        Assert.Equal(await FilesAsync(lab, (await lab.BackupAsync(s_full)).Id), await FilesAsync(lab, info.Id));
    }

    [Fact]
    public async Task RunAsync_DamagedPageOfTheParent_IsNamedAgain()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) AS s FROM generate_series(1, 60000) i");
        string path = await lab.Server.ScalarAsync<string>("SELECT pg_relation_filepath('t')");
        await lab.Server.ExecuteAsync("CHECKPOINT");
        await lab.Server.StopAsync();
        using (FileStream stream = new(Path.Combine(lab.Server.DataDirectory, path), FileMode.Open))
        {
            stream.Position = (5 * 8192) + 4000;
            stream.Write([1, 2, 3]);
        }

        await lab.Server.ResumeAsync();
        Age(lab.Server);
        BackupInfo full = await lab.BackupAsync();
        BackupInfo info = await lab.BackupAsync();

        Assert.Equal((1, 1, full.Id), (full.PageChecksumErrors, info.PageChecksumErrors, info.Parent));
    }

    [Fact]
    public async Task RunAsync_FullWanted_OrDue_IsFull()
    {
        await using BackupLab lab = await BackupLab.StartAsync(readLocally: ReadLocally);
        await lab.BackupAsync();
        Assert.Equal("Incremental", (await lab.BackupAsync()).Kind);
        Assert.Equal("Full", (await lab.BackupAsync(s_full)).Kind);
        Assert.Equal("Incremental", (await lab.BackupAsync(new BaseBackupOptions { FullInterval = TimeSpan.FromMinutes(10) })).Kind);
        Assert.Equal("Full", (await lab.BackupAsync(new BaseBackupOptions { FullInterval = TimeSpan.FromTicks(1) })).Kind);
    }

    private static DatabaseBackupDetails Details(DateTimeOffset start) => new()
    {
        SystemId = "1",
        ServerVersionNumber = 150008,
        ServerVersion = "15.8",
        Timeline = 1,
        StartLsn = Lsn.Parse("0/2000028"),
        StopLsn = Lsn.Parse("0/2000100"),
        CopyStartTime = start,
        StopTime = start.AddSeconds(20),
        StopTimeHere = start.AddSeconds(20),
        WalSegmentSize = 16 << 20,
        BlockSize = 8192,
        WalBlockSize = 8192,
        RelationSegmentBlocks = 131072,
        DataChecksums = true,
        DirectoryMode = 0x1C0,
        DataDirectory = "/data",
    };

    /// <summary>Gives all files a time at which they are old enough to be believed.</summary>
    private static void Age(PostgresServer server)
    {
        server.ExecuteAsync("CHECKPOINT").GetAwaiter().GetResult();
        DateTime time = Whole(DateTime.UtcNow).AddHours(-1);
        foreach (string path in Directory.EnumerateFiles(Path.Combine(server.DataDirectory, "base"), "*", SearchOption.AllDirectories)
            .Concat(Directory.EnumerateFiles(Path.Combine(server.DataDirectory, "global"))))
        {
            File.SetLastWriteTimeUtc(path, time);
        }
    }

    private static DateTime Whole(DateTime time) => new(time.Ticks - (time.Ticks % TimeSpan.TicksPerSecond), DateTimeKind.Utc);

    /// <summary>Writes a file into the data directory; returns what <see cref="FilesAsync"/> says of such content.</summary>
    private static string WriteFile(BackupLab lab, string name, int size, byte content, DateTime time)
    {
        string path = Path.Combine(lab.Server.DataDirectory, name);
        File.WriteAllBytes(path, [.. Enumerable.Repeat(content, size)]);
        File.SetLastWriteTimeUtc(path, time);
        PostgresPrograms.GiveToServer(path);
        return $"{size} {content}";
    }

    /// <summary>Restores the files of a backup: the digest of each, but of those that no two backups have the same.</summary>
    private static async Task<Dictionary<string, string>> FilesAsync(BackupLab lab, string id)
    {
        string target = lab.NewPath();
        (_, Manifest manifest) = await lab.OpenAsync(id);
        Dictionary<uint, string> tablespaces = manifest.Header.Database!.Tablespaces.ToDictionary(static t => t.Oid, _ => lab.NewPath());
        await lab.RestoreAsync(id, new BaseRestoreTarget { DataDirectory = target, Tablespaces = tablespaces });
        Dictionary<string, string> result = [];
        foreach ((string prefix, string root) in tablespaces.Select(static t => ($"pg_tblspc/{t.Key}/", t.Value)).Append(("", target)))
        {
            foreach (string path in Directory.EnumerateFiles(root, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint }))
            {
                byte[] content = await File.ReadAllBytesAsync(path);
                result[prefix + Path.GetRelativePath(root, path)] = content.Length > 0 && content.AsSpan().IndexOfAnyExcept(content[0]) < 0
                    ? $"{content.Length} {content[0]}"
                    : Convert.ToHexString(SHA256.HashData(content));
            }
        }

        foreach (string own in (string[])["global/pg_control", "backup_label", "tablespace_map", "log", "server.log"])
        {
            result.Remove(own);
        }

        Directory.Delete(target, recursive: true);
        return result;
    }

    private static async Task RemoveAsync(BackupLab lab, string id)
    {
        foreach (string key in (await lab.BackupObjectsAsync()).Where(key => key.Contains(id, StringComparison.Ordinal)))
        {
            await lab.Repository.Store.DeleteAsync(key, CancellationToken.None);
        }
    }

    private static void Delete(BackupLab lab, string id, string name) =>
        File.Delete(Path.Combine(lab.RepositoryDirectory, "database", id, name));

    private static void Flip(BackupLab lab, string id, string name, long position = 100)
    {
        string path = Path.Combine(lab.RepositoryDirectory, "database", id, name);
        File.SetAttributes(path, FileAttributes.Normal);
        using FileStream stream = new(path, FileMode.Open);
        stream.Position = position;
        int value = stream.ReadByte();
        stream.Position = position;
        stream.WriteByte((byte)(value ^ 4));
    }
}
