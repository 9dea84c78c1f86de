using System.Net.Sockets;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Redis;
using SmcDr.Core.Regions;
using SmcDr.Core.Regions.Failback;
using SmcDr.Core.Regions.Failover;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Tests.Redis;

namespace SmcDr.Core.Tests.Regions;

/// <summary>What a switch of regions does with Redis, between real servers.</summary>
public sealed class RedisSwitchTests
{
    private readonly RecordingObserver _observer = new();

    [LinuxFact]
    public async Task Promote_MasterThatCannotBePaused_SaysWhatFollowsFromThat()
    {
        await using RedisServer east = await RedisServer.StartAsync();
        await using RedisServer west = await RedisServer.StartAsync();
        await west.ExecuteAsync("REPLICAOF", "127.0.0.1", $"{east.Port}");
        await east.ExecuteAsync("SET", "key", "value");
        await east.ExecuteAsync("ACL", "SETUSER", "default", "-client|pause");

        string detail = await PromoteAsync(CreateSite(Endpoint(east), Endpoint(west)));

        Assert.Contains("what was written to that since is lost, as it could not be paused", detail, StringComparison.Ordinal);
        string warning = Assert.Single(_observer.Warnings, static one => one.Contains("could not be paused", StringComparison.Ordinal));
        Assert.Contains("NOPERM", warning, StringComparison.Ordinal);
        Assert.Contains("role:master", await west.InfoAsync("replication"), StringComparison.Ordinal);
        Assert.Equal("value", (await west.CliAsync("GET", "key")).Trim());
    }

    [LinuxFact]
    public async Task Promote_MasterThatIsPaused_HasAllChanges()
    {
        await using RedisServer east = await RedisServer.StartAsync();
        await using RedisServer west = await RedisServer.StartAsync();
        await west.ExecuteAsync("REPLICAOF", "127.0.0.1", $"{east.Port}");
        await east.ExecuteAsync("SET", "key", "value");

        Assert.Equal(
            "It is a master, with all changes of the old one.", await PromoteAsync(CreateSite(Endpoint(east), Endpoint(west))));
        Assert.DoesNotContain(_observer.Warnings, static one => one.Contains("could not be paused", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task FollowAsync_SettingsOfAnotherMasterAreLeft_TheyKeepItFromNothing(bool isTls)
    {
        await using RedisServer east = await RedisServer.StartAsync();
        await using RedisServer west = await RedisServer.StartAsync(new RedisServerOptions { Tls = isTls });
        await east.ExecuteAsync("SET", "key", "value");
        await west.ExecuteAsync("CONFIG", "SET", "masteruser", "gone");
        await west.ExecuteAsync("CONFIG", "SET", "masterauth", "gone");
        if (isTls)
        {
            await west.ExecuteAsync("CONFIG", "SET", "tls-ca-cert-file", west.CertificatePath!);
            await west.ExecuteAsync("CONFIG", "SET", "tls-replication", "yes");
        }

        Site site = CreateSite(Endpoint(east), Endpoint(west));
        RegionReplicaResult result = await RedisFollowing.FollowAsync(
            site,
            new SecretResolver(),
            new RegionReplicaPlan
            {
                Request = new RegionReplicaRequest
                {
                    Repository = await Repository.OpenOrCreateAsync(new MemoryObjectStore(), default), Program = [], Force = true,
                },
                Leader = site.Regions["east"],
                Follower = site.Regions["west"],
            },
            _observer,
            default);

        Assert.Equal("Up", result.Link);
        Assert.Equal("value", (await west.CliAsync("GET", "key")).Trim());
    }

    /// <summary>A network that changes a byte on its way, in the middle of a value, where only the checksum tells.</summary>
    [LinuxFact]
    public async Task KeepRdb_DamagedOnItsWay_IsRefused()
    {
        await using RedisServer east = await RedisServer.StartAsync();
        await east.ExecuteAsync("SET", "key", "a-value-that-is-intact");
        await using LoopbackListener network = new(async client =>
        {
            using TcpClient server = new();
            await server.ConnectAsync("127.0.0.1", east.Port);
            using (client)
            {
                await Task.WhenAny(CopyAsync(client.GetStream(), server.GetStream(), false), CopyAsync(server.GetStream(), client.GetStream(), true));
            }
        });
        using TemporaryDirectory directory = new();
        string path = Path.Combine(directory.Path, "redis.rdb");

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => RejoinRedisStep.KeepRdbAsync(
            CreateSite($"127.0.0.1:{network.EndPoint.Port}", Endpoint(east)).CreateRedisConnector(new SecretResolver(), "east"),
            path,
            _observer,
            default));

        Assert.Contains("checksum", e.Message, StringComparison.Ordinal);
        Assert.Contains("Nothing of that Redis was overwritten", e.Recommendation, StringComparison.Ordinal);
        await RejoinRedisStep.KeepRdbAsync(
            CreateSite(Endpoint(east), Endpoint(east)).CreateRedisConnector(new SecretResolver(), "east"), path, _observer, default);
        Assert.True((await File.ReadAllBytesAsync(path)).AsSpan().IndexOf("a-value-that-is-intact"u8) > 0);
    }

    private static async Task CopyAsync(NetworkStream from, NetworkStream to, bool isDamaged)
    {
        byte[] buffer = new byte[64 << 10];
        try
        {
            while (await from.ReadAsync(buffer) is > 0 and int length)
            {
                // An RDB of one key comes in one piece.
                if (isDamaged && buffer.AsSpan(0, length).IndexOf("is-intact"u8) is >= 0 and int at)
                {
                    buffer[at] ^= 1;
                }

                await to.WriteAsync(buffer.AsMemory(0, length));
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // One side has closed.
        }
    }

    private static string Endpoint(RedisServer server) => $"127.0.0.1:{server.Port}" +
        (server.CertificatePath is { } file ? $"\", tls: true, serverName: localhost, caFile: \"{file}" : "");

    private static Site CreateSite(string east, string west) => SiteFile.Parse(
        $$"""
        name: caches
        repository: { location: "file:///srv/repository" }
        regions:
          east: { role: primary, redis: { endpoint: "{{east}}" } }
          west: { role: standby, redis: { endpoint: "{{west}}" } }
        """,
        "/etc/smcdr.yaml");

    private async Task<string> PromoteAsync(Site site)
    {
        SitePlanContext context = new()
        {
            Site = site,
            Secrets = new SecretResolver(),
            Repository = await Repository.OpenOrCreateAsync(new MemoryObjectStore(), default),
            Observer = _observer,
        };
        RegionFailoverIntent intent = new() { From = "east", To = "west", Planned = true, Epoch = 1, SystemId = "1", Timeline = 1 };
        return await new PromoteRedisStep(new FailoverWork(context, intent)).ActAsync(
            new StepContext(PromoteRedisStep.StepKey, null, false, new StepOutputs(), static (_, _) => Task.CompletedTask, _observer), default);
    }
}
