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

        JsonElement exported = Assert.Single((await RunAsync(
            "export", "table", "public.t", "--database", "postgres", "--out-file", "t.csv", "--work-directory", _place)).EnumerateArray());
        Assert.Equal(1001, exported.GetProperty("rowCount").GetInt64());
        Assert.Equal(1002, (await File.ReadAllLinesAsync(Path.Combine(_directory, "t.csv"))).Length);
        Assert.Equal(data, Assert.Single(Directory.GetDirectories(_place), static d => !d.EndsWith(".smcdr", StringComparison.Ordinal)));

        JsonElement recovery = await RunAsync("test", "recovery", "--work-directory", _place);
        Assert.Equal("Passed", recovery.GetProperty("outcome").GetString());
        Assert.Equal(1001, Assert.Single(recovery.GetProperty("tables").EnumerateArray()).GetProperty("rowCount").GetInt64());
        Assert.Equal(
            recovery.GetProperty("testId").GetString(),
            Assert.Single((await RunAsync("test", "history")).EnumerateArray()).GetProperty("testId").GetString());

        string[] delta = ["restore", "database", "--data-directory", data, "--latest", "--delta", "--no-start"];
        CliRun unasked = await CliRun.InAsync(_directory, delta);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, unasked.ExitCode);
        JsonElement kept = await RunAsync([.. delta, "--yes"]);
        Assert.True(kept.GetProperty("keptBytes").GetInt64() > kept.GetProperty("fetchedBytes").GetInt64());

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
              copies: [{_directory}/copy]
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
        Assert.Equal("Complete", backup.GetProperty("copyState").GetString());
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
        CliRun full = await CliRun.InAsync(_directory, ["backup", "database", "--method", "logical", "--full"]);
        Assert.Contains("--full", full.Error, StringComparison.Ordinal);
        Assert.NotEqual(0, full.ExitCode);
        Assert.All((await RunAsync("test", "backup", "--deep")).EnumerateArray(), static one => Assert.Equal("Passed", one.GetProperty("outcome").GetString()));

        await server.ExecuteAsync("DELETE FROM t WHERE id > 10", "orders");
        JsonElement recovered = await RunAsync("recover", "database", "orders", "--yes");
        Assert.Equal(id, recovered.GetProperty("backupId").GetString());
        Assert.StartsWith("orders_before_", recovered.GetProperty("previousDatabase").GetString(), StringComparison.Ordinal);
        Assert.Equal(1000, await server.ScalarAsync<long>("SELECT count(*) FROM t", "orders"));
        CliRun text = await CliRun.InAsync(_directory, ["restore", "database", "--backup", id, "--clean", "--yes"]);
        Assert.True(text.ExitCode == 0, text.Error);
        Assert.Contains("Verified", text.Out, StringComparison.Ordinal);

        // The emergency backups go when somebody says so, and are nobody's newest.
        string[] emergencies =
        [
            .. (await RunAsync("backup", "list")).EnumerateArray().Where(static one => one.GetProperty("kind").GetString() == "Emergency")
                .Select(static one => one.GetProperty("id").GetString()!),
        ];
        Assert.Equal(2, emergencies.Length);
        foreach (string emergency in emergencies)
        {
            await RunAsync("remove", "backup", emergency, "--yes");
        }

        // Without the repository the copy gives the backup, and nothing is written to it: the present state is kept by its name alone.
        string[] copied = Directory.GetFiles(Path.Combine(_directory, "copy"), "*", SearchOption.AllDirectories);
        Directory.Delete(Path.Combine(_directory, "repository"), recursive: true);
        await server.ExecuteAsync("DELETE FROM t WHERE id > 10", "orders");
        CliRun elsewhere = await CliRun.InAsync(_directory, ["recover", "database", "orders", "--yes", "--json"]);
        Assert.True(elsewhere.ExitCode == 0, elsewhere.Error);
        Assert.Contains("There is no emergency backup", elsewhere.Error, StringComparison.Ordinal);
        Assert.Equal(1000, await server.ScalarAsync<long>("SELECT count(*) FROM t", "orders"));
        Assert.Equal(10, await ReopenAsync(elsewhere.Json.GetProperty("previousDatabase").GetString()!));
        Assert.Equal("Verified", Assert.Single((await RunAsync("restore", "database", "--backup", id, "--target-database", "again")).EnumerateArray())
            .GetProperty("state").GetString());
        Assert.Equal(copied.Order(), Directory.GetFiles(Path.Combine(_directory, "copy"), "*", SearchOption.AllDirectories).Order());
        Assert.False(Directory.Exists(Path.Combine(_directory, "repository")));

        async Task<long> ReopenAsync(string database)
        {
            await server.ExecuteAsync($"ALTER DATABASE \"{database}\" ALLOW_CONNECTIONS true");
            return await server.ScalarAsync<long>("SELECT count(*) FROM t", database);
        }
    }

    [Fact]
    public async Task Commands_RepositoryLost_EverythingWorksFromTheCopy()
    {
        await using PostgresServer server = await PostgresServer.StartAsync();
        await server.ExecuteAsync("CREATE TABLE t AS SELECT generate_series(1, 1000) i");
        Environment.SetEnvironmentVariable(PasswordVariable, server.Password);
        string first = Path.Combine(_directory, "repository");
        string copy = Path.Combine(_directory, "copy");
        string refused = Path.Combine(_directory, "refused");
        await WriteSiteAsync(server, first, copy, refused);
        await StreamAsync();
        Directory.CreateDirectory(refused);
        await Core.Repositories.Repository.OpenOrCreateAsync(new Core.ObjectStores.DirectoryObjectStore(refused), default);

        // One of the two copies is another repository: the backup stands, and the result says that it is not everywhere.
        CliRun backup = await CliRun.InAsync(_directory, ["backup", "database", "--json"]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.CopyIncomplete).ExitCode, backup.ExitCode);
        Assert.Equal("Complete", backup.Json.GetProperty("state").GetString());
        Assert.Equal("Incomplete", backup.Json.GetProperty("copyState").GetString());
        Assert.Contains(refused, backup.Error, StringComparison.Ordinal);
        string id = backup.Json.GetProperty("id").GetString()!;

        await WriteSiteAsync(server, first, copy);
        await server.ExecuteAsync("INSERT INTO t VALUES (1001)");
        await StreamAsync();
        JsonElement[] copied = [.. (await RunAsync("copy", "backup")).EnumerateArray()];
        Assert.Equal([id, await server.ScalarAsync<string>("SELECT system_identifier::text FROM pg_control_system()")], copied.Select(static one => one.GetProperty("id").GetString()));
        Assert.All(copied, static one => Assert.Equal("Complete", one.GetProperty("state").GetString()));
        Assert.Equal(0, copied[0].GetProperty("copiedObjects").GetInt64());
        Assert.NotEqual(0, copied[1].GetProperty("copiedObjects").GetInt64());
        Assert.Equal(2, (await RunAsync("backup", "list", "--include-copies")).GetArrayLength());
        Assert.Equal(1, (await RunAsync("backup", "list")).GetArrayLength());
        JsonElement elsewhere = await RunAsync("copy", "backup", id, "--destination", "elsewhere", "--wal", "None");
        Assert.Equal("Complete", Assert.Single(elsewhere.EnumerateArray()).GetProperty("state").GetString());
        Assert.True(File.Exists(Path.Combine(_directory, "elsewhere", "database", id, "complete")));

        Directory.Delete(first, recursive: true);
        Assert.Equal(id, Assert.Single((await RunAsync("backup", "list")).EnumerateArray()).GetProperty("id").GetString());
        Assert.NotEmpty((await RunAsync("wal", "list")).EnumerateArray());
        Assert.Equal(id, Assert.Single((await RunAsync("window", "list")).EnumerateArray()).GetProperty("backupId").GetString());
        string data = Path.Combine(_place, "data");
        CliRun restore = await CliRun.InAsync(_directory, ["restore", "database", "--data-directory", data, "--no-start", "--json"]);
        Assert.True(restore.ExitCode == 0, restore.Error);
        Assert.Contains(copy, restore.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(first));
        await using PostgresServer restored = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            ExistingDataDirectory = data,
            Password = server.Password,
        });
        Assert.Equal(1001L, await restored.ScalarAsync<long>("SELECT count(*) FROM t"));
    }

    private Task WriteSiteAsync(PostgresServer server, string repository, params string[] copies) =>
        File.WriteAllTextAsync(Path.Combine(_directory, "smcdr.yaml"), $"""
            name: cli-test
            repository:
              location: {repository}
              copies: [{string.Join(", ", copies)}]
            regions:
              here:
                role: primary
                database:
                  connection: "Host=127.0.0.1;Port={server.Port};Username=postgres;SSL Mode=Disable"
                  password: env:{PasswordVariable}
                  slot: smcdr_cli

            """);

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
