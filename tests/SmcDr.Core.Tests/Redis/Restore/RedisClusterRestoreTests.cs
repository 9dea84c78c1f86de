using System.Globalization;
using System.Text;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Redis.Rdb;

namespace SmcDr.Core.Tests.Redis.Restore;

public sealed class RedisClusterRestoreTests
{
    private readonly RestoreLab _lab = new();

    [Fact]
    public async Task Trap7311_Cluster_GetsEachKeyOnTheMasterThatHasItsSlot()
    {
        await using RedisServer source = await RedisServer.StartAsync();
        await RedisSampleData.FillAsync(source);
        await source.ExecuteManyAsync([["SET", "{user:1}.name", "x"], ["SET", "{user:1}.city", "x"], ["SET", "{}a", "x"], ["SET", "a{b", "x"], ["SET", "{b}{c}", "x"]]);
        BackupReader backup = await _lab.BackupAsync(source);
        await using RedisCluster cluster = await RedisCluster.StartAsync();
        await cluster.Masters[1].ExecuteAsync("FUNCTION", "LOAD", "#!lua name=old\nredis.register_function('old', function() return 1 end)\n");
        string endpoint = $"127.0.0.1:{cluster.Masters[2].Port}";

        // Databases other than 0 a cluster does not have.
        SmcException error = await SmcErrorCode.TargetUnsuitable.ThrowsAsync(() => _lab.RestoreAsync(backup, new Core.Redis.RedisConnector(endpoint)));
        Assert.Contains("databases 3, 15", error.Message, StringComparison.Ordinal);

        RedisRestorePlan plan = await _lab.PlanAsync(backup, new Core.Redis.RedisConnector(endpoint), new() { Databases = [0] });
        Assert.Contains("with 3 masters", plan.Steps[0], StringComparison.Ordinal);
        RedisRestoreResult result = await _lab.RestoreAsync(backup, new Core.Redis.RedisConnector(endpoint), new() { Databases = [0] });

        long keys = (long)(await source.ExecuteAsync("DBSIZE"))!;
        Assert.Equal(("Complete", true, keys, "0"), (result.State, result.Verified, result.KeysRestored, result.Databases));
        Assert.Equal(keys, await cluster.CountAsync());
        foreach (object? key in (object?[])(await source.ExecuteAsync("KEYS", "*"))!)
        {
            byte[] name = (byte[])key!;
            RedisServer master = await cluster.MasterOfAsync(name);
            Assert.Equal(1L, await master.ExecuteAsync("EXISTS", name));
            Assert.Equal((long)(await master.ExecuteAsync("CLUSTER", "KEYSLOT", name))!, HashSlot.Of(name));
        }

        // And all of it again into a cluster that is emptied first.
        result = await _lab.RestoreAsync(await SmallBackupAsync(1000), new Core.Redis.RedisConnector(endpoint), new() { Empty = true });
        Assert.Equal(("Complete", true, 1000L), (result.State, result.Verified, result.KeysRestored));
        Assert.Equal(1000, await cluster.CountAsync());
    }

    [Fact]
    public async Task Trap7311_SlotMovesMeanwhile_IsFollowed()
    {
        BackupReader backup = await SmallBackupAsync(20_000, withLarge: true);
        await using RedisCluster cluster = await RedisCluster.StartAsync();
        RedisServer from = cluster.Masters[0];
        RedisServer to = cluster.Masters[1];
        string fromId = Encoding.UTF8.GetString((byte[])(await from.ExecuteAsync("CLUSTER", "MYID"))!);
        string toId = Encoding.UTF8.GetString((byte[])(await to.ExecuteAsync("CLUSTER", "MYID"))!);
        int[] slots = [.. Enumerable.Range(0, 20_000).Select(static i => HashSlot.Of(Encoding.ASCII.GetBytes($"key:{i}")))];

        // One that is moving: keys that are not there yet belong to its new master already. The others have moved when they are written.
        HashSet<int> first = [.. ((object?[])((object?[])(await from.ExecuteAsync("CLUSTER", "SHARDS"))!)
            .Cast<object?[]>().Single(shard => Encoding.UTF8.GetString((byte[])((object?[])((object?[])shard[3]!)[0]!)[1]!) == fromId)[1]!)
            .Chunk(2).SelectMany(static range => Enumerable.Range((int)(long)range[0]!, (int)((long)range[1]! - (long)range[0]! + 1)))];
        int moving = slots.First(first.Contains);
        int[] moved = [.. slots.Where(slot => first.Contains(slot) && slot != moving).Distinct().Take(500)];
        await to.ExecuteAsync("CLUSTER", "SETSLOT", moving, "IMPORTING", fromId);
        await from.ExecuteAsync("CLUSTER", "SETSLOT", moving, "MIGRATING", toId);
        ActionObserver observer = new(
            () =>
            {
                foreach (RedisServer master in (RedisServer[])[to, from])
                {
                    master.ExecuteManyAsync([.. moved.Select(slot => new object[] { "CLUSTER", "SETSLOT", slot, "NODE", toId })]).GetAwaiter().GetResult();
                }
            },
            "Emptying");

        RedisRestoreResult result = await new RedisOnlineRestore(
            new Core.Redis.RedisConnector($"127.0.0.1:{from.Port}"), backup, new() { Empty = true }).RunAsync(observer, default);

        Assert.True(result.KeysRestored == 20_001, string.Join(' ', result.Problems));
        Assert.Equal(20_001, await cluster.CountAsync());
        Assert.Equal(0L, await from.ExecuteAsync("CLUSTER", "COUNTKEYSINSLOT", moving));
        Assert.Equal((long)slots.Count(slot => slot == moving), await to.ExecuteAsync("CLUSTER", "COUNTKEYSINSLOT", moving));
    }

    [Fact]
    public async Task Restore_ClusterWithoutAllSlots_IsRefused()
    {
        await using RedisCluster cluster = await RedisCluster.StartAsync();
        await cluster.Masters[0].ExecuteAsync("CLUSTER", "DELSLOTS", 0, 1, 2);
        BackupReader backup = await SmallBackupAsync(10);
        SmcException error = await SmcErrorCode.TargetUnsuitable.ThrowsAsync(
            () => _lab.RestoreAsync(backup, new Core.Redis.RedisConnector($"127.0.0.1:{cluster.Masters[0].Port}")));
        Assert.Contains("3 of its 16384 slots have no master", error.Message, StringComparison.Ordinal);
    }

    private Task<BackupReader> SmallBackupAsync(int keys, bool withLarge = false)
    {
        RdbBuilder builder = new();
        for (int i = 0; i < keys; i++)
        {
            builder.Key(RdbEncoding.String, string.Create(CultureInfo.InvariantCulture, $"key:{i}"), RdbBuilder.String("a value of some length"));
        }

        if (withLarge)
        {
            builder.Key(RdbEncoding.String, "large{key:1}", RdbBuilder.String(new string('x', 2_000_000)));
        }

        return _lab.StoreAsync(builder.Build());
    }
}
