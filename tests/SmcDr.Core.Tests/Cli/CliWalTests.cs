using System.Text.Json;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.Wal;

namespace SmcDr.Core.Tests.Cli;

/// <summary>Import and search from the command line, against a real server.</summary>
public sealed class CliWalTests : IDisposable
{
    private const string PasswordVariable = "SMCDR_TEST_CLI_WAL_PASSWORD";
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Commands_ImportFindAndPlan_WorkTogether()
    {
        await using PostgresServer server = await PostgresServer.StartAsync();
        Environment.SetEnvironmentVariable(PasswordVariable, server.Password);
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $"""
            name: cli-wal
            repository:
              location: file://{_directory.Path}/repository
            regions:
              here:
                role: primary
                database:
                  connection: "Host=127.0.0.1;Port={server.Port};Username=postgres;SSL Mode=Disable"
                  password: env:{PasswordVariable}
                  slot: smcdr_cli_wal

            """);
        await server.ExecuteAsync("CREATE TABLE t AS SELECT generate_series(1, 1500) AS id; CREATE TABLE lost (id int)");
        await RunAsync(0, "backup", "database");
        await server.ExecuteAsync("CHECKPOINT");
        await server.ExecuteAsync("DROP TABLE lost");
        await server.ExecuteAsync("DELETE FROM t");
        await server.ExecuteAsync("SELECT pg_switch_wal()");
        string source = Directory.CreateDirectory(Path.Combine(_directory.Path, "archive")).FullName;
        string end = await server.ScalarAsync<string>("SELECT pg_walfile_name(pg_current_wal_insert_lsn())");
        foreach (string path in Directory.GetFiles(Path.Combine(server.DataDirectory, "pg_wal"), "0000000100000000*"))
        {
            if (string.CompareOrdinal(Path.GetFileName(path), end) < 0)
            {
                File.Copy(path, Path.Combine(source, Path.GetFileName(path)));
            }
        }

        CliRun dryRun = await CliRun.InAsync(_directory.Path, ["wal", "import", "archive", "--dry-run"]);
        Assert.Contains("WAL segments", dryRun.Out, StringComparison.Ordinal);
        JsonElement imported = await RunAsync(0, "wal", "import", "archive");
        Assert.Equal("Complete", imported.GetProperty("state").GetString());
        Assert.True(imported.GetProperty("importedCount").GetInt64() > 0);
        await File.WriteAllTextAsync(Path.Combine(source, "0000000100000000000000EE"), "cut off");
        JsonElement partial = await RunAsync(3, "wal", "import", "archive");
        Assert.Equal("SmcWalInvalid", Assert.Single(partial.GetProperty("refused").EnumerateArray()).GetProperty("errorId").GetString());

        JsonElement dropped = Assert.Single((await RunAsync(0, "wal", "find", "--from", "-1h", "--kind", "Drop")).EnumerateArray());
        Assert.Equal("Drop", dropped.GetProperty("kind").GetString());
        Assert.Equal("lost", dropped.GetProperty("relationNames").GetString()!.Split('.')[^1]);
        string lsn = dropped.GetProperty("recoveryLsn").GetString()!;
        CliRun text = await CliRun.InAsync(_directory.Path, ["wal", "find", "--offline"]);
        Assert.Contains(lsn, text.Out, StringComparison.Ordinal);
        Assert.Contains("Delete", text.Out, StringComparison.Ordinal);
        Assert.Contains("--exclusive", text.Error, StringComparison.Ordinal);
        Assert.Empty((await RunAsync(0, "wal", "find", "--relation", "none", "--kind", "Delete")).EnumerateArray());

        string data = Path.Combine(_directory.Path, "data");
        CliRun plan = await CliRun.InAsync(
            _directory.Path, ["restore", "database", "--data-directory", data, "--target-lsn", lsn, "--exclusive", "--dry-run"]);
        Assert.True(plan.ExitCode == 0, plan.Error);
        Assert.Contains($"before LSN {lsn}", plan.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task EnablePitr_NewRole_IsPreparedAfterTheQuestionAndThenTakesBackups()
    {
        await using PostgresServer server = await PostgresServer.StartAsync();
        Environment.SetEnvironmentVariable(PasswordVariable, "the-role-s");
        string admin = Path.Combine(_directory.Path, "admin");
        await File.WriteAllTextAsync(admin, server.Password);
        File.SetUnixFileMode(admin, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $"""
            name: cli-enable
            repository:
              location: file://{_directory.Path}/repository
            regions:
              here:
                role: primary
                database:
                  connection: "Host=127.0.0.1;Port={server.Port};Username=smcdr;Database=postgres;SSL Mode=Disable"
                  password: env:{PasswordVariable}

            """);
        string[] enable = ["enable", "pitr", "--admin", "postgres", "--admin-password", "file:admin"];

        CliRun unanswered = await CliRun.InAsync(_directory.Path, enable);
        Assert.Contains("GRANT EXECUTE ON FUNCTION pg_catalog.pg_backup_start(text, boolean) TO \"smcdr\";", unanswered.Error, StringComparison.Ordinal);
        Assert.Contains("--yes", unanswered.Error, StringComparison.Ordinal);
        CliRun dryRun = await CliRun.InAsync(_directory.Path, [.. enable, "--dry-run"]);
        Assert.NotEqual(0, dryRun.ExitCode);
        Assert.Contains("Missing", dryRun.Out, StringComparison.Ordinal);
        Assert.Equal(0L, await server.ScalarAsync<long>("SELECT count(*) FROM pg_roles WHERE rolname = 'smcdr'"));

        JsonElement done = await RunAsync(0, [.. enable, "--yes"]);
        Assert.Contains(done.EnumerateArray(), static item => item.GetProperty("item").GetString() == "Role" && item.GetProperty("state").GetString() == "Changed");
        JsonElement again = await RunAsync(0, enable);
        Assert.DoesNotContain(again.EnumerateArray(), static item => item.GetProperty("state").GetString() == "Changed");
        await RunAsync(0, "backup", "database");

        CliRun lonely = await CliRun.InAsync(_directory.Path, ["enable", "pitr", "--role-password", "env:NOTHING"]);
        Assert.Contains("--role", lonely.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_SynchronousTakeoverAndSecondStream_BehaveAsSaid()
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false });
        Environment.SetEnvironmentVariable(PasswordVariable, server.Password);
        string location = Path.Combine(_directory.Path, "repository");
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $"""
            name: cli-wal
            repository:
              location: file://{location}
            regions:
              here:
                role: primary
                database:
                  connection: "Host=127.0.0.1;Port={server.Port};Username=postgres;SSL Mode=Disable"
                  password: env:{PasswordVariable}
                  slot: smcdr_cli_wal

            """);
        CliRun once = await CliRun.InAsync(_directory.Path, ["wal", "stream", "--once", "--synchronous", "--synchronous-timeout", "1m"]);
        Assert.True(once.ExitCode == 0, once.Error);
        Assert.Equal("", await server.ScalarAsync<string>("SELECT current_setting('synchronous_standby_names')"));
        CliRun wrong = await CliRun.InAsync(_directory.Path, ["wal", "stream", "--once", "--synchronous-timeout", "1m"]);
        Assert.Contains("--synchronous-timeout is for --synchronous", wrong.Error, StringComparison.Ordinal);

        Repository repository = await Repository.OpenAsync(new DirectoryObjectStore(location), CancellationToken.None);
        await using RunningReceiver other = RunningReceiver.Start(
            server.CreateConnector(), repository, RunningReceiver.Quick with { Slot = "other", Exclusive = true });
        await other.UntilAsync(static status => status.State == "Streaming");
        CliRun second = await CliRun.InAsync(_directory.Path, ["wal", "stream", "--once"]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.StreamRunning).ExitCode, second.ExitCode);
        Assert.Contains("slot 'other'", second.Error, StringComparison.Ordinal);
        Assert.Contains("--takeover", second.Error, StringComparison.Ordinal);
        CliRun takeover = await CliRun.InAsync(_directory.Path, ["wal", "stream", "--once", "--takeover"]);
        Assert.True(takeover.ExitCode == 0, takeover.Error);
        await server.ExecuteAsync("CREATE TABLE t (id int)");
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => other.Run);
        Assert.Equal(SmcErrorCode.StreamTaken, error.Code);
    }

    [Theory]
    [InlineData(130, "--until", "FFFFFFFF/0")]
    [InlineData(0)]
    public async Task Stream_Stopped_IsNoSuccessWhereItWasToReachAPosition(int exitCode, params string[] end)
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false });
        Environment.SetEnvironmentVariable(PasswordVariable, server.Password);
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $$"""
            name: cli-stopped
            repository:
              location: file://{{_directory.Path}}/repository
            regions:
              here:
                role: primary
                database:
                  connection: "Host=127.0.0.1;Port={{server.Port}};Username=postgres;SSL Mode=Disable"
                  password: env:{{PasswordVariable}}

            """);
        using CancellationTokenSource stop = new();
        Task<CliRun> run = CliRun.InAsync(_directory.Path, ["wal", "stream", .. end], stop.Token);
        while (!run.IsCompleted && !await server.ScalarAsync<bool>("SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming')"))
        {
            await Task.Delay(50);
        }

        await stop.CancelAsync();
        CliRun stopped = await run;

        Assert.True(stopped.ExitCode == exitCode, $"{stopped.ExitCode}: {stopped.Error}");
        Assert.Equal(exitCode != 0, stopped.Error.Contains("Stopped. Nothing is left running.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Stream_SpillOptions_AreTakenAndRefusedAsSaid()
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false });
        Environment.SetEnvironmentVariable(PasswordVariable, server.Password);
        string spill = Path.Combine(_directory.Path, "spill");
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $$"""
            name: cli-spill
            repository:
              location: file://{{_directory.Path}}/repository
            regions:
              here:
                role: primary
                database:
                  connection: "Host=127.0.0.1;Port={{server.Port}};Username=postgres;SSL Mode=Disable"
                  password: env:{{PasswordVariable}}
            walStream: { spillDirectory: spill }

            """);
        CliRun once = await CliRun.InAsync(_directory.Path, ["wal", "stream", "--once", "--spill-limit", "100MB", "--json"]);
        Assert.True(once.ExitCode == 0, once.Error);
        JsonElement last = JsonDocument.Parse(once.Out.TrimEnd().Split('\n')[^1]).RootElement;
        Assert.Equal(0, last.GetProperty("spilledBytes").GetInt64());
        Assert.Equal(spill, last.GetProperty("spillDirectory").GetString());
        Assert.Equal(["lock"], Directory.GetFiles(spill).Select(Path.GetFileName));

        CliRun none = await CliRun.InAsync(_directory.Path, ["wal", "stream", "--once", "--spill-directory", "", "--json"]);
        Assert.True(none.ExitCode == 0, none.Error);
        last = JsonDocument.Parse(none.Out.TrimEnd().Split('\n')[^1]).RootElement;
        Assert.False(last.TryGetProperty("spilledBytes", out JsonElement spilled) && spilled.ValueKind != JsonValueKind.Null);
        CliRun lonely = await CliRun.InAsync(_directory.Path, ["wal", "stream", "--once", "--spill-directory", "", "--spill-limit", "1GiB"]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, lonely.ExitCode);
        CliRun wrong = await CliRun.InAsync(_directory.Path, ["wal", "stream", "--once", "--spill-limit", "5"]);
        Assert.Contains("'5' is not a size", wrong.Error, StringComparison.Ordinal);
        CliRun foreign = await CliRun.InAsync(_directory.Path, ["wal", "stream", "--once", "--spill-directory", "repository"]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.TargetNotEmpty).ExitCode, foreign.ExitCode);
        Assert.Contains("nothing else uses", foreign.Error, StringComparison.Ordinal);
    }

    private async Task<JsonElement> RunAsync(int exitCode, params string[] arguments)
    {
        CliRun run = await CliRun.InAsync(_directory.Path, [.. arguments, "--json"]);
        Assert.True(run.ExitCode == exitCode, $"{string.Join(' ', arguments)}: {run.ExitCode} {run.Error}");
        return run.Json;
    }
}
