using System.Text;

namespace SmcDr.Core.Tests.Redis;

public sealed class RedisServerTests
{
    [Fact]
    public async Task StartAsync_WithPasswordAndTls_AnswersBothClientsAndKeepsWhatItSaved()
    {
        await using RedisServer server = await RedisServer.StartAsync(new RedisServerOptions { Password = "secret of a test", Tls = true });
        await server.ExecuteAsync("SET", "key", new byte[] { 0, 13, 10, 255 });
        Assert.Equal("1\n", await server.CliAsync("DBSIZE"));
        byte[] file = await server.SaveAsync();
        Assert.Equal("REDIS0010", Encoding.ASCII.GetString(file, 0, 9));

        await server.KillAsync();
        Assert.Null(server.ProcessId);
        await server.ResumeAsync();
        Assert.Equal(new byte[] { 0, 13, 10, 255 }, (byte[]?)await server.ExecuteAsync("GET", "key"));
        await server.StopAsync();
        Assert.False(File.ReadAllText(server.LogPath).Contains("crashed", StringComparison.Ordinal));
    }
}
