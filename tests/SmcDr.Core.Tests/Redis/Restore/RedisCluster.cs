using System.Globalization;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Redis.Restore;

/// <summary>A real cluster of three masters on loopback, made by redis-cli.</summary>
internal sealed class RedisCluster : IAsyncDisposable
{
    private RedisCluster(RedisServer[] masters) => Masters = masters;

    public RedisServer[] Masters { get; }

    public static async Task<RedisCluster> StartAsync()
    {
        RedisCluster cluster = new(new RedisServer[3]);
        try
        {
            for (int i = 0; i < 3; i++)
            {
                cluster.Masters[i] = await RedisServer.StartAsync(new RedisServerOptions
                {
                    Settings = new Dictionary<string, string>
                    {
                        ["cluster-enabled"] = "yes",
                        ["cluster-node-timeout"] = "30000",
                        // By itself it would be ten thousand above the port, which may be no port.
                        ["cluster-port"] = PostgresServer.FreePort().ToString(CultureInfo.InvariantCulture),
                    },
                });
            }

            await cluster.Masters[0].CliAsync(
                ["--cluster", "create", .. cluster.Masters.Select(static master => $"127.0.0.1:{master.Port}"), "--cluster-yes"]);
            foreach (RedisServer master in cluster.Masters)
            {
                while (!(await master.CliAsync("CLUSTER", "INFO")).Contains("cluster_state:ok", StringComparison.Ordinal))
                {
                    await Task.Delay(50);
                }
            }

            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>The master of a key.</summary>
    public async Task<RedisServer> MasterOfAsync(byte[] key)
    {
        long slot = (long)(await Masters[0].ExecuteAsync("CLUSTER", "KEYSLOT", key))!;
        foreach (object? range in (object?[])(await Masters[0].ExecuteAsync("CLUSTER", "SLOTS"))!)
        {
            if (range is object?[] and [long first, long last, object?[] node, ..] && slot >= first && slot <= last)
            {
                return Masters.Single(master => master.Port == (long)node[1]!);
            }
        }

        throw new InvalidOperationException($"Nobody has the slot {slot}.");
    }

    /// <summary>How many keys all of them have.</summary>
    public async Task<long> CountAsync()
    {
        long count = 0;
        foreach (RedisServer master in Masters)
        {
            count += (long)(await master.ExecuteAsync("DBSIZE"))!;
        }

        return count;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (RedisServer? master in Masters)
        {
            if (master is not null)
            {
                await master.DisposeAsync();
            }
        }
    }
}
