using System.Text.Json;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Cli;

/// <summary>The commands one after the other against a real server, as a runbook would call them.</summary>
public sealed class CliDatabaseTests : IDisposable
{
    private const string PasswordVariable = "SMCDR_TEST_CLI_PASSWORD";
    private readonly string _directory = Directory.CreateTempSubdirectory("smcdr-test-cli-").FullName;
    private readonly string _place = PostgresPrograms.CreateDirectory();

    public CliDatabaseTests()
    {
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_directory, File.GetUnixFileMode(_directory) | UnixFileMode.OtherExecute);
        }
    }

    public void Dispose()
    {
        Directory.Delete(_directory, recursive: true);
        Directory.Delete(_place, recursive: true);
    }

    [Fact]
    public async Task Commands_StreamBackUpListAndRestore_WorkTogetherThroughJson()
    {
        await using PostgresServer server = await PostgresServer.StartAsync();
        await server.ExecuteAsync("CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 1000)");
        Environment.SetEnvironmentVariable(PasswordVariable, server.Password);
        await File.WriteAllTextAsync(Path.Combine(_directory, "smcdr.yaml"), $"""
            name: cli-test
            repository:
              location: file://{_directory}/repository
            regions:
              here:
                role: primary
                database:
                  connection: "Host=127.0.0.1;Port={server.Port};Username=postgres;SSL Mode=Disable"
                  password: env:{PasswordVariable}
                  slot: smcdr_cli

            """);

        JsonElement test = await RunAsync("site", "test");
        Assert.Contains(test.EnumerateArray(), static check => check.GetProperty("outcome").GetString() == "Passed");
        await StreamAsync();
        JsonElement backup = await RunAsync("backup", "database", "--label", "before the change");
        string id = backup.GetProperty("id").GetString()!;
        Assert.Equal("Complete", backup.GetProperty("state").GetString());
        Assert.Equal("before the change", backup.GetProperty("label").GetString());
        Assert.True(backup.GetProperty("durationSeconds").GetDouble() > 0);
        await server.ExecuteAsync("INSERT INTO t VALUES (1001)");
        await StreamAsync();

        Assert.Equal(id, Assert.Single((await RunAsync("backup", "list")).EnumerateArray()).GetProperty("id").GetString());
        Assert.NotEmpty((await RunAsync("wal", "list")).EnumerateArray());
        JsonElement window = Assert.Single((await RunAsync("window", "list")).EnumerateArray());
        Assert.Equal(id, window.GetProperty("backupId").GetString());
        Assert.Equal(JsonValueKind.Null, window.GetProperty("gap").ValueKind);

        string data = Path.Combine(_place, "data");
        JsonElement plan = await RunAsync("restore", "database", "--data-directory", data, "--dry-run");
        Assert.Equal(id, plan.GetProperty("backupId").GetString());
        Assert.False(Directory.Exists(data));
        JsonElement result = await RunAsync("restore", "database", "--data-directory", data, "--latest", "--no-start");
        Assert.Equal("Latest", result.GetProperty("targetKind").GetString());
        Assert.False(result.GetProperty("serverRunning").GetBoolean());

        CliRun again = await CliRun.InAsync(_directory, ["restore", "database", "--data-directory", data, "--immediate", "--force"]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, again.ExitCode);
        Assert.Contains("--yes", again.Error, StringComparison.Ordinal);
        await using PostgresServer restored = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            ExistingDataDirectory = data,
            Password = server.Password,
        });
        Assert.Equal(1001L, await restored.ScalarAsync<long>("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task Commands_LogicalBackupRestoreAndRecover_WorkTogether()
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false });
        await server.ExecuteAsync("CREATE DATABASE orders");
        await server.ExecuteAsync("CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 1000)", "orders");
        Environment.SetEnvironmentVariable(PasswordVariable, server.Password);
        await File.WriteAllTextAsync(Path.Combine(_directory, "smcdr.yaml"), $"""
            name: cli-test
            repository:
              location: file://{_directory}/repository
            regions:
              here:
                role: primary
                database:
                  connection: "Host=127.0.0.1;Port={server.Port};Username=postgres;SSL Mode=Disable"
                  password: env:{PasswordVariable}
                  binDirectory: {PostgresPrograms.BinDirectory}

            """);

        JsonElement backup = await RunAsync("backup", "database", "--method", "logical", "--database", "orders", "--exact-row-count");
        string id = backup.GetProperty("id").GetString()!;
        Assert.Equal("Logical", backup.GetProperty("kind").GetString());
        Assert.Equal("Emergency", (await RunAsync("backup", "database", "--emergency")).GetProperty("kind").GetString());

        Assert.Equal("Create", (await RunAsync("restore", "database", "--backup", id, "--target-database", "copy", "--dry-run"))
            .GetProperty("databases")[0].GetProperty("mode").GetString());
        JsonElement result = Assert.Single((await RunAsync("restore", "database", "--backup", id, "--target-database", "copy", "-j", "2")).EnumerateArray());
        Assert.Equal("Verified", result.GetProperty("state").GetString());
        Assert.Equal(1000, await server.ScalarAsync<long>("SELECT count(*) FROM t", "copy"));

        // What would be dropped asks first, and nobody is there to answer.
        CliRun unasked = await CliRun.InAsync(_directory, ["restore", "database", "--backup", id, "--clean"]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, unasked.ExitCode);
        CliRun mixed = await CliRun.InAsync(_directory, ["restore", "database", "--backup", id, "--latest"]);
        Assert.Contains("--latest", mixed.Error, StringComparison.Ordinal);
        CliRun physical = await CliRun.InAsync(_directory, ["backup", "database", "--database", "orders"]);
        Assert.Contains("--method logical", physical.Error, StringComparison.Ordinal);

        await server.ExecuteAsync("DELETE FROM t WHERE id > 10", "orders");
        JsonElement recovered = await RunAsync("recover", "database", "orders", "--yes");
        Assert.Equal(id, recovered.GetProperty("backupId").GetString());
        Assert.StartsWith("orders_before_", recovered.GetProperty("previousDatabase").GetString(), StringComparison.Ordinal);
        Assert.Equal(1000, await server.ScalarAsync<long>("SELECT count(*) FROM t", "orders"));
        CliRun text = await CliRun.InAsync(_directory, ["restore", "database", "--backup", id, "--clean", "--yes"]);
        Assert.True(text.ExitCode == 0, text.Error);
        Assert.Contains("Verified", text.Out, StringComparison.Ordinal);
    }

    private async Task StreamAsync()
    {
        CliRun run = await CliRun.InAsync(_directory, ["wal", "stream", "--once", "--json"]);
        Assert.True(run.ExitCode == 0, run.Error);
        string[] lines = run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("Stopped", JsonDocument.Parse(lines[^1]).RootElement.GetProperty("state").GetString());
    }

    private async Task<JsonElement> RunAsync(params string[] arguments)
    {
        CliRun run = await CliRun.InAsync(_directory, [.. arguments, "--json"]);
        Assert.True(run.ExitCode == 0, $"{string.Join(' ', arguments)}: {run.Error}");
        return run.Json;
    }
}
