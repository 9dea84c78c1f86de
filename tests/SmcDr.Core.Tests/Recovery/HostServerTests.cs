using System.Diagnostics;
using System.Globalization;
using Npgsql;
using SmcDr.Core.Platform;
using SmcDr.Core.Recovery;
using SmcDr.Core.Tests.Fixtures;
using PostgresPrograms = SmcDr.Core.Recovery.PostgresPrograms;
using TestPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.Recovery;

public sealed class HostServerTests : IAsyncLifetime
{
    private readonly string _root = TestPrograms.CreateDirectory();
    private HostServer? _server;

    private string Data => Path.Combine(_root, "da ta's");

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.EndAsync();
        }

        Directory.Delete(_root, recursive: true);
    }

    [Fact]
    public async Task StartAsync_NewCluster_TakesConnectionsAndStops()
    {
        HostServer server = await CreateAsync();
        int port = PostgresServer.FreePort();

        RunningServer running = await server.StartAsync(Settings(port), null, TimeSpan.FromSeconds(60), default);

        Assert.True(HostServer.IsRunning(Data));
        Assert.Equal(port, running.Port);
        Assert.Equal("it's", await QueryAsync(port, "SHOW \"smc.text\""));
        await server.StopAsync(StopMode.Fast, TimeSpan.FromSeconds(60), default);
        Assert.False(HostServer.IsRunning(Data));
        Assert.False(File.Exists(Path.Combine(Data, "postmaster.pid")));
    }

    [LinuxFact]
    public async Task EndAsync_ServerRuns_LeavesNoSharedMemory()
    {
        HostServer server = await CreateAsync();
        await server.StartAsync(Settings(PostgresServer.FreePort()), null, TimeSpan.FromSeconds(60), default);
        int memory = HostServer.FindSharedMemory(Data) ?? throw new InvalidOperationException("The lock file names no shared memory.");
        Assert.Contains(memory, SharedMemory());

        await server.EndAsync();

        Assert.False(HostServer.IsRunning(Data));
        Assert.DoesNotContain(memory, SharedMemory());
    }

    [LinuxFact]
    public async Task EndAsync_ServerHangs_KillsIt()
    {
        HostServer server = await CreateAsync();
        RunningServer running = await server.StartAsync(Settings(PostgresServer.FreePort()), null, TimeSpan.FromSeconds(60), default);
        using (Process stop = Process.Start("kill", ["-STOP", running.ProcessId.ToString(CultureInfo.InvariantCulture)]))
        {
            await stop.WaitForExitAsync();
        }

        int? memory = HostServer.FindSharedMemory(Data);

        await server.EndAsync();

        Assert.False(HostServer.IsRunning(Data));
        Posix.RemoveSharedMemory(Assert.NotNull(memory));
    }

    [Fact]
    public async Task StartAsync_RunningAlready_IsRefused()
    {
        HostServer server = await CreateAsync();
        await server.StartAsync(Settings(PostgresServer.FreePort()), null, TimeSpan.FromSeconds(60), default);

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => server.StartAsync(null, null, null, default));

        Assert.Equal(SmcErrorCode.TargetInUse, e.Code);
        Assert.True(HostServer.IsRunning(Data));
    }

    [LinuxFact]
    public async Task IsServerOf_LockFileGoesOnWhileItIsLookedAt_IsTheServer()
    {
        HostServer server = await CreateAsync();
        RunningServer running = await server.StartAsync(Settings(PostgresServer.FreePort()), null, TimeSpan.FromSeconds(60), default);
        string content = await File.ReadAllTextAsync(Path.Combine(Data, "postmaster.pid"));
        string[] lines = content.Split('\n');

        Assert.Contains("ready", lines[7], StringComparison.Ordinal);
        Assert.True(HostServer.IsServerOf(running.ProcessId, content));
        Assert.True(HostServer.IsServerOf(running.ProcessId, content.Replace(lines[7], "starting", StringComparison.Ordinal)));
        Assert.False(HostServer.IsServerOf(running.ProcessId, content.Replace(lines[2], "1763800000", StringComparison.Ordinal)));
    }

    [LinuxFact]
    public async Task IsOurs_OptionsFileNotWrittenYet_KnowsTheServerByItsCommandLine()
    {
        HostServer server = await CreateAsync();
        await server.StartAsync(
            new Dictionary<string, string>(Settings(PostgresServer.FreePort())) { ["cluster_name"] = "operation-4711" }, null, TimeSpan.FromSeconds(60), default);
        File.Delete(Path.Combine(Data, "postmaster.opts"));

        Assert.True(HostRecoveryRun.IsOurs(Data, Progress("operation-4711")));
        Assert.False(HostRecoveryRun.IsOurs(Data, Progress("operation-4712")));
        Assert.False(HostRecoveryRun.IsOurs(Data, null));

        RecoveryProgress Progress(string operationId)
        {
            RecoveryProgress progress = new();
            progress.Apply(new RecoveryJournalEntry
            {
                Phase = RecoveryPhase.Moved,
                Time = DateTimeOffset.UtcNow,
                Intent = new RecoveryIntent
                {
                    OperationId = operationId,
                    StartTime = DateTimeOffset.UtcNow,
                    RepositoryId = Guid.Empty,
                    SystemId = "1",
                    BackupId = "20261122T081500Z-full",
                    Target = "Latest",
                    TargetKind = "Latest",
                    DataDirectory = Data,
                    RestoreBytes = 0,
                    WalBytes = 0,
                },
            });
            return progress;
        }
    }

    [Fact]
    public async Task StartAsync_BadSetting_QuotesTheLog()
    {
        HostServer server = await CreateAsync();

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => server.StartAsync(
            new Dictionary<string, string> { ["max_connections"] = "many" }, null, TimeSpan.FromSeconds(60), default));

        Assert.Equal(SmcErrorCode.ServerStartFailed, e.Code);
        Assert.Contains("max_connections", e.Message, StringComparison.Ordinal);
        Assert.False(HostServer.IsRunning(Data));
    }

    [Fact]
    public async Task StartAsync_Cancelled_LeavesNoServerBehind()
    {
        HostServer server = await CreateAsync();
        using CancellationTokenSource source = new();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => server.StartAsync(
            Settings(PostgresServer.FreePort()),
            _ =>
            {
                source.Cancel();
                return false;
            },
            null,
            source.Token));

        Assert.False(HostServer.IsRunning(Data));
    }

    [Fact]
    public async Task KillAsync_LeavesAStaleLockFileThatIsRecognised()
    {
        HostServer server = await CreateAsync();
        int port = PostgresServer.FreePort();
        await server.StartAsync(Settings(port), null, TimeSpan.FromSeconds(60), default);

        await server.KillAsync(default);

        Assert.True(File.Exists(Path.Combine(Data, "postmaster.pid")));
        Assert.False(HostServer.IsRunning(Data));
        await server.StartAsync(Settings(port), null, TimeSpan.FromSeconds(60), default);
        Assert.True(HostServer.IsRunning(Data));
    }

    [Fact]
    public async Task IsRunning_LockFileNamesAnotherProgramsProcess_IsStale()
    {
        await CreateAsync();
        await File.WriteAllTextAsync(
            Path.Combine(Data, "postmaster.pid"), $"{Environment.ProcessId}\n{Data}\n1700000000\n5432\n\n\n\nready\n");

        Assert.False(HostServer.IsRunning(Data));
    }

    [Fact]
    public async Task IsRunning_LockFileNamesAnotherServersProcess_IsStale()
    {
        HostServer server = await CreateAsync();
        RunningServer running = await server.StartAsync(Settings(PostgresServer.FreePort()), null, TimeSpan.FromSeconds(60), default);
        string other = Path.Combine(_root, "other");
        Directory.CreateDirectory(other);
        await File.WriteAllTextAsync(
            Path.Combine(other, "postmaster.pid"), $"{running.ProcessId}\n{other}\n1700000000\n5432\n\n\n\nready\n");

        Assert.False(HostServer.IsRunning(other));
    }

    [Fact]
    public async Task IsRunning_ThroughALink_SeesTheServer()
    {
        HostServer server = await CreateAsync();
        await server.StartAsync(Settings(PostgresServer.FreePort()), null, TimeSpan.FromSeconds(60), default);
        string link = Path.Combine(_root, "link");
        File.CreateSymbolicLink(link, Data);

        Assert.True(HostServer.IsRunning(link));
    }

    [Fact]
    public async Task StartAsync_Server_IsASessionOfItsOwn()
    {
        HostServer server = await CreateAsync();
        RunningServer running = await server.StartAsync(Settings(PostgresServer.FreePort()), null, TimeSpan.FromSeconds(60), default);

        // Field 6 of stat is the session (proc(5)): with ours, Ctrl+C in a terminal would stop the server as well.
        string theirs = (await File.ReadAllTextAsync($"/proc/{running.ProcessId}/stat")).Split(") ")[1].Split(' ')[3];
        string ours = (await File.ReadAllTextAsync("/proc/self/stat")).Split(") ")[1].Split(' ')[3];
        Assert.NotEqual(ours, theirs);
    }

    [Fact]
    public async Task InitializeAsync_DirectoryNotEmpty_IsRefused()
    {
        HostServer server = await CreateAsync();

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => server.InitializeAsync(new InitializeOptions(), default));

        Assert.Equal(SmcErrorCode.TargetNotEmpty, e.Code);
    }

    [Theory]
    [InlineData("a$HOME")]
    [InlineData("a`id`")]
    [InlineData("a\"b")]
    public async Task Constructor_PathThatPgCtlWouldHandToAShell_IsRefused(string name)
    {
        PostgresPrograms programs = await PostgresPrograms.FindAsync(TestPrograms.BinDirectory, null, default);

        SmcException e = Assert.Throws<SmcException>(() => new HostServer(programs, Path.Combine(_root, name)));

        Assert.Equal(SmcErrorCode.TargetUnsuitable, e.Code);
    }

    private static Dictionary<string, string> Settings(int port) => new()
    {
        ["port"] = port.ToString(System.Globalization.CultureInfo.InvariantCulture),
        ["listen_addresses"] = "127.0.0.1",
        ["unix_socket_directories"] = "",
        ["smc.text"] = "it's",
    };

    private static async Task<string> QueryAsync(int port, string sql)
    {
        await using NpgsqlConnection connection = new($"Host=127.0.0.1;Port={port};Username=postgres;Pooling=false");
        await connection.OpenAsync();
        await using NpgsqlCommand command = new(sql, connection);
        return (string)(await command.ExecuteScalarAsync())!;
    }

    private async Task<HostServer> CreateAsync()
    {
        PostgresPrograms programs = await PostgresPrograms.FindAsync(TestPrograms.BinDirectory, null, default);
        _server = new HostServer(programs, Data);
        await _server.InitializeAsync(new InitializeOptions { Authentication = "trust", Sync = false }, default);
        return _server;
    }

    /// <summary>The identifiers of all segments; the second column.</summary>
    private static IEnumerable<int> SharedMemory() => File.ReadLines("/proc/sysvipc/shm").Skip(1).Select(
        static line => int.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture));
}
