using System.Text;
using SmcDr.Core.Redis;

namespace SmcDr.Core.Tests.Redis;

public sealed class RedisErrorsTests
{
    [Theory]
    [InlineData("NOAUTH Authentication required.", SmcErrorCode.AuthenticationFailed, "secret reference")]
    [InlineData("WRONGPASS invalid username-password pair or user is disabled.", SmcErrorCode.AuthenticationFailed, "ACL LIST")]
    [InlineData("NOPERM User x has no permissions to run the 'config|get' command", SmcErrorCode.PrivilegeMissing, "+config|get")]
    [InlineData("DENIED Redis is running in protected mode because", SmcErrorCode.SettingUnsuitable, "password")]
    [InlineData("LOADING Redis is loading the dataset in memory", SmcErrorCode.ServerUnavailable, "loading:0")]
    [InlineData("BUSY Redis is busy running a script.", SmcErrorCode.ServerUnavailable, "SCRIPT KILL")]
    [InlineData("NOMASTERLINK Can't SYNC while not connected with my master", SmcErrorCode.ServerUnavailable, "master_link_status")]
    [InlineData("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", SmcErrorCode.ServerUnavailable, "master")]
    [InlineData("MISCONF Redis is configured to save RDB snapshots", SmcErrorCode.SettingUnsuitable, "BGSAVE")]
    [InlineData("READONLY You can't write against a read only replica.", SmcErrorCode.TargetIsReplica, "master")]
    [InlineData("MOVED 3999 127.0.0.1:6381", SmcErrorCode.SettingUnsuitable, "CLUSTER SHARDS")]
    [InlineData("OOM command not allowed when used memory > 'maxmemory'.", SmcErrorCode.TargetMemoryInsufficient, "maxmemory")]
    [InlineData("NOREPLICAS Not enough good replicas to write.", SmcErrorCode.SettingUnsuitable, "min-replicas-to-write")]
    [InlineData("BUSYKEY Target key name already exists.", SmcErrorCode.TargetNotEmpty, "Replace")]
    [InlineData("ERR unknown command 'CONFIG', with args beginning with: 'GET' 'x'", SmcErrorCode.SettingUnsuitable, "rename-command")]
    [InlineData("ERR max number of clients reached", SmcErrorCode.ServerUnavailable, "maxclients")]
    [InlineData("ERR something else", SmcErrorCode.SettingUnsuitable, "message")]
    public void Translate_ServersAnswer_SaysWhatToDo(string text, SmcErrorCode code, string recommended)
    {
        SmcException error = RedisErrors.Translate(Reply(text), "redis:6379", "user 'backup'", "CONFIG GET");
        Assert.Equal(code, error.Code);
        Assert.Contains("redis:6379", error.Message, StringComparison.Ordinal);
        Assert.Contains(recommended, error.Recommendation, StringComparison.Ordinal);
        Assert.EndsWith(".", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Translate_UnknownCommandRepeatingItsArguments_DoesNotRepeatThem()
    {
        SmcException error = RedisErrors.Translate(
            Reply("ERR unknown command 'AUTH', with args beginning with: 'backup' 'hunter2'"), "redis:6379", "user 'backup'", "AUTH");
        Assert.DoesNotContain("hunter2", error + error.Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public void Clean_ControlCharactersAndLength_AreTamed()
    {
        string clean = RedisErrors.Clean("ERR \u001b[31m" + new string('x', 5000));
        Assert.DoesNotContain('\u001b', clean);
        Assert.InRange(clean.Length, 1, 400);
    }

    [Theory]
    [InlineData("redis:6379", "redis", 6379, "redis:6379")]
    [InlineData("redis", "redis", 6379, "redis:6379")]
    [InlineData("[::1]:7000", "::1", 7000, "[::1]:7000")]
    [InlineData("[::1]", "::1", 6379, "[::1]:6379")]
    public void RedisConnector_Endpoint_IsHostAndPort(string endpoint, string host, int port, string display)
    {
        RedisConnector connector = new(endpoint);
        Assert.Equal((host, port, display), (connector.Host, connector.Port, connector.Display));
    }

    [Theory]
    [InlineData("redis:0")]
    [InlineData("redis:65536")]
    [InlineData(":6379")]
    [InlineData("::1:6379")]
    [InlineData("redis://user:hunter2@host:6379")]
    [InlineData("user:hunter2@host:6379")]
    public void RedisConnector_NoEndpoint_IsRefusedWithoutRepeatingIt(string endpoint)
    {
        SmcException error = Assert.Throws<SmcException>(() => new RedisConnector(endpoint));
        Assert.Equal(SmcErrorCode.SiteInvalid, error.Code);
        Assert.DoesNotContain("hunter2", error.Message, StringComparison.Ordinal);
    }

    private static RedisReply Reply(string text) => RedisReply.FromError(Encoding.UTF8.GetBytes(text));
}
