using System.Diagnostics;
using System.Globalization;
using System.Text;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Redis;

public sealed class RedisBackupTests
{
    private readonly MemoryObjectStore _store = new();
    private readonly RecordingObserver _observer = new();

    [Theory]
    [InlineData("yes")]
    [InlineData("no")]
    public async Task Backup_DisklessOrNot_IsAnRdbThatAServerLoads(string diskless)
    {
        await using RedisServer server = await StartAsync(new() { ["repl-diskless-sync"] = diskless });
        await FillAsync(server, 20_000);
        await server.ExecuteAsync("SELECT", 5);
        await server.ExecuteAsync("SET", "with-time", "x", "EX", 10_000);
        string digest = await DigestAsync(server);
        DateTimeOffset earliest = DateTimeOffset.UtcNow;
        BackupInfo backup = await BackupAsync(server);
        Assert.Equal(("Redis", "Full", "Complete", "7.0.15"), (backup.Component, backup.Kind, backup.State, backup.ServerVersion));
        Assert.InRange(backup.StopTime!.Value, earliest.AddSeconds(-1), DateTimeOffset.UtcNow);

        BackupHeader header = (await OpenAsync(backup)).Header;
        RedisBackupDetails details = header.Redis!;
        Assert.Equal(("dump.rdb", "7.0.15", "standalone", "master", "Replication"), (details.Path, details.ServerVersion, details.Mode, details.Role, details.Method));
        Assert.Equal((10, true), (details.RdbVersion, details.HasChecksum));
        Assert.Equal([new RedisDatabaseSize(0, 20_000, 0), new RedisDatabaseSize(5, 1, 1)], details.Databases);
        Assert.Equal($"localhost:{server.Port}", details.Source);
        Assert.Equal(40, details.RunId!.Length);
        Assert.Equal(Field(await server.InfoAsync("replication"), "master_replid"), details.ReplicationId);
        Assert.Equal("no", details.Settings!["appendonly"]);
        Assert.Equal("noeviction", details.Settings["maxmemory-policy"]);
        Assert.Equal(diskless, details.Settings["repl-diskless-sync"]);
        Assert.Null(details.DatabaseSkew);
        Assert.True(details.TransferStopTime >= details.TransferStartTime);

        await WithoutReplicasAsync(server);
        await AssertRestoresAsync(backup, digest);
    }

    [Fact]
    public async Task Backup_EmptyServer_IsComplete()
    {
        await using RedisServer server = await StartAsync();
        BackupInfo backup = await BackupAsync(server);
        Assert.InRange(backup.SizeBytes!.Value, 20, 1000);
        await AssertRestoresAsync(backup, new string('0', 40));
    }

    [Fact]
    public async Task Backup_WhileWritesGoOn_IsConsistent()
    {
        await using RedisServer server = await StartAsync();
        await FillAsync(server, 5_000);
        using CancellationTokenSource stop = new();
        await using RedisTestClient client = await server.ConnectAsync();
        Task writing = Task.Run(async () =>
        {
            // Two keys that are always alike, since a transaction changes both.
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                await client.ExecuteManyAsync([["MULTI"], ["SET", "first", i], ["SET", "second", i], ["EXEC"]]);
            }
        });
        BackupInfo backup = await BackupAsync(server);
        await stop.CancelAsync();
        await writing;
        await using RedisServer restored = await RestoreAsync(backup);
        Assert.Equal((byte[]?)await restored.ExecuteAsync("GET", "first"), (byte[]?)await restored.ExecuteAsync("GET", "second"));
        Assert.InRange((long)(await restored.ExecuteAsync("DBSIZE"))!, 5_000, 5_002);
    }

    [Theory]
    [InlineData(RedisBackupMethod.Replication, "+info +psync +replconf")]
    [InlineData(RedisBackupMethod.Replication, "+info +psync +replconf +config|get")]
    [InlineData(RedisBackupMethod.BgSave, "+info +bgsave +lastsave +config|get")]
    public async Task Backup_UserWithLeastPrivilege_IsEnough(RedisBackupMethod method, string rules)
    {
        await using RedisServer server = await StartAsync(lines: [$"user backup on >secret-word -@all {rules}"], password: "other");
        await server.ExecuteAsync("SET", "k", "v");
        BackupInfo backup = await BackupAsync(server, new() { Method = method }, new() { Username = "backup" }, "secret-word");
        Assert.Equal(rules.Contains("config", StringComparison.Ordinal), (await OpenAsync(backup)).Header.Redis!.Settings is not null);
        await AssertRestoresAsync(backup, await DigestAsync(server));

        // Each of them is needed.
        foreach (string rule in rules.Split(' ').Where(rule => method == RedisBackupMethod.BgSave || rule != "+config|get"))
        {
            await server.ExecuteAsync("ACL", "SETUSER", "backup", "-" + rule[1..]);
            SmcException error = await SmcErrorCode.PrivilegeMissing.ThrowsAsync(
                () => BackupAsync(server, new() { Method = method }, new() { Username = "backup" }, "secret-word"));
            Assert.Contains(rule, error.Recommendation, StringComparison.Ordinal);
            Assert.DoesNotContain("secret-word", error.ToString(), StringComparison.Ordinal);
            await server.ExecuteAsync("ACL", "SETUSER", "backup", rule);
        }

        AssertNothingLeft(backup);
    }

    [Fact]
    public async Task Backup_TlsAndPassword_Works()
    {
        await using RedisServer server = await RedisServer.StartAsync(new RedisServerOptions { Tls = true, Password = "secret-word" });
        await FillAsync(server, 10_000);
        BackupInfo backup = await BackupAsync(
            server, connector: new() { Tls = new RedisTlsOptions { CaFile = server.CertificatePath } }, password: "secret-word");
        await AssertRestoresAsync(backup, await DigestAsync(server));
        Assert.DoesNotContain(_store.Keys, key => Encoding.Latin1.GetString(_store[key]).Contains("secret-word", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Backup_RenamedCommands_AreFoundByTheMap()
    {
        await using RedisServer server = await StartAsync(lines:
            ["rename-command PSYNC hidden-psync", "rename-command REPLCONF hidden-replconf", "rename-command CONFIG \"\"", "rename-command BGSAVE hidden-bgsave"]);
        await server.ExecuteAsync("SET", "k", "v");
        SmcException error = await SmcErrorCode.SettingUnsuitable.ThrowsAsync(() => BackupAsync(server));
        Assert.Contains("rename-command", error.Recommendation, StringComparison.Ordinal);
        RedisConnectorOptions options = new()
        {
            RenamedCommands = new Dictionary<string, string>
            {
                ["PSYNC"] = "hidden-psync", ["REPLCONF"] = "hidden-replconf", ["CONFIG"] = "", ["BGSAVE"] = "hidden-bgsave",
            },
        };
        BackupInfo backup = await BackupAsync(server, connector: options);
        // To this server a PSYNC by another name is a SYNC, which tells no position.
        Assert.Null((await OpenAsync(backup)).Header.Redis!.ReplicationId);
        await AssertRestoresAsync(backup, await DigestAsync(server));
        backup = await BackupAsync(server, new() { Method = RedisBackupMethod.BgSave, RdbPath = server.DumpPath }, options);
        await AssertRestoresAsync(backup, await DigestAsync(server));
        await SmcErrorCode.PrivilegeMissing.ThrowsAsync(() => BackupAsync(server, new() { Method = RedisBackupMethod.BgSave }, options));
    }

    [Fact]
    public async Task Backup_ServerIsLoading_IsWaitedFor()
    {
        await using RedisServer server = await StartAsync(new() { ["save"] = "3600 1000000" });
        await FillAsync(server, 20_000);
        string digest = await DigestAsync(server);
        await server.SaveAsync();
        await server.KillAsync();
        await using RedisServer loading = await StartLoadingAsync(server.DumpPath);
        SmcException error = await SmcErrorCode.ServerUnavailable.ThrowsAsync(
            () => BackupAsync(loading, new() { LoadingTimeout = TimeSpan.Zero }));
        Assert.Contains("loading", error.Message, StringComparison.Ordinal);
        Task<BackupInfo> backup = BackupAsync(loading);
        while (!_observer.Verboses.Any(static message => message.Contains("is loading", StringComparison.Ordinal)))
        {
            Assert.False(backup.IsCompleted);
            await Task.Delay(10);
        }

        await loading.ExecuteAsync("CONFIG", "SET", "key-load-delay", 0);
        await AssertRestoresAsync(await backup, digest);
    }

    [Theory]
    [InlineData(RedisBackupMethod.Replication, "yes")]
    [InlineData(RedisBackupMethod.Replication, "no")]
    [InlineData(RedisBackupMethod.BgSave, "no")]
    public async Task Backup_WhileAnotherChildRuns_WaitsForIt(RedisBackupMethod method, string diskless)
    {
        await using RedisServer server = await StartAsync(new() { ["repl-diskless-sync"] = diskless, ["rdb-key-save-delay"] = "100", ["appendonly"] = "no" });
        await FillAsync(server, 10_000);
        string digest = await DigestAsync(server);
        // A second of rewriting; then what we ask for without delay.
        await server.ExecuteAsync("BGREWRITEAOF");
        Assert.Equal(1, await server.InfoNumberAsync("persistence", "aof_rewrite_in_progress"));
        await server.ExecuteAsync("CONFIG", "SET", "rdb-key-save-delay", 0);
        BackupInfo backup = await BackupAsync(server, new() { Method = method });
        await AssertRestoresAsync(backup, digest);
    }

    [Fact]
    public async Task BgSave_AnotherSaveRuns_IsNotTakenForOurs()
    {
        await using RedisServer server = await StartAsync(new() { ["rdb-key-save-delay"] = "200" });
        await FillAsync(server, 5_000);
        await server.ExecuteAsync("BGSAVE");
        Assert.Equal(1, await server.InfoNumberAsync("persistence", "rdb_bgsave_in_progress"));
        await server.ExecuteAsync("CONFIG", "SET", "rdb-key-save-delay", 0);
        await server.ExecuteAsync("SET", "late", "not in the save that runs");
        BackupInfo backup = await BackupAsync(server, new() { Method = RedisBackupMethod.BgSave });
        await AssertRestoresAsync(backup, await DigestAsync(server));
        Assert.Equal("BgSave", (await OpenAsync(backup)).Header.Redis!.Method);
    }

    [Fact]
    public async Task BgSave_SeveralWithinASecond_EachHasWhatWasWrittenBefore()
    {
        await using RedisServer server = await StartAsync();
        for (int i = 0; i < 5; i++)
        {
            await server.ExecuteAsync("SET", "k", i);
            BackupInfo backup = await BackupAsync(server, new() { Method = RedisBackupMethod.BgSave });
            await AssertRestoresAsync(backup, await DigestAsync(server));
        }
    }

    [Theory]
    [InlineData("Background saving started")]
    [InlineData("Background saving scheduled")]
    public async Task BgSave_Redis6ThatDoesNotCountSaves_WaitsUntilLastSaveIsAnother(string answer)
    {
        using TemporaryDirectory directory = new();
        string path = Path.Combine(directory.Path, "dump.rdb");
        byte[] rdb = SampleRdb();
        int asked = 0;
        await using ScriptedServer server = new(async (command, stream, token) =>
        {
            // What INFO says after BGSAVE: a save that is scheduled and has not begun looks like one that is over, but for LASTSAVE.
            bool isScheduled = answer.EndsWith("scheduled", StringComparison.Ordinal) && asked is > 0 and < 4;
            bool isSaving = asked > 0 && !isScheduled && asked < 7;
            bool isDone = asked >= 7;
            switch (command[0])
            {
                case "HELLO" or "CONFIG":
                    await ScriptedServer.SendAsync(stream, "-NOPERM no\r\n", token);
                    break;
                case "LASTSAVE":
                    await ScriptedServer.SendAsync(stream, isDone ? ":1001\r\n" : ":1000\r\n", token);
                    break;
                case "BGSAVE":
                    asked = 1;
                    await ScriptedServer.SendAsync(stream, $"+{answer}\r\n", token);
                    break;
                default:
                    if (isDone)
                    {
                        await File.WriteAllBytesAsync(path, rdb, token);
                    }

                    string info = $"redis_version:6.2.7\r\nrun_id:x\r\nrole:master\r\nrdb_bgsave_in_progress:{(isSaving ? 1 : 0)}\r\nrdb_last_bgsave_status:ok\r\naof_rewrite_in_progress:0\r\n";
                    await ScriptedServer.SendAsync(stream, $"${info.Length}\r\n{info}\r\n", token);
                    asked += asked > 0 ? 1 : 0;
                    break;
            }

            return true;
        });
        BackupInfo backup = await BackupAsync(
            new RedisConnector(server.Endpoint), new() { Method = RedisBackupMethod.BgSave, RdbPath = path });
        Assert.Equal(rdb, await ReadAsync(backup));
        Assert.Contains("BGSAVE SCHEDULE", server.Commands);
        Assert.Null((await OpenAsync(backup)).Header.Redis!.ReplicationId);
    }

    [Fact]
    public async Task BgSave_ServerCannotWrite_SaysSoAndLeavesNothing()
    {
        await using RedisServer server = await StartAsync();
        await server.ExecuteAsync("SET", "k", "v");
        // A directory stands where the file should be, so that the child's rename fails.
        Directory.CreateDirectory(server.DumpPath);
        SmcException error = await SmcErrorCode.BackupInterrupted.ThrowsAsync(() => BackupAsync(server, new() { Method = RedisBackupMethod.BgSave }));
        Assert.Contains("could not save", error.Message, StringComparison.Ordinal);
        // And again, with the failure before as the last one that the server knows.
        await SmcErrorCode.BackupInterrupted.ThrowsAsync(() => BackupAsync(server, new() { Method = RedisBackupMethod.BgSave }));
        AssertNothingLeft();
        Directory.Delete(server.DumpPath);
        await AssertRestoresAsync(await BackupAsync(server, new() { Method = RedisBackupMethod.BgSave }), await DigestAsync(server));
    }

    [Fact]
    public async Task BgSave_FileOfAnotherServerOrElsewhere_IsRefused()
    {
        await using RedisServer server = await StartAsync();
        using TemporaryDirectory directory = new();
        string other = Path.Combine(directory.Path, "dump.rdb");
        await File.WriteAllBytesAsync(other, await server.SaveAsync());
        File.SetLastWriteTimeUtc(other, DateTime.UtcNow.AddMinutes(-1));
        RedisBackupOptions options = new() { Method = RedisBackupMethod.BgSave };
        SmcException error = await SmcErrorCode.TargetUnsuitable.ThrowsAsync(() => BackupAsync(server, options with { RdbPath = other }));
        Assert.Contains("was not written by the save", error.Message, StringComparison.Ordinal);
        long saves = await server.InfoNumberAsync("persistence", "rdb_saves");
        await SmcErrorCode.TargetUnsuitable.ThrowsAsync(() => BackupAsync(server, options with { RdbPath = "/no/such/dump.rdb" }));
        Assert.Equal(saves, await server.InfoNumberAsync("persistence", "rdb_saves"));
        await SmcErrorCode.ArgumentInvalid.ThrowsAsync(() => BackupAsync(server, options with { PreferReplica = true }));
        AssertNothingLeft();
    }

    [Fact]
    public async Task Backup_PreferReplica_AsksTheReplicaAndSparesTheMaster()
    {
        await using RedisServer master = await StartAsync();
        await FillAsync(master, 1_000);
        await using RedisServer replica = await StartAsync(new() { ["replicaof"] = $"127.0.0.1 {master.Port}" });
        await InStepAsync(master, replica);
        long forks = await master.InfoNumberAsync("stats", "total_forks");
        BackupInfo backup = await BackupAsync(master, new() { PreferReplica = true });
        RedisBackupDetails details = (await OpenAsync(backup)).Header.Redis!;
        Assert.Equal(("replica", $"127.0.0.1:{replica.Port}"), (details.Role, details.Source));
        Assert.Equal(Field(await master.InfoAsync("replication"), "master_replid"), details.ReplicationId);
        Assert.NotNull(details.ReplicaLagBytes);
        Assert.Equal(forks, await master.InfoNumberAsync("stats", "total_forks"));
        await AssertRestoresAsync(backup, await DigestAsync(master));

        // A replica that follows somebody else now is not asked, though the master may still count it.
        await replica.KillAsync();
        backup = await BackupAsync(master, new() { PreferReplica = true });
        Assert.Equal("master", (await OpenAsync(backup)).Header.Redis!.Role);
        Assert.Contains(_observer.Warnings, static warning => warning.Contains("No replica", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Backup_ReplicaThatLostItsMaster_IsRefusedUnlessItsFileIsAskedFor()
    {
        await using RedisServer master = await StartAsync();
        await FillAsync(master, 100);
        await using RedisServer replica = await StartAsync(new() { ["replicaof"] = $"127.0.0.1 {master.Port}" });
        await InStepAsync(master, replica);
        string digest = await DigestAsync(replica);
        await master.KillAsync();
        while (!(await replica.InfoAsync("replication")).Contains("master_link_status:down", StringComparison.Ordinal))
        {
            await Task.Delay(20);
        }

        SmcException error = await SmcErrorCode.ServerUnavailable.ThrowsAsync(() => BackupAsync(replica));
        Assert.Contains("has not heard its master", error.Message, StringComparison.Ordinal);
        BackupInfo backup = await BackupAsync(replica, new() { Method = RedisBackupMethod.BgSave });
        Assert.Contains(_observer.Warnings, static warning => warning.Contains("has not heard its master", StringComparison.Ordinal));
        await AssertRestoresAsync(backup, digest);
    }

    [Theory]
    [InlineData("yes")]
    [InlineData("no")]
    public async Task Backup_CancelledInTheMiddle_LeavesNothingAndTheServerNotices(string diskless)
    {
        await using RedisServer server = await StartAsync(new() { ["repl-diskless-sync"] = diskless });
        await FillAsync(server, 3_000, 10_000);
        using CancellationTokenSource stop = new();
        RecordingObserver observer = new() { At = (4 << 20, stop.Cancel) };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => BackupAsync(server, observer: observer, token: stop.Token));
        AssertNothingLeft();
        await WithoutReplicasAsync(server);
        Assert.Single(observer.Progresses, static progress => progress.IsCompleted);
        await AssertRestoresAsync(await BackupAsync(server), await DigestAsync(server));
    }

    [Fact]
    public async Task Backup_ServerKilledInTheMiddle_IsInterruptedAndLeavesNothing()
    {
        await using RedisServer server = await StartAsync();
        await FillAsync(server, 3_000, 10_000);
        int process = server.ProcessId!.Value;
        RecordingObserver observer = new() { At = (4 << 20, () => Process.GetProcessById(process).Kill()) };
        await SmcErrorCode.BackupInterrupted.ThrowsAsync(() => BackupAsync(server, observer: observer));
        AssertNothingLeft();
    }

    [Fact]
    public async Task Backup_ConnectionCutInTheMiddle_IsInterruptedAndLeavesNothing()
    {
        await using RedisServer server = await StartAsync();
        await FillAsync(server, 3_000, 10_000);
        await using NetworkProxy proxy = new(server.Port);
        RecordingObserver observer = new() { At = (4 << 20, proxy.Cut) };

        SmcException error = await SmcErrorCode.BackupInterrupted.ThrowsAsync(async () => await RedisBackup.RunAsync(
            new RedisConnector($"127.0.0.1:{proxy.Port}"),
            await Repository.OpenOrCreateAsync(_store, CancellationToken.None),
            new RedisBackupOptions(),
            observer,
            CancellationToken.None));

        Assert.Contains("before it was complete", error.Message, StringComparison.Ordinal);
        AssertNothingLeft();
        await WithoutReplicasAsync(server);
        await AssertRestoresAsync(await BackupAsync(server), await DigestAsync(server));
    }

    [Fact]
    public async Task Backup_ChildKilledInTheMiddle_IsInterruptedAndLeavesNothing()
    {
        await using RedisServer server = await StartAsync(new() { ["rdb-key-save-delay"] = "1000" });
        await FillAsync(server, 20_000, 1_000);
        Task<BackupInfo> backup = BackupAsync(server);
        int? child = null;
        while (child is null)
        {
            child = File.ReadAllText($"/proc/{server.ProcessId}/task/{server.ProcessId}/children")
                .Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(static id => (int?)int.Parse(id, CultureInfo.InvariantCulture)).FirstOrDefault();
            await Task.Delay(10);
        }

        Process.GetProcessById(child.Value).Kill();
        await SmcErrorCode.BackupInterrupted.ThrowsAsync(() => backup);
        AssertNothingLeft();
    }

    [Fact]
    public async Task Backup_ServerWithoutChecksums_SaysSo()
    {
        await using RedisServer server = await StartAsync(new() { ["rdbchecksum"] = "no" });
        await server.ExecuteAsync("SET", "k", "v");
        BackupInfo backup = await BackupAsync(server);
        Assert.False((await OpenAsync(backup)).Header.Redis!.HasChecksum);
        Assert.Contains(_observer.Warnings, static warning => warning.Contains("rdbchecksum", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Backup_BesideADatabaseBackup_NotesHowFarItLiesFromIt()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);
        DateTimeOffset stopTime = DateTimeOffset.UtcNow.AddMinutes(-10);
        BackupWriter writer = await repository.BeginBackupAsync(Component.Database, "Full", null, null, "1", null, CancellationToken.None);
        await using (writer)
        {
            await writer.CompleteAsync("Full", header => header with { StopTime = stopTime }, CancellationToken.None);
        }

        await using RedisServer server = await StartAsync();
        RedisSkew skew = (await OpenAsync(await BackupAsync(server))).Header.Redis!.DatabaseSkew!;
        Assert.Equal(writer.Id, skew.BackupId);
        Assert.Equal(stopTime, skew.StopTime);
        Assert.InRange(skew.Seconds, 595, 700);
    }

    [Fact]
    public async Task Backup_Observer_SeesEveryByteInOrderAndMayRefuse()
    {
        await using RedisServer server = await StartAsync();
        await FillAsync(server, 2_000, 10_000);
        RecordingRdbObserver seen = new();
        BackupInfo backup = await BackupAsync(server, new() { Inspect = () => seen });
        Assert.Equal(await ReadAsync(backup), seen.Content.ToArray());
        Assert.Equal((true, true), (seen.Completed, seen.Disposed));
        Assert.Equal(12, (await OpenAsync(backup)).Header.Redis!.RdbVersion);

        await SmcErrorCode.VersionUnsupported.ThrowsAsync(() => BackupAsync(server, new() { Inspect = static () => new RecordingRdbObserver { Refuse = true } }));
        AssertNothingLeft(backup);
    }

    [Fact]
    public async Task Backup_NewlinesBeforeAndAfterTheAnswer_AreKeepalives()
    {
        byte[] rdb = SampleRdb();
        await using ScriptedServer master = ScriptedServer.Master(async (stream, token) =>
        {
            await ScriptedServer.SendAsync(stream, $"\n\n+FULLRESYNC {new string('a', 40)} 77\r\n\n\n", token);
            await ScriptedServer.SendAsync(stream, string.Create(CultureInfo.InvariantCulture, $"\n${rdb.Length}\r\n{Encoding.Latin1.GetString(rdb)}*1\r\n$4\r\nPING\r\n"), token);
        });
        BackupInfo backup = await BackupAsync(master);
        Assert.Equal(rdb, await ReadAsync(backup));
        RedisBackupDetails details = (await OpenAsync(backup)).Header.Redis!;
        Assert.Equal((new string('a', 40), 77L), (details.ReplicationId, details.ReplicationOffset));
        Assert.Null(details.Settings);
        Assert.Equal(["REPLCONF capa eof capa psync2", "REPLCONF rdb-only 1", "PSYNC ? -1"], master.Commands.Where(static command => command.Contains("SYNC", StringComparison.Ordinal) || command.StartsWith("REPLCONF", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Backup_ServerPreparesForLong_HearsThatWeLive()
    {
        byte[] rdb = SampleRdb();
        TaskCompletionSource heard = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using ScriptedServer master = ScriptedServer.Master(async (stream, token) =>
        {
            await ScriptedServer.SendAsync(stream, $"+FULLRESYNC {new string('a', 40)} 77\r\n", token);
            byte[] expected = Encoding.ASCII.GetBytes("*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$2\r\n77\r\n");
            byte[] came = new byte[expected.Length];
            await stream.ReadExactlyAsync(came, token);
            Assert.Equal(expected, came);
            heard.SetResult();
            await ScriptedServer.SendAsync(stream, string.Create(CultureInfo.InvariantCulture, $"${rdb.Length}\r\n{Encoding.Latin1.GetString(rdb)}"), token);
        });
        await BackupAsync(master);
        Assert.True(heard.Task.IsCompletedSuccessfully);
    }

    [Theory]
    [InlineData("-LOADING Redis is loading the dataset in memory\r\n", SmcErrorCode.ServerUnavailable)]
    [InlineData("-NOMASTERLINK Can't SYNC while not connected with my master\r\n", SmcErrorCode.ServerUnavailable)]
    [InlineData("-ERR BGSAVE failed, replication can't continue\r\n", SmcErrorCode.BackupInterrupted)]
    [InlineData("-ERR unknown command 'PSYNC', with args beginning with: '?' '-1' \r\n", SmcErrorCode.SettingUnsuitable)]
    [InlineData("+CONTINUE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", SmcErrorCode.ServerUnavailable)]
    [InlineData("+FULLRESYNC short 1\r\n", SmcErrorCode.ServerUnavailable)]
    [InlineData("+FULLRESYNC aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\r\n", SmcErrorCode.BackupInterrupted)]
    [InlineData("+FULLRESYNC aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\r\n$0\r\n", SmcErrorCode.ServerUnavailable)]
    [InlineData("+FULLRESYNC aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\r\n$-1\r\n", SmcErrorCode.ServerUnavailable)]
    [InlineData("+FULLRESYNC aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\r\n$EOF:short\r\n", SmcErrorCode.ServerUnavailable)]
    [InlineData("+FULLRESYNC aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\r\n$20\r\nREDIS0010", SmcErrorCode.BackupInterrupted)]
    [InlineData("+FULLRESYNC aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\r\n$20\r\nREDIS0010\xff\x01\x02\x03\x04\x05\x06\x07\x08xx", SmcErrorCode.BackupInterrupted)]
    [InlineData("+FULLRESYNC aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1\r\n$9223372036854775807\r\nREDIS0010", SmcErrorCode.BackupInterrupted)]
    public async Task Backup_MasterAnswersOtherwise_LeavesNothing(string answer, SmcErrorCode code)
    {
        await using ScriptedServer master = ScriptedServer.Master((stream, token) => ScriptedServer.SendAsync(stream, answer, token));
        await code.ThrowsAsync(() => BackupAsync(master));
        AssertNothingLeft();
    }

    [Fact]
    public async Task Backup_MasterFallsSilent_EndsInTime()
    {
        await using ScriptedServer master = ScriptedServer.Master(async (stream, token) =>
        {
            await ScriptedServer.SendAsync(stream, $"+FULLRESYNC {new string('a', 40)} 77\r\n$100\r\nREDIS0010", token);
            await Task.Delay(Timeout.Infinite, token);
        });
        SmcException error = await SmcErrorCode.BackupInterrupted.ThrowsAsync(
            () => BackupAsync(new RedisConnector(master.Endpoint, new RedisConnectorOptions { IdleTimeout = TimeSpan.FromMilliseconds(300) })));
        Assert.Contains("0.3 seconds", error.Message, StringComparison.Ordinal);
        AssertNothingLeft();
    }

    private static byte[] SampleRdb()
    {
        byte[] body = [.. "REDIS0010"u8, 0xFE, 0, 0, 1, (byte)'k', 1, (byte)'v', 0xFF];
        return [.. body, .. BitConverter.GetBytes(RedisCrc64.Append(0, body))];
    }

    private static Task<RedisServer> StartAsync(
        Dictionary<string, string>? settings = null, IReadOnlyList<string>? lines = null, string? password = null) =>
        RedisServer.StartAsync(new RedisServerOptions { Settings = settings ?? [], Lines = lines ?? [], Password = password });

    /// <summary>A server that loads slowly, two milliseconds for each key, until it is told not to.</summary>
    private static async Task<RedisServer> StartLoadingAsync(string rdb)
    {
        RedisServer server = await RedisServer.StartAsync();
        File.Copy(rdb, server.DumpPath);
        await server.ExecuteAsync("CONFIG", "SET", "key-load-delay", 2000, "loading-process-events-interval-bytes", 1024);
        RedisTestClient client = await server.ConnectAsync();
        // Answered only when it has loaded.
        _ = client.ExecuteAsync("DEBUG", "RELOAD", "NOSAVE").ContinueWith(
            async task =>
            {
                _ = task.Exception;
                await client.DisposeAsync();
            },
            TaskScheduler.Default);
        while (await server.InfoNumberAsync("persistence", "loading") == 0)
        {
            await Task.Delay(5);
        }

        return server;
    }

    private static async Task FillAsync(RedisServer server, int keys, int size = 20)
    {
        await using RedisTestClient client = await server.ConnectAsync();
        Random random = new(1);
        foreach (int[] part in Enumerable.Range(0, keys).Chunk(1000))
        {
            await client.ExecuteManyAsync([.. part.Select(i =>
            {
                byte[] value = new byte[size];
                random.NextBytes(value);
                return new object[] { "SET", string.Create(CultureInfo.InvariantCulture, $"key:{i}"), value };
            })]);
        }
    }

    private static async Task<string> DigestAsync(RedisServer server) => (string)(await server.ExecuteAsync("DEBUG", "DIGEST"))!;

    private static string Field(string info, string name) =>
        info.Split("\r\n").Single(line => line.StartsWith(name + ":", StringComparison.Ordinal))[(name.Length + 1)..];

    private static async Task InStepAsync(RedisServer master, RedisServer replica)
    {
        while (!((await replica.InfoAsync("replication")).Contains("master_link_status:up", StringComparison.Ordinal) &&
            (await master.InfoAsync("replication")).Contains("state=online", StringComparison.Ordinal) &&
            await master.InfoNumberAsync("persistence", "rdb_bgsave_in_progress") == 0))
        {
            await Task.Delay(20);
        }
    }

    /// <summary>Returns when the server knows that the backup is over.</summary>
    private static async Task WithoutReplicasAsync(RedisServer server)
    {
        Stopwatch watch = Stopwatch.StartNew();
        while (await server.InfoNumberAsync("replication", "connected_slaves") > 0)
        {
            Assert.True(watch.Elapsed < TimeSpan.FromMinutes(1), "The server still takes the backup for a replica.");
            await Task.Delay(20);
        }
    }

    private async Task<RedisServer> RestoreAsync(BackupInfo backup)
    {
        RedisServer server = await RedisServer.StartAsync();
        await server.StopAsync();
        await File.WriteAllBytesAsync(server.DumpPath, await ReadAsync(backup));
        await server.ResumeAsync();
        return server;
    }

    private async Task AssertRestoresAsync(BackupInfo backup, string digest)
    {
        await using RedisServer restored = await RestoreAsync(backup);
        Assert.Equal(digest, await DigestAsync(restored));
    }

    private async Task<BackupReader> OpenAsync(BackupInfo backup) =>
        await (await Repository.OpenAsync(_store, CancellationToken.None)).OpenBackupAsync(Component.Redis, backup.Id, CancellationToken.None);

    private async Task<byte[]> ReadAsync(BackupInfo backup)
    {
        BackupReader reader = await OpenAsync(backup);
        Manifest manifest = await reader.ReadManifestAsync(CancellationToken.None);
        return await DumpReader.ReadAllAsync(reader, Assert.Single(manifest.Entries), CancellationToken.None);
    }

    /// <summary>Nothing is in the repository but its root and the backups that are named.</summary>
    private void AssertNothingLeft(params BackupInfo[] backups) => Assert.DoesNotContain(
        _store.Keys, key => key.StartsWith("redis/", StringComparison.Ordinal) && !backups.Any(backup => key.Contains(backup.Id, StringComparison.Ordinal)));

    private Task<BackupInfo> BackupAsync(ScriptedServer server) => BackupAsync(new RedisConnector(server.Endpoint));

    private async Task<BackupInfo> BackupAsync(RedisConnector connector, RedisBackupOptions? options = null) => await RedisBackup.RunAsync(
        connector,
        await Repository.OpenOrCreateAsync(_store, CancellationToken.None),
        options ?? new RedisBackupOptions(),
        _observer,
        CancellationToken.None);

    private async Task<BackupInfo> BackupAsync(
        RedisServer server,
        RedisBackupOptions? options = null,
        RedisConnectorOptions? connector = null,
        string? password = null,
        RecordingObserver? observer = null,
        CancellationToken token = default) => await RedisBackup.RunAsync(
            new RedisConnector(
                string.Create(CultureInfo.InvariantCulture, $"localhost:{server.Port}"), connector, _ => ValueTask.FromResult(password)),
            await Repository.OpenOrCreateAsync(_store, CancellationToken.None),
            options ?? new RedisBackupOptions(),
            observer ?? _observer,
            token);

    private sealed class RecordingRdbObserver : IRdbObserver
    {
        public MemoryStream Content { get; } = new();

        public bool Refuse { get; init; }

        public bool Completed { get; private set; }

        public bool Disposed { get; private set; }

        public ValueTask ObserveAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            Content.Write(bytes.Span);
            return ValueTask.CompletedTask;
        }

        public ValueTask CompleteAsync(RdbIntegrity integrity, CancellationToken cancellationToken)
        {
            Completed = !Refuse;
            return Refuse ? throw new SmcException(SmcErrorCode.VersionUnsupported, "Refused.") : ValueTask.CompletedTask;
        }

        public RedisBackupDetails Describe(RedisBackupDetails details) => details with { RdbVersion = 12 };

        public ValueTask DisposeAsync()
        {
            Disposed = true;
            return ValueTask.CompletedTask;
        }
    }
}
