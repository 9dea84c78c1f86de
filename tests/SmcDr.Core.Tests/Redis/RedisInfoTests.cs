using SmcDr.Core.Redis;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Tests.Redis;

public sealed class RedisInfoTests
{
    [Fact]
    public void Parse_Master_GivesReplicasAndDatabases()
    {
        RedisInfo info = RedisInfo.Parse(
            "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\r\n# Replication\r\nrole:master\r\nconnected_slaves:2\r\n" +
            "slave0:ip=10.0.0.2,port=6379,state=online,offset=140,lag=1\r\nslave1:ip=fe80::1,port=6380,state=wait_bgsave,offset=0,lag=0\r\n" +
            "slave2:ip=10.0.0.4,port=99999,state=online,offset=0,lag=0\r\nslave_expires_tracked_keys:0\r\nslave3:nonsense\r\n" +
            "executable:/a:b/redis-server\r\n# Keyspace\r\ndb11:keys=3,expires=1,avg_ttl=0,subexpiry=0\r\ndb0:keys=4000000000,expires=0,avg_ttl=0\r\ndbx:1\r\n");
        Assert.Equal("7.0.15", info.Version);
        Assert.True(info.IsMaster);
        Assert.Equal(
            [new RedisReplica("10.0.0.2", 6379, true, 140, 1), new RedisReplica("fe80::1", 6380, false, 0, 0)], info.Replicas);
        Assert.Equal([new RedisDatabaseSize(0, 4_000_000_000, 0), new RedisDatabaseSize(11, 3, 1)], info.Databases);
        Assert.Equal("/a:b/redis-server", info["executable"]);
        Assert.Null(info.Number("role"));
    }

    [Theory]
    [InlineData("role:slave\r\nmaster_link_status:up\r\nmaster_sync_in_progress:0\r\n", true)]
    [InlineData("role:slave\r\nmaster_link_status:up\r\nmaster_sync_in_progress:1\r\n", false)]
    [InlineData("role:slave\r\nmaster_link_status:down\r\nmaster_sync_in_progress:0\r\n", false)]
    public void IsLinkUp_Replica_IsTrueOnlyWithAllData(string text, bool expected) => Assert.Equal(expected, RedisInfo.Parse(text).IsLinkUp);

    [Theory]
    [InlineData("")]
    [InlineData("\r\n:\r\n::\r\n#\r\nx\r\n:y\r\ndb:\r\ndb0:\r\nslave0:\r\n")]
    public void Parse_Nonsense_GivesNothingAndDoesNotFail(string text) => Assert.Equal("unknown", RedisInfo.Parse(text).Version);
}
