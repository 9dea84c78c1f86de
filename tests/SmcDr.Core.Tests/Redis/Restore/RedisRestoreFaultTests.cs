using System.Diagnostics;
using System.Globalization;
using SmcDr.Core.Redis;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Redis.Restore;

/// <summary>What stands in the way before a restore, and what breaks it off: either nothing was changed, or it is said how much was.</summary>
public sealed class RedisRestoreFaultTests
{
    private readonly RestoreLab _lab = new();

    [Fact]
    public async Task Restore_WrongPasswordOrNone_IsRefused()
    {
        BackupReader backup = await SmallBackupAsync();
        await using RedisServer target = await RedisServer.StartAsync(new RedisServerOptions { Password = "secret-word" });
        SmcException error = await SmcErrorCode.AuthenticationFailed.ThrowsAsync(
            () => _lab.RestoreAsync(backup, RestoreLab.Connect(target.Port, null, "wrong-word")));
        Assert.DoesNotContain("wrong-word", error.ToString(), StringComparison.Ordinal);
        await SmcErrorCode.AuthenticationFailed.ThrowsAsync(() => _lab.RestoreAsync(backup, target));
        Assert.Equal("Complete", (await _lab.RestoreAsync(backup, RestoreLab.Connect(target.Port, null, "secret-word"))).State);
    }

    [Fact]
    public async Task Restore_Tls_Works()
    {
        BackupReader backup = await SmallBackupAsync();
        await using RedisServer target = await RedisServer.StartAsync(new RedisServerOptions { Tls = true, Password = "secret-word" });
        RedisConnectorOptions tls = new() { Tls = new RedisTlsOptions { CaFile = target.CertificatePath } };
        Assert.Equal(("Complete", true), (await _lab.RestoreAsync(backup, RestoreLab.Connect(target.Port, tls, "secret-word"))) is var result ? (result.State, result.Verified) : default);
        await SmcErrorCode.AuthenticationFailed.ThrowsAsync(
            () => _lab.RestoreAsync(backup, RestoreLab.Connect(target.Port, new() { Tls = new RedisTlsOptions() }, "secret-word")));
    }

    [Fact]
    public async Task Restore_UserWithLeastPrivilege_IsEnoughAndAllThatIsMissingIsNamedAtOnce()
    {
        await using RedisServer source = await RedisServer.StartAsync();
        await source.ExecuteManyAsync([["FUNCTION", "LOAD", Rdb.RedisSampleData.LibraryCode], ["SET", "k", "v"], ["SELECT", "3"], ["SET", "three", "x"]]);
        BackupReader backup = await _lab.BackupAsync(source);
        const string Rules = "+info +time +select +restore +flushall +function|restore +dump +pexpiretime";
        await using RedisServer target = await StartAsync(lines: [$"user restore on >secret-word ~* -@all {Rules}"]);
        RedisConnector connector = RestoreLab.Connect(target.Port, new() { Username = "restore" }, "secret-word");
        await target.ExecuteAsync("SET", "other", "x");
        string before = await RestoreLab.DigestAsync(target);

        await target.ExecuteAsync("ACL", "SETUSER", "restore", "-restore", "-flushall", "-time", "-select", "-function|restore");
        SmcException error = await SmcErrorCode.PrivilegeMissing.ThrowsAsync(() => _lab.RestoreAsync(backup, connector, new() { Empty = true }));
        Assert.Contains("ACL SETUSER restore +flushall +function|restore +restore +select +time", error.Recommendation, StringComparison.Ordinal);
        Assert.Equal(before, await RestoreLab.DigestAsync(target));

        // As it was told.
        await target.ExecuteAsync("ACL", "SETUSER", "restore", "+flushall", "+function|restore", "+restore", "+select", "+time");
        RedisRestoreResult result = await _lab.RestoreAsync(backup, connector, new() { Empty = true });
        Assert.Equal(("Complete", true, 2L, 1), (result.State, result.Verified, result.KeysRestored, result.Functions));
        Assert.Equal(await RestoreLab.DigestAsync(source), await RestoreLab.DigestAsync(target));

        // Without the right to read it is not known whether it is right, and that is said.
        await target.ExecuteAsync("ACL", "SETUSER", "restore", "-dump");
        result = await _lab.RestoreAsync(backup, connector);
        Assert.Equal(("Complete", null, 0L), (result.State, result.Verified, result.SampledKeys));
        Assert.Contains(_lab.Observer.Warnings, static warning => warning.Contains("+dump", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Restore_UserThatMayTouchSomeKeysOnly_RestoresThese()
    {
        await using RedisServer source = await RedisServer.StartAsync();
        await RestoreLab.FillAsync(source, 20, prefix: "mine:");
        await RestoreLab.FillAsync(source, 5, prefix: "theirs:");
        BackupReader backup = await _lab.BackupAsync(source);
        await using RedisServer target = await StartAsync(lines: ["user restore on >secret-word ~mine:* +@all"]);
        RedisConnector connector = RestoreLab.Connect(target.Port, new() { Username = "restore" }, "secret-word");

        RedisRestoreResult result = await _lab.RestoreAsync(backup, connector);
        Assert.Equal(("Partial", 20L, 5L), (result.State, result.KeysRestored, result.KeysFailed));
        Assert.Contains("theirs:", Assert.Single(result.Problems), StringComparison.Ordinal);

        result = await _lab.RestoreAsync(backup, connector, new() { KeyPatterns = ["mine:*"] });
        Assert.Equal(("Complete", true, 20L), (result.State, result.Verified, result.KeysRestored));
    }

    [Fact]
    public async Task Restore_RenamedCommands_AreFoundByTheMap()
    {
        BackupReader backup = await SmallBackupAsync();
        await using RedisServer target = await StartAsync(
            lines: ["rename-command RESTORE hidden-restore", "rename-command FLUSHALL \"\"", "rename-command CONFIG hidden-config"]);
        SmcException error = await SmcErrorCode.SettingUnsuitable.ThrowsAsync(() => _lab.RestoreAsync(backup, target));
        Assert.Contains("rename-command", error.Recommendation, StringComparison.Ordinal);
        RedisConnectorOptions options = new()
        {
            RenamedCommands = new Dictionary<string, string> { ["RESTORE"] = "hidden-restore", ["FLUSHALL"] = "", ["CONFIG"] = "hidden-config" },
        };
        Assert.Equal("Complete", (await _lab.RestoreAsync(backup, RestoreLab.Connect(target.Port, options))).State);
        await SmcErrorCode.SettingUnsuitable.ThrowsAsync(() => _lab.RestoreAsync(backup, RestoreLab.Connect(target.Port, options), new() { Empty = true }));
    }

    [Fact]
    public async Task Trap739_Replica_IsRefusedAndItsMasterNamed()
    {
        BackupReader backup = await SmallBackupAsync();
        await using RedisServer master = await RedisServer.StartAsync();
        await using RedisServer replica = await StartAsync(new() { ["replicaof"] = $"127.0.0.1 {master.Port}" });
        SmcException error = await SmcErrorCode.TargetIsReplica.ThrowsAsync(() => _lab.RestoreAsync(backup, replica));
        Assert.Contains($"127.0.0.1:{master.Port}", error.Message, StringComparison.Ordinal);

        RedisRestorePlan plan = await _lab.PlanAsync(backup, RestoreLab.Connect(master.Port));
        Assert.Contains("1 replica receives the same from it.", plan.Describe());
        await _lab.RestoreAsync(backup, master);
        await UntilAsync(async () => await RestoreLab.DigestAsync(replica) == await RestoreLab.DigestAsync(master));
    }

    [Fact]
    public async Task Trap739_Sentinel_IsNoticedAndSaidToBeSuspended()
    {
        BackupReader backup = await SmallBackupAsync();
        await using RedisServer master = await RedisServer.StartAsync();
        await using RedisServer sentinel = await StartAsync(
            lines: [$"sentinel monitor main 127.0.0.1 {master.Port} 1"], isSentinel: true);
        await UntilAsync(async () => (await master.CliAsync("CLIENT", "LIST")).Contains("name=sentinel-", StringComparison.Ordinal));

        RedisRestorePlan plan = await _lab.PlanAsync(backup, RestoreLab.Connect(master.Port));
        Assert.Contains("1 Sentinel watches", plan.SuspendFirst, StringComparison.Ordinal);
        Assert.Contains("down-after-milliseconds", plan.Describe()[^1], StringComparison.Ordinal);
        RedisRestoreResult result = await _lab.RestoreAsync(backup, master);
        Assert.Equal((plan.SuspendFirst, 1), (result.SuspendFirst, result.WarningCount));

        // And by its subscription, where clients may not be listed.
        await master.ExecuteAsync("ACL", "SETUSER", "restore", "on", ">secret-word", "~*", "&*", "+@all", "-client|list");
        await UntilAsync(async () => (long)((object?[])(await master.ExecuteAsync("PUBSUB", "NUMSUB", "__sentinel__:hello"))!)[1]! == 1);
        plan = await _lab.PlanAsync(backup, RestoreLab.Connect(master.Port, new() { Username = "restore" }, "secret-word"));
        Assert.NotNull(plan.SuspendFirst);

        SmcException error = await SmcErrorCode.SettingUnsuitable.ThrowsAsync(() => _lab.RestoreAsync(backup, sentinel));
        Assert.Contains("SENTINEL GET-MASTER-ADDR-BY-NAME", error.Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Trap7310_MemoryThatClearlyCannotBeEnough_IsRefusedBeforeAnythingIsChanged()
    {
        BackupReader backup = await BigBackupAsync();
        await using RedisServer target = await StartAsync(new() { ["maxmemory"] = "10mb" });
        await target.ExecuteAsync("SET", "k", "v");
        SmcException error = await SmcErrorCode.TargetMemoryInsufficient.ThrowsAsync(() => _lab.RestoreAsync(backup, target, new() { Empty = true }));
        Assert.Contains("by maxmemory", error.Message, StringComparison.Ordinal);
        Assert.Equal(1L, await target.ExecuteAsync("DBSIZE"));

        // What would fit is let in.
        RedisRestoreResult result = await _lab.RestoreAsync(backup, target, new() { KeyPatterns = ["key:1?"] });
        Assert.Equal(("Complete", 10L), (result.State, result.KeysRestored));
    }

    [Fact]
    public async Task Trap7310_MemoryRunsOutInTheMiddle_SaysExactlyWhatIsThere()
    {
        BackupReader backup = await BigBackupAsync();
        await using RedisServer target = await RedisServer.StartAsync();
        // So that it is not seen beforehand.
        RecordingObserver observer = new() { At = (1 << 20, () => target.CliAsync("CONFIG", "SET", "maxmemory", "12mb").GetAwaiter().GetResult()) };

        SmcException error = await SmcErrorCode.TargetMemoryInsufficient.ThrowsAsync(
            () => _lab.RestoreAsync(backup, RestoreLab.Connect(target.Port), observer: observer));

        long there = (long)(await target.ExecuteAsync("DBSIZE"))!;
        Assert.InRange(there, 1, 19_999);
        Assert.Contains(Said(there), error.Message, StringComparison.Ordinal);
        Assert.Contains("maxmemory", error.Recommendation, StringComparison.Ordinal);

        await target.ExecuteAsync("CONFIG", "SET", "maxmemory", 0);
        RedisRestoreResult result = await _lab.RestoreAsync(backup, target);
        Assert.Equal(("Complete", true, 20_000L), (result.State, result.Verified, result.KeysRestored));
    }

    [Fact]
    public async Task Trap7310_PolicyThatEvicts_IsWarnedOfAndEvictedKeysAreCounted()
    {
        BackupReader backup = await BigBackupAsync();
        await using RedisServer target = await StartAsync(new() { ["maxmemory"] = "12mb", ["maxmemory-policy"] = "allkeys-random" });

        RedisRestorePlan plan = await _lab.PlanAsync(backup, RestoreLab.Connect(target.Port));
        Assert.Contains(plan.Warnings, static warning => warning.Contains("the policy allkeys-random would then remove keys", StringComparison.Ordinal));
        RedisRestoreResult result = await _lab.RestoreAsync(backup, target);

        Assert.Equal(("Partial", false), (result.State, result.Verified));
        long evicted = await target.InfoNumberAsync("stats", "evicted_keys");
        Assert.Contains(result.Problems, problem => problem.Contains(
            string.Create(CultureInfo.InvariantCulture, $"has removed {evicted:N0} keys meanwhile"), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Trap735_ServerThatCannotSave_IsRefusedBeforeAnythingIsChanged()
    {
        BackupReader backup = await SmallBackupAsync();
        await using RedisServer target = await StartAsync(new() { ["save"] = "3600 1" });
        await target.ExecuteAsync("SET", "k", "v");
        Directory.CreateDirectory(target.DumpPath);
        await target.ExecuteAsync("BGSAVE");
        await UntilAsync(async () => (await target.InfoAsync("persistence")).Contains("rdb_last_bgsave_status:err", StringComparison.Ordinal));

        SmcException error = await SmcErrorCode.SettingUnsuitable.ThrowsAsync(() => _lab.RestoreAsync(backup, target, new() { Empty = true }));

        Assert.Contains("could not save", error.Message, StringComparison.Ordinal);
        Assert.Equal(1L, await target.ExecuteAsync("DBSIZE"));
    }

    [Fact]
    public async Task Restore_TooFewReplicas_IsRefusedBeforeAnythingIsChanged()
    {
        BackupReader backup = await SmallBackupAsync();
        await using RedisServer target = await StartAsync(new() { ["min-replicas-to-write"] = "1" });
        SmcException error = await SmcErrorCode.SettingUnsuitable.ThrowsAsync(() => _lab.RestoreAsync(backup, target));
        Assert.Contains("min-replicas-to-write", error.Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Restore_ReplicasFallBehindForAWhile_GoesOn()
    {
        BackupReader backup = await BigBackupAsync();
        await using RedisServer target = await RedisServer.StartAsync();
        RecordingObserver observer = new()
        {
            At = (1 << 20, () =>
            {
                target.CliAsync("CONFIG", "SET", "min-replicas-to-write", "1").GetAwaiter().GetResult();
                _ = Task.Run(async () =>
                {
                    await UntilAsync(async () => (await target.InfoAsync("errorstats")).Contains("errorstat_NOREPLICAS", StringComparison.Ordinal));
                    await target.ExecuteAsync("CONFIG", "SET", "min-replicas-to-write", "0");
                });
            }),
        };

        RedisRestoreResult result = await _lab.RestoreAsync(backup, RestoreLab.Connect(target.Port), observer: observer);

        Assert.Equal(("Complete", true, 20_000L), (result.State, result.Verified, result.KeysRestored));
        Assert.Contains("errorstat_NOREPLICAS", await target.InfoAsync("errorstats"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Restore_ServerHasTooFewDatabases_IsRefused()
    {
        await using RedisServer source = await RedisServer.StartAsync();
        await source.ExecuteManyAsync([["SET", "zero", "x"], ["SELECT", "9"], ["SET", "nine", "x"]]);
        BackupReader backup = await _lab.BackupAsync(source);
        await using RedisServer target = await StartAsync(new() { ["databases"] = "4" });
        SmcException error = await SmcErrorCode.SettingUnsuitable.ThrowsAsync(() => _lab.RestoreAsync(backup, target));
        Assert.Contains("no database 9", error.Message, StringComparison.Ordinal);
        Assert.Equal("Complete", (await _lab.RestoreAsync(backup, target, new() { Databases = [0] })).State);
    }

    [Fact]
    public async Task Restore_ConnectionCutInTheMiddle_GoesOnWhereItWas()
    {
        BackupReader backup = await BigBackupAsync();
        string digest = _digest!;
        await using RedisServer target = await RedisServer.StartAsync();
        await using NetworkProxy proxy = new(target.Port);
        RecordingObserver observer = new()
        {
            At = (1 << 20, () =>
            {
                proxy.Cut();
                proxy.Heal();
            }),
        };

        RedisRestoreResult result = await _lab.RestoreAsync(backup, new RedisConnector($"127.0.0.1:{proxy.Port}"), observer: observer);

        Assert.Equal(("Complete", true, 20_000L), (result.State, result.Verified, result.KeysRestored));
        Assert.Equal(digest, await RestoreLab.DigestAsync(target));
        Assert.Contains(observer.Verboses, static message => message.Contains("is made again", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Restore_ConnectionCutForGood_SaysWhatIsThereAtLeastAndAtMost()
    {
        BackupReader backup = await BigBackupAsync();
        await using RedisServer target = await RedisServer.StartAsync();
        await using NetworkProxy proxy = new(target.Port);
        RecordingObserver observer = new() { At = (1 << 20, proxy.Cut) };

        SmcException error = await SmcErrorCode.RestoreInterrupted.ThrowsAsync(() => _lab.RestoreAsync(
            backup, new RedisConnector($"127.0.0.1:{proxy.Port}"), new() { ReconnectTimeout = TimeSpan.FromSeconds(1) }, observer));

        Assert.Contains("run the same command again", error.Recommendation, StringComparison.Ordinal);
        string[] numbers = [.. System.Text.RegularExpressions.Regex.Matches(error.Message, "now: ([0-9,]+) of 20,000 keys(?:, and perhaps up to ([0-9,]+) more)?")
            .SelectMany(static match => match.Groups.Values.Skip(1)).Select(static group => group.Value)];
        long least = long.Parse(numbers[0], NumberStyles.AllowThousands, CultureInfo.InvariantCulture);
        long more = numbers[1].Length == 0 ? 0 : long.Parse(numbers[1], NumberStyles.AllowThousands, CultureInfo.InvariantCulture);
        Assert.InRange((long)(await target.ExecuteAsync("DBSIZE"))!, least, least + more);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Restore_ServerKilledInTheMiddle_IsInterruptedAndTheSameAgainCompletes(bool comesBack)
    {
        BackupReader backup = await BigBackupAsync();
        await using RedisServer target = await RedisServer.StartAsync();
        Task? resumed = null;
        RecordingObserver observer = new()
        {
            At = (1 << 20, () =>
            {
                target.KillAsync().GetAwaiter().GetResult();
                resumed = comesBack ? target.ResumeAsync() : null;
            }),
        };

        SmcException error = await SmcErrorCode.RestoreInterrupted.ThrowsAsync(() => _lab.RestoreAsync(
            backup, RestoreLab.Connect(target.Port), new() { ReconnectTimeout = TimeSpan.FromSeconds(comesBack ? 30 : 1) }, observer));

        Assert.Contains("a part of the backup now", error.Message, StringComparison.Ordinal);
        Assert.Equal(comesBack, error.Message.Contains("was started again", StringComparison.Ordinal));
        await (resumed ?? target.ResumeAsync());
        Assert.Equal("Complete", (await _lab.RestoreAsync(backup, target)).State);
        Assert.Equal(_digest, await RestoreLab.DigestAsync(target));
    }

    [Fact]
    public async Task Restore_Cancelled_StopsAndSaysExactlyWhatIsThere()
    {
        BackupReader backup = await BigBackupAsync();
        await using RedisServer target = await RedisServer.StartAsync();
        using CancellationTokenSource stop = new();
        RecordingObserver observer = new() { At = (1 << 20, stop.Cancel) };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => _lab.RestoreAsync(backup, RestoreLab.Connect(target.Port), observer: observer, token: stop.Token));

        long there = (long)(await target.ExecuteAsync("DBSIZE"))!;
        Assert.Contains(Said(there), Assert.Single(observer.Warnings), StringComparison.Ordinal);
        Assert.Single(observer.Progresses, static progress => progress.IsCompleted);
        await UntilAsync(async () => await target.InfoNumberAsync("clients", "connected_clients") == 1);
    }

    [Fact]
    public async Task Restore_RepositoryFailsInTheMiddle_SaysWhatIsThere()
    {
        BackupReader backup = await BigBackupAsync();
        await using RedisServer target = await RedisServer.StartAsync();
        foreach (string pack in _lab.Store.Keys.Where(static key => key.Contains("pack", StringComparison.Ordinal)).ToArray())
        {
            _lab.Store[pack].AsSpan(_lab.Store[pack].Length * 9 / 10).Clear();
        }

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => _lab.RestoreAsync(backup, target));

        Assert.True(SmcErrors.IsDamage(error.Code), error.ToString());
        long there = (long)(await target.ExecuteAsync("DBSIZE"))!;
        Assert.InRange(there, 1, 19_999);
        Assert.Contains(Said(there), error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Restore_ServerIsLoading_IsWaitedFor()
    {
        BackupReader backup = await SmallBackupAsync();
        await using RedisServer target = await RedisServer.StartAsync();
        await RestoreLab.FillAsync(target, 3000);
        await target.SaveAsync();
        await target.ExecuteAsync("CONFIG", "SET", "key-load-delay", 1000, "loading-process-events-interval-bytes", 1024);
        await using RedisTestClient client = await target.ConnectAsync();
        Task loading = client.ExecuteAsync("DEBUG", "RELOAD", "NOSAVE");
        await UntilAsync(async () => await target.InfoNumberAsync("persistence", "loading") == 1);

        SmcException error = await SmcErrorCode.ServerUnavailable.ThrowsAsync(
            () => _lab.RestoreAsync(backup, target, new() { LoadingTimeout = TimeSpan.Zero }));
        Assert.Contains("loading", error.Message, StringComparison.Ordinal);
        Task<RedisRestoreResult> restore = _lab.RestoreAsync(backup, target);
        await UntilAsync(() => Task.FromResult(_lab.Observer.Verboses.Any(static message => message.Contains("is loading", StringComparison.Ordinal))));
        Assert.False(restore.IsCompleted);
        await target.ExecuteAsync("CONFIG", "SET", "key-load-delay", 0);
        Assert.Equal("Complete", (await restore).State);
        await loading;
    }

    [Fact]
    public async Task Restore_OptionsThatMakeNoSense_AreRefused()
    {
        BackupReader backup = await SmallBackupAsync();
        foreach (RedisRestoreOptions options in (RedisRestoreOptions[])
            [new() { Databases = [-1] }, new() { KeyPatterns = [""] }, new() { Parallelism = 0 }, new() { Parallelism = 65 }])
        {
            Assert.Equal(SmcErrorCode.ArgumentInvalid, Assert.Throws<SmcException>(() => new RedisOnlineRestore(new RedisConnector("localhost:1"), backup, options)).Code);
        }
    }

    private static string Said(long keys) => string.Create(CultureInfo.InvariantCulture, $"a part of the backup now: {keys:N0} of 20,000 keys.");

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        Stopwatch watch = Stopwatch.StartNew();
        while (!await condition())
        {
            Assert.True(watch.Elapsed < TimeSpan.FromMinutes(1), "It does not come to that.");
            await Task.Delay(20);
        }
    }

    private static Task<RedisServer> StartAsync(
        Dictionary<string, string>? settings = null, IReadOnlyList<string>? lines = null, bool isSentinel = false) =>
        RedisServer.StartAsync(new RedisServerOptions { Settings = settings ?? [], Lines = lines ?? [], IsSentinel = isSentinel });

    private Task<BackupReader> SmallBackupAsync() =>
        _lab.StoreAsync(new Rdb.RdbBuilder().Key(Core.Redis.Rdb.RdbEncoding.String, "k", Rdb.RdbBuilder.String("v")).Build());

    private string? _digest;

    /// <summary>20,000 keys in 22 MB, which is some blocks of the repository.</summary>
    private async Task<BackupReader> BigBackupAsync()
    {
        await using RedisServer source = await RedisServer.StartAsync();
        await RestoreLab.FillAsync(source, 20_000, 1_100);
        _digest = await RestoreLab.DigestAsync(source);
        return await _lab.BackupAsync(source);
    }
}
