using System.Globalization;
using SmcDr.Core.Platform;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Offline;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Tests.Redis.Rdb;

namespace SmcDr.Core.Tests.Redis.Offline;

public sealed class RedisOfflineRestoreTests
{
    private const long LittleKeys = 4;

    private static readonly string[] s_steps =
        ["Begun", "Fetched", "Stopped", "Aside dump.rdb", "SetAside", "Renamed", "Placed", "Loaded"];

    private static readonly string[] s_appendSteps =
        ["Begun", "Fetched", "Stopped", "Aside dump.rdb", "Aside appendonlydir", "SetAside", "Renamed", "Placed", "Loaded"];

    public static TheoryData<string, string> Steps()
    {
        TheoryData<string, string> data = [];
        foreach (string step in s_steps)
        {
            data.Add("no", step);
        }

        foreach (string step in s_appendSteps)
        {
            data.Add("yes", step);
        }

        return data;
    }

    [Theory]
    [InlineData("no")]
    [InlineData("yes")]
    public async Task Run_AppendOnlyFileOnOrOff_HasTheSameData(string appendOnly)
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["appendonly"] = appendOnly });
        int before = world.FindProcess()!.Id;
        RedisRestoreResult result = await world.RunAsync();

        Assert.Equal(("Complete", true), (result.State, result.Verified!.Value));
        Assert.Empty(result.Problems);
        Assert.Equal((RedisRestoreMethod.Offline, 0, 1), (result.Method, result.KeysFailed, result.Functions));
        Assert.InRange(result.SampledKeys, 200, result.KeysRestored);
        Assert.Equal(0, result.MismatchedKeys);
        Assert.Equal(world.Digest, await world.DigestAsync());
        Assert.NotEqual(before, world.FindProcess()!.Id);
        Assert.Equal(appendOnly, await world.CommandAsync("CONFIG", "GET", "appendonly"));
        // What was there lies aside, and nothing of the restore is left.
        Assert.Equal(appendOnly == "yes" ? 2 : 1, world.Names(".before-").Count);
        Assert.DoesNotContain(world.Names("smcdr-restore"), static _ => true);

        // Trap 7.3.1: it must stay what it is over another start, and over a save.
        await world.CommandAsync("SET", "after", "the restore");
        string digest = await world.DigestAsync();
        await world.CommandAsync("SAVE");
        await world.KillAsync();
        await world.Server.KillAsync();
        await world.Server.ResumeAsync();
        Assert.Equal(digest, await world.DigestAsync());
    }

    [Theory]
    [MemberData(nameof(Steps))]
    public async Task Run_KilledAfterAnyStep_IsContinued(string appendOnly, string step)
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["appendonly"] = appendOnly }, fill: FillLittleAsync);
        await KillAfterAsync(world, step);

        RedisRestoreResult result = await world.RunAsync(new RedisOfflineOptions { DataDirectory = world.DataDirectory, ConfigFile = world.Server.ConfigurationPath, BinDirectory = world.BinDirectory });
        // What was fetched by the process that is gone is compared by this one as well.
        Assert.Equal(("Complete", (bool?)true, LittleKeys), (result.State, result.Verified, result.SampledKeys));
        Assert.Equal(world.Digest, await world.DigestAsync());
        Assert.Equal(appendOnly == "yes" ? 2 : 1, world.Names(".before-").Count);
        Assert.Empty(world.Names("smcdr-restore"));
    }

    [Theory]
    [MemberData(nameof(Steps))]
    public async Task Undo_KilledAfterAnyStep_HasWhatWasThere(string appendOnly, string step)
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["appendonly"] = appendOnly }, fill: FillLittleAsync);
        await KillAfterAsync(world, step);

        await RedisOfflineRestore.UndoAsync(world.Connector, world.DataDirectory, new RedisOfflineOptions(), world.Observer);
        Assert.Equal(world.LaterDigest, await world.DigestAsync());
        Assert.Empty(world.Names(".before-"));
        Assert.Empty(world.Names("smcdr-restore"));
        // What the server had loaded, and may have been given since, is not thrown away.
        Assert.Equal(step == "Loaded" ? 1 : 0, world.Names(".restored-").Count);
    }

    [Fact]
    public async Task Run_AnotherBackupWhileOneIsUnfinished_IsRefused()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillLittleAsync);
        await KillAfterAsync(world, "Placed");
        await using OfflineWorld other = await OfflineWorld.CreateAsync(fill: FillLittleAsync);
        RedisOfflineRestore restore = await other.RestoreAsync(new RedisOfflineOptions { DataDirectory = world.DataDirectory });
        await other.Server.KillAsync();
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => restore.PlanAsync(world.Observer, CancellationToken.None));
        Assert.Equal(SmcErrorCode.RestoreUnfinished, e.Code);
        Assert.Contains(world.Backup.Id, e.Recommendation, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("key", "SET", "key", "another value")]
    [InlineData("key", "COPY", "hash", "key", "REPLACE")]
    [InlineData("key", "EXPIRE", "key", "1000")]
    [InlineData("hash", "DEL", "hash")]
    [InlineData("expires", "PERSIST", "expires")]
    public async Task Run_KeyThatIsNotAsInTheBackup_IsFoundAndNamed(string key, params string[] change)
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillLittleAsync);
        RedisRestoreResult result = await world.RunAsync(new RedisOfflineOptions
        {
            AfterStep = step =>
            {
                if (step == "Loaded")
                {
                    Change(world, change);
                }
            },
        });

        Assert.Equal(("Partial", (bool?)false), (result.State, result.Verified));
        Assert.Equal((LittleKeys, 1L), (result.SampledKeys, result.MismatchedKeys));
        Assert.Contains($"1 of 4 keys that were compared are not as in the backup, unless clients have changed them since: '{key}' of database 0.", result.Problems);
    }

    [Fact]
    public async Task Run_UserThatMayNotReadValues_SaysThatTheyWereNotCompared()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(
            new() { ["user"] = "default on nopass ~* &* +@all -dump" }, fill: FillLittleAsync);
        RedisRestoreResult result = await world.RunAsync();

        Assert.Equal(("Complete", (bool?)null, 0L, 1), (result.State, result.Verified, result.SampledKeys, result.WarningCount));
        Assert.Contains(world.Observer.Warnings, static warning => warning.Contains("+dump +pexpiretime", StringComparison.Ordinal));
        Assert.Equal(world.Digest, await world.DigestAsync());
    }

    [Fact]
    public async Task Sample_OfWhatCannotBeRead_IsNoneAndTakesAllTheSame()
    {
        RecordingObserver observer = new();
        await using OfflineSample sample = new("The RDB", 10);
        await sample.AppendAsync("REDIS0010"u8.ToArray(), CancellationToken.None);
        for (int i = 0; i < 100; i++)
        {
            // Of what nobody takes a pipe would hold the second part up for ever.
            await sample.AppendAsync(new byte[StreamedFileWriter.BlockSize].Select(static _ => (byte)0xEF).ToArray(), CancellationToken.None);
        }

        Assert.Null(await sample.CompleteAsync(observer, CancellationToken.None));
        Assert.StartsWith("No values will be compared: The RDB", Assert.Single(observer.Verboses), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plan_OfARunningServer_ChangesNothing()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["appendonly"] = "yes" }, fill: FillLittleAsync);
        string[] before = Directory.GetFileSystemEntries(world.DataDirectory, "*", SearchOption.AllDirectories);
        RedisRestorePlan plan = await (await world.RestoreAsync()).PlanAsync(world.Observer, CancellationToken.None);
        Assert.Equal((RedisRestoreMethod.Offline, true, 1), (plan.Method, plan.ReplacesData, plan.TargetKeyCount));
        Assert.Contains(plan.Steps, static step => step.Contains("without saving", StringComparison.Ordinal));
        Assert.Contains(plan.Steps, static step => step.Contains("appendonlydir", StringComparison.Ordinal));
        Assert.Equal(before, Directory.GetFileSystemEntries(world.DataDirectory, "*", SearchOption.AllDirectories));
        Assert.Equal(world.LaterDigest, await world.DigestAsync());
    }

    [Fact]
    public async Task Run_ServerWithSavePoints_DoesNotSaveOverTheRestoredFile()
    {
        // Trap 7.3.3: a server with save points saves when it is asked to end.
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["save"] = "1 1" }, fill: FillLittleAsync);
        await world.CommandAsync("SET", "unsaved", "x");
        await world.RunAsync();
        Assert.Equal(world.Digest, await world.DigestAsync());
        Assert.Equal("1 1", await world.CommandAsync("CONFIG", "GET", "save"));
    }

    [Fact]
    public async Task Run_ServerWithAPassword_StartsWithIt()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(password: "s3cret", fill: FillLittleAsync);
        await world.RunAsync();
        Assert.Equal(world.Digest, await world.DigestAsync());
        Assert.Equal("s3cret", await world.CommandAsync("CONFIG", "GET", "requirepass"));
    }

    [Fact]
    public async Task Plan_PasswordThatNoFileHas_IsRefused()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillLittleAsync);
        await world.CommandAsync("CONFIG", "SET", "requirepass", "x");
        RedisConnector connector = new(world.Connector.Display, null, static _ => ValueTask.FromResult<string?>("x"));
        Repository repository = await world.OpenRepositoryAsync();
        RedisOfflineRestore restore = new(
            connector, repository, await repository.OpenBackupAsync(Component.Redis, world.Backup.Id, CancellationToken.None), new RedisOfflineOptions());
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => restore.PlanAsync(world.Observer, CancellationToken.None));
        Assert.Equal(SmcErrorCode.SettingUnsuitable, e.Code);
        Assert.Contains("CONFIG REWRITE", e.Recommendation, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("no")]
    [InlineData("yes")]
    public async Task Run_ServerThatDoesNotRun_IsStartedWithItsConfiguration(string appendOnly)
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["appendonly"] = appendOnly }, fill: FillLittleAsync);
        await world.Server.KillAsync();
        RedisRestoreResult result = await world.RunAsync(new RedisOfflineOptions { ConfigFile = world.Server.ConfigurationPath, BinDirectory = world.BinDirectory });
        Assert.Equal("Complete", result.State);
        Assert.Equal(world.Digest, await world.DigestAsync());
    }

    [Theory]
    [InlineData("no")]
    [InlineData("yes")]
    public async Task Run_OnlyTheDirectoryIsKnown_IsLoadedForALookAndNotStarted(string appendOnly)
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["appendonly"] = appendOnly }, fill: FillLittleAsync);
        await world.Server.KillAsync();
        RedisRestoreResult result = await world.RunAsync(
            new RedisOfflineOptions { DataDirectory = world.DataDirectory, BinDirectory = world.BinDirectory });
        Assert.Equal(("Complete", 1), (result.State, result.WarningCount));
        Assert.Null(world.FindProcess());
        await world.Server.ResumeAsync();
        Assert.Equal(world.Digest, await world.DigestAsync());
    }

    [Fact]
    public async Task Run_SingleAppendOnlyFileAsRedis6HasIt_IsWhatRedis7Upgrades()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["appendonly"] = "yes" }, fill: FillLittleAsync);
        await world.RunAsync(new RedisOfflineOptions { MajorVersion = 6 });
        Assert.Equal(world.Digest, await world.DigestAsync());
        // aof.c, aofUpgradePrepare: what it finds as the one file becomes the base of its directory.
        Assert.True(File.Exists(Path.Combine(world.DataDirectory, "appendonlydir", "appendonly.aof")));
    }

    [Fact]
    public async Task Run_ExpiredKeys_AreDroppedAndCounted()
    {
        // Trap 7.3.10.
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: static async server =>
        {
            await server.ExecuteAsync("SET", "stays", "x");
            await server.ExecuteAsync("DEBUG", "SET-ACTIVE-EXPIRE", "0");
            await server.ExecuteAsync("SET", "expires", "x", "PX", 1);
        });
        RedisRestoreResult result = await world.RunAsync();
        Assert.Equal(("Complete", 1, 1, 0), (result.State, result.KeysRestored, result.KeysExpired, result.KeysFailed));
    }

    [Fact]
    public async Task Run_ServerThatRefusesTheFile_HasItsOldDataBack()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillLittleAsync);
        string log = Path.Combine(world.DataDirectory, "dump.rdb");
        RedisOfflineOptions options = new()
        {
            // Between the exchange and the start somebody damages the file.
            AfterStep = step =>
            {
                if (step == "Placed")
                {
                    File.WriteAllText(log, "REDIS0010 and no more");
                }
            },
        };
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => world.RunAsync(options));
        Assert.Equal(SmcErrorCode.RestoreUndone, e.Code);
        Assert.Contains("back in", e.Message, StringComparison.Ordinal);
        Assert.Contains("RDB", e.Message, StringComparison.Ordinal);
        Assert.Equal(world.LaterDigest, await world.DigestAsync());
        Assert.Empty(world.Names(".before-"));
        Assert.Empty(world.Names("smcdr-restore"));
    }

    [Fact]
    public async Task Run_StoppedOnRequestBeforeTheExchange_HasChangedNothing()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillLittleAsync);
        int process = world.FindProcess()!.Id;
        using CancellationTokenSource stop = new();
        RedisOfflineRestore restore = await world.RestoreAsync(new RedisOfflineOptions
        {
            AfterStep = step =>
            {
                if (step == "Fetched")
                {
                    stop.Cancel();
                }
            },
        });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => restore.RunAsync(world.Observer, stop.Token));
        Assert.Equal(world.LaterDigest, await world.DigestAsync());
        Assert.Equal(process, world.FindProcess()!.Id);
        Assert.Empty(world.Names("smcdr-restore"));
    }

    [Fact]
    public async Task Run_ServerThatIsStartedAgainAtOnce_IsNoticedAndNamed()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillLittleAsync);
        await world.Server.KillAsync();
        // What runit or supervisord does, in one line.
        using System.Diagnostics.Process manager = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(
            "/bin/bash", ["-c", $"while :; do '{Path.Combine(world.BinDirectory, "redis-server")}' '{world.Server.ConfigurationPath}'; done"]))!;
        try
        {
            await WaitUntilUpAsync(world);
            SmcException e = await Assert.ThrowsAsync<SmcException>(() => world.RunAsync());
            Assert.Equal(SmcErrorCode.ServerRestarted, e.Code);
            Assert.Contains($"'bash' (process {manager.Id.ToString(CultureInfo.InvariantCulture)})", e.Message, StringComparison.Ordinal);
            await WaitUntilUpAsync(world);
            Assert.Equal(world.LaterDigest, await world.DigestAsync());
            Assert.Empty(world.Names(".before-"));
            Assert.Empty(world.Names("smcdr-restore"));
        }
        finally
        {
            manager.Kill();
            await manager.WaitForExitAsync();
        }
    }

    [Fact]
    public async Task Run_MasterWithAReplica_BringsTheReplicaTheRestoredData()
    {
        // Trap 7.3.9.
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillLittleAsync);
        await using RedisServer replica = await RedisServer.StartAsync(new RedisServerOptions
        {
            Lines = [string.Create(CultureInfo.InvariantCulture, $"replicaof 127.0.0.1 {world.Server.Port}")],
        });
        while (!(await replica.InfoAsync("replication")).Contains("master_link_status:up", StringComparison.Ordinal))
        {
            await Task.Delay(20);
        }

        RedisRestorePlan plan = await (await world.RestoreAsync()).PlanAsync(world.Observer, CancellationToken.None);
        Assert.Contains(plan.Steps, static step => step.StartsWith("1 replica fetches", StringComparison.Ordinal));
        await world.RunAsync();
        while ((string?)await replica.ExecuteAsync("DEBUG", "DIGEST") != world.Digest)
        {
            await Task.Delay(20);
        }

        // And the replica itself is refused.
        Repository repository = await world.OpenRepositoryAsync();
        RedisOfflineRestore restore = new(
            new RedisConnector(string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{replica.Port}")),
            repository,
            await repository.OpenBackupAsync(Component.Redis, world.Backup.Id, CancellationToken.None),
            new RedisOfflineOptions());
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => restore.PlanAsync(world.Observer, CancellationToken.None));
        Assert.Equal(SmcErrorCode.TargetIsReplica, e.Code);
    }

    [Fact]
    public async Task Plan_BackupWithoutKeys_IsRefused()
    {
        // Trap 7.3.9: a master that starts empty empties its replicas.
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: static _ => Task.CompletedTask);
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => world.RunAsync());
        Assert.Equal(SmcErrorCode.BackupUnsuitable, e.Code);
        Assert.Equal(world.LaterDigest, await world.DigestAsync());
    }

    [Fact]
    public async Task Plan_TooFewDatabases_IsRefused()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: static async server =>
        {
            await server.ExecuteAsync("SELECT", 9);
            await server.ExecuteAsync("SET", "a", "b");
        });
        await world.Server.KillAsync();
        string configuration = Path.Combine(world.Server.RootDirectory, "fewer.conf");
        await File.WriteAllTextAsync(configuration, await File.ReadAllTextAsync(world.Server.ConfigurationPath) + "databases 4\n");
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => world.RunAsync(new RedisOfflineOptions { ConfigFile = configuration, BinDirectory = world.BinDirectory }));
        Assert.Equal(SmcErrorCode.SettingUnsuitable, e.Code);
        Assert.Contains("databases 10", e.Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plan_MaxmemoryBelowTheData_IsWarnedOf()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillLittleAsync);
        await world.CommandAsync("CONFIG", "SET", "maxmemory", "100kb");
        RedisRestorePlan plan = await (await world.RestoreAsync()).PlanAsync(world.Observer, CancellationToken.None);
        // It is not in the file, so that the restart takes it back; and that is said.
        Assert.Contains(plan.Warnings, static warning => warning.Contains("maxmemory", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Plan_DirectoryOfAnotherServer_IsRefused()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillLittleAsync);
        using TemporaryDirectory other = new();
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => world.RunAsync(new RedisOfflineOptions { DataDirectory = other.Path }));
        Assert.Equal(SmcErrorCode.TargetUnsuitable, e.Code);
        Assert.Contains(other.Path, e.Message, StringComparison.Ordinal);
    }

    [RootFact]
    public async Task Run_PresentFileOfAnotherOwner_IsTheServersAndKeepsItsMode()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(fill: FillLittleAsync);
        Posix.SetOwner(world.Server.DumpPath, 12345, 12345);
        File.SetUnixFileMode(world.Server.DumpPath, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        await world.RunAsync();
        Assert.Equal((0u, 0u), Posix.GetOwner(world.Server.DumpPath));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead, File.GetUnixFileMode(world.Server.DumpPath));
    }

    [RootFact]
    public async Task Run_NoRoomForTheFile_IsRefusedBeforeTheServerStops()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["enable-protected-configs"] = "local" });
        using SmallFileSystem disk = new(4);
        await MoveToAsync(world, disk.Path);
        try
        {
            SmcException e = await Assert.ThrowsAsync<SmcException>(() => world.RunAsync());
            Assert.Equal(SmcErrorCode.DiskSpaceInsufficient, e.Code);
            Assert.Equal(world.LaterDigest, await world.DigestAsync());
        }
        finally
        {
            await OfflineWorld.KillInAsync(disk.Path);
        }
    }

    [RootFact]
    public async Task Run_DiskFillsMeanwhile_LeavesTheServerAsItWas()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["enable-protected-configs"] = "local" });
        using SmallFileSystem disk = new(32);
        await MoveToAsync(world, disk.Path);
        try
        {
            RedisOfflineOptions options = new()
            {
                AfterStep = step =>
                {
                    if (step == "Begun")
                    {
                        using FileStream filler = File.Create(Path.Combine(disk.Path, "filler"));
                        Assert.Throws<IOException>((Action)(() =>
                        {
                            while (filler.Length < 1 << 30)
                            {
                                filler.Write(new byte[64 << 10]);
                                filler.Flush();
                            }
                        }));
                    }
                },
            };
            SmcException e = await Assert.ThrowsAsync<SmcException>(() => world.RunAsync(options));
            Assert.Equal(SmcErrorCode.DiskSpaceInsufficient, e.Code);
            Assert.Equal(world.LaterDigest, await world.DigestAsync());
            Assert.DoesNotContain(Directory.GetFileSystemEntries(disk.Path), static path => path.Contains("smcdr-restore", StringComparison.Ordinal));
        }
        finally
        {
            await OfflineWorld.KillInAsync(disk.Path);
        }
    }

    [RootFact]
    public async Task Plan_DirectoryThatCannotBeWritten_IsRefused()
    {
        await using OfflineWorld world = await OfflineWorld.CreateAsync(new() { ["enable-protected-configs"] = "local" }, fill: FillLittleAsync);
        using SmallFileSystem disk = new();
        await MoveToAsync(world, disk.Path);
        try
        {
            disk.MakeReadOnly();
            SmcException e = await Assert.ThrowsAsync<SmcException>(() => world.RunAsync());
            Assert.Equal(SmcErrorCode.TargetUnsuitable, e.Code);
            Assert.Contains("Nothing can be written", e.Message, StringComparison.Ordinal);
        }
        finally
        {
            await OfflineWorld.KillInAsync(disk.Path);
        }
    }

    private static void Change(OfflineWorld world, string[] command) => Task.Run(() => world.CommandAsync([.. command])).Wait();

    private static async Task FillLittleAsync(RedisServer server)
    {
        await server.ExecuteAsync("SET", "key", "value");
        await server.ExecuteAsync("HSET", "hash", "field", "value");
        await server.ExecuteAsync("SET", "expires", "later", "PXAT", RedisSampleData.Expiry);
        await server.ExecuteAsync("SELECT", 3);
        await server.ExecuteAsync("RPUSH", "list", "a", "b");
        await server.ExecuteAsync("SELECT", 0);
    }

    /// <summary>As kill -9 does it: nothing of this process goes back, the locks fall, the server stays as it is.</summary>
    private static async Task KillAfterAsync(OfflineWorld world, string after)
    {
        RedisOfflineRestore restore = await world.RestoreAsync(new RedisOfflineOptions
        {
            AfterStep = step =>
            {
                if (step == after)
                {
                    throw new KilledException();
                }
            },
        });
        await Assert.ThrowsAsync<KilledException>(() => restore.RunWithoutGoingBackAsync(world.Observer, CancellationToken.None));
    }

    private static async Task WaitUntilUpAsync(OfflineWorld world)
    {
        while (true)
        {
            try
            {
                await world.CommandAsync("PING");
                return;
            }
            catch (Exception e) when (e is System.Net.Sockets.SocketException or IOException or RedisTestException)
            {
                await Task.Delay(20);
            }
        }
    }

    /// <summary>Has the server keep its data elsewhere, as after CONFIG SET dir.</summary>
    private static async Task MoveToAsync(OfflineWorld world, string path)
    {
        await world.CommandAsync("CONFIG", "SET", "dir", path);
        await world.CommandAsync("SAVE");
    }

    private sealed class KilledException : Exception;
}
