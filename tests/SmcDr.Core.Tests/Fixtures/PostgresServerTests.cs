using System.Diagnostics;
using Npgsql;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>The fixture is trusted by every other test, so it is tested itself.</summary>
public sealed class PostgresServerTests
{
    [Fact]
    public async Task StartAsync_Default_HasChecksumsPasswordAndFsync()
    {
        await using PostgresServer server = await PostgresServer.StartAsync();

        Assert.Equal("on", await server.ScalarAsync<string>("SHOW data_checksums"));
        Assert.Equal("on", await server.ScalarAsync<string>("SHOW fsync"));
        Assert.Equal("16MB", await server.ScalarAsync<string>("SHOW wal_segment_size"));
        NpgsqlConnectionStringBuilder wrong = new(server.ConnectionString) { Password = "wrong", Pooling = false };
        await using NpgsqlConnection connection = new(wrong.ConnectionString);
        PostgresException refused = await Assert.ThrowsAsync<PostgresException>(() => connection.OpenAsync());
        Assert.Equal(PostgresErrorCodes.InvalidPassword, refused.SqlState);
    }

    [Fact]
    public async Task KillAsync_ThenResumeAsync_KeepsCommittedRowsAndTakesTheSamePort()
    {
        await using PostgresServer server = await PostgresServer.StartAsync();
        await server.ExecuteAsync("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2)");
        int port = server.Port;
        int pid = server.ProcessId!.Value;

        await server.KillAsync();
        Assert.Throws<ArgumentException>(() => Process.GetProcessById(pid));
        await server.ResumeAsync();

        Assert.Equal(port, server.Port);
        Assert.Equal(2L, await server.ScalarAsync<long>("SELECT count(*) FROM t"));
        Assert.Contains("was not properly shut down", await server.ReadLogAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RestartAsync_WithSettings_AppliesThem()
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            DataChecksums = false,
            WalSegmentMegabytes = 1,
        });

        await server.RestartAsync(new Dictionary<string, string> { ["wal_level"] = "logical" });

        Assert.Equal("logical", await server.ScalarAsync<string>("SHOW wal_level"));
        Assert.Equal("off", await server.ScalarAsync<string>("SHOW data_checksums"));
        Assert.Equal("1MB", await server.ScalarAsync<string>("SHOW wal_segment_size"));
    }

    [Fact]
    public async Task StartAsync_WithTls_IsVerifiedByItsCertificate()
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions { Tls = true });

        Assert.True(await server.ScalarAsync<bool>("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"));
    }

    [Fact]
    public async Task StartAsync_OnExistingDirectory_TakesPortFromTheCommandLineAndLeavesTheDirectory()
    {
        await using PostgresServer first = await PostgresServer.StartAsync();
        await first.ExecuteAsync("CREATE TABLE t (id int)");
        await first.StopAsync();

        await using (PostgresServer second = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            ExistingDataDirectory = first.DataDirectory,
            Password = first.Password,
            Settings = new Dictionary<string, string> { ["log_line_prefix"] = "it's %m " },
        }))
        {
            Assert.NotEqual(first.Port, second.Port);
            Assert.Equal("it's %m ", await second.ScalarAsync<string>("SHOW log_line_prefix"));
            Assert.Equal(0L, await second.ScalarAsync<long>("SELECT count(*) FROM t"));
        }

        Assert.True(File.Exists(Path.Combine(first.DataDirectory, "PG_VERSION")));
    }

    [Fact]
    public async Task DisposeAsync_WhileRunning_LeavesNeitherProcessNorFile()
    {
        PostgresServer server = await PostgresServer.StartAsync();
        int pid = server.ProcessId!.Value;

        await server.DisposeAsync();

        Assert.Throws<ArgumentException>(() => Process.GetProcessById(pid));
        Assert.False(Directory.Exists(server.RootDirectory));
    }
}
