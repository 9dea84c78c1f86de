using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Operations;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Tests.Kubernetes;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.Recovery.Pods;

/// <summary>Redis in StatefulSets of a real cluster, backed up and restored from outside.</summary>
public sealed class RedisPodRestoreTests(PodLab lab, ITestOutputHelper output) : IClassFixture<PodLab>
{
    private readonly RecordingObserver _observer = new();

    [ClusterFact]
    public async Task RunAsync_OnlineThroughAForwardedPort_BringsEverythingBack()
    {
        PodRedis redis = await PodRedis.CreateAsync(lab, "online");

        RedisRestoreResult result = await (await redis.OnlineAsync()).RunAsync(_observer, default);

        Assert.Equal(("Complete", 2004L, true), (result.State, result.KeysRestored, result.Verified));
        Assert.Equal(redis.Digest, await redis.DigestAsync());
    }

    [ClusterTheory]
    [InlineData("rdb", "dump.rdb")]
    [InlineData("aof", "appendonlydir", "--appendonly", "yes")]
    public async Task RunAsync_Offline_BringsEverythingBack_AndTheOldDataIsKept(string name, string placed, params string[] arguments)
    {
        PodRedis redis = await PodRedis.CreateAsync(lab, name, arguments);
        IRedisRestore restore = await redis.OfflineAsync();

        RedisRestorePlan plan = await restore.PlanAsync(NullObserver.Instance, default);
        string[] lines = [.. plan.Describe()];
        string? untouched = await redis.LaterAsync();
        RedisRestoreResult result = await restore.RunAsync(_observer, default);
        string files = await redis.ShellAsync("ls -A /data");
        output.WriteLine($"{string.Join('\n', lines)}\n{string.Join('\n', _observer.Verboses)}\n{result}\n{files}");

        Assert.Contains(lines, line => line.Contains($"'statefulset/{name}'", StringComparison.Ordinal) && line.Contains("to 0", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.Contains($"'data-{name}-0'", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.Contains($"'{placed}'", StringComparison.Ordinal));
        Assert.Equal("than the backup", untouched);
        Assert.Equal(("Complete", 2004L, RedisRestoreMethod.Offline), (result.State, result.KeysRestored, result.Method));
        Assert.Equal((true, 0L), (result.Verified, result.MismatchedKeys));
        Assert.InRange(result.SampledKeys, 900, 1000);
        Assert.Equal(redis.Digest, await redis.DigestAsync());
        Assert.Contains($"{placed}.before-", files, StringComparison.Ordinal);
        Assert.DoesNotContain("smcdr-restore", files, StringComparison.Ordinal);
        Assert.Equal("redis:redis\n", await redis.ShellAsync($"stat -c %U:%G /data/{placed}"));
        Assert.False(await redis.HasHelperAsync());
        Assert.Equal(("Running", 1, null), ((await redis.InfoAsync()).State, (await redis.InfoAsync()).Replicas, (await redis.InfoAsync()).SuspendedTime));

        // What the server writes and loads from now on is its own.
        await redis.ExecuteAsync(new SmcDr.Core.Redis.RedisCommand("SET", "later", "again"));
        await new ClusterWorkloads(lab.Cluster.Client, lab.Namespace).SuspendAsync(redis.Workload, default);
        await redis.ResumeAsync();
        Assert.Equal("again", await redis.LaterAsync());
    }

    [ClusterFact]
    public async Task RunAsync_InterruptedAfterEachStep_GoesOn_AndNothingIsLostMeanwhile()
    {
        PodRedis redis = await PodRedis.CreateAsync(lab, "broken-off");
        foreach (string at in new[] { "Begun", "Fetched" })
        {
            await InterruptAsync(redis, at);
            Assert.False(await redis.HasHelperAsync());
            Assert.Equal(("Suspended", 1), ((await redis.InfoAsync()).State, (await redis.InfoAsync()).RememberedReplicas));

            // Whoever goes back instead finds Redis as it was.
            await redis.ResumeAsync();
            Assert.Equal("than the backup", await redis.LaterAsync());
        }

        await InterruptAsync(redis, "Exchanged");
        await InterruptAsync(redis, "Placed");
        RedisRestorePlan plan = await (await redis.OfflineAsync()).PlanAsync(NullObserver.Instance, default);
        RedisRestoreResult result = await (await redis.OfflineAsync()).RunAsync(_observer, default);
        string files = await redis.ShellAsync("ls -A /data");
        output.WriteLine(files);

        Assert.Null(plan.TargetKeyCount);
        Assert.Equal("Complete", result.State);
        Assert.Equal(redis.Digest, await redis.DigestAsync());
        Assert.Contains("dump.rdb.before-", files, StringComparison.Ordinal);
        Assert.DoesNotContain("smcdr-restore", files, StringComparison.Ordinal);
    }

    [ClusterFact]
    public async Task RunAsync_ServerThatDoesNotStartWithIt_GetsBackWhatItHad()
    {
        PodRedis redis = await PodRedis.CreateAsync(lab, "does-not-start");
        // Damaged behind our back, when it was proven already.
        IRedisRestore restore = await redis.OfflineAsync(step =>
        {
            if (step == "Exchanged")
            {
                redis.ShellAsync("printf 'no RDB at all' > /data/dump.rdb", HelperPod.NameOf(redis.Workload)).GetAwaiter().GetResult();
            }
        });

        SmcException failure = await Assert.ThrowsAsync<SmcException>(() => restore.RunAsync(_observer, default));
        string files = await redis.ShellAsync("ls -A /data");
        output.WriteLine($"{failure.Message}\n{files}");

        Assert.Equal(SmcErrorCode.RestoreUndone, failure.Code);
        Assert.Contains("Wrong signature", failure.Message, StringComparison.Ordinal);
        Assert.Equal("than the backup", await redis.LaterAsync());
        Assert.Contains("dump.rdb.restored-", files, StringComparison.Ordinal);
        Assert.DoesNotContain(".before-", files, StringComparison.Ordinal);
        Assert.DoesNotContain("smcdr-restore", files, StringComparison.Ordinal);
        Assert.False(await redis.HasHelperAsync());
    }

    private static async Task InterruptAsync(PodRedis redis, string at)
    {
        IRedisRestore restore = await redis.OfflineAsync(step => _ = step == at ? throw new InvalidOperationException("Interrupted.") : step);
        InvalidOperationException interruption = await Assert.ThrowsAsync<InvalidOperationException>(() => restore.RunAsync(NullObserver.Instance, default));
        Assert.Equal("Interrupted.", interruption.Message);
    }
}
