using System.Text.Json;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Cli;

/// <summary>Backups from a standby by the command line, which finds it through the site file alone.</summary>
public sealed class CliStandbyTests : IDisposable
{
    private const string PasswordVariable = "SMCDR_TEST_CLI_STANDBY_PASSWORD";
    private readonly string _directory = PostgresPrograms.CreateDirectory();

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task BackupDatabase_FromTheStandbyOfTheSite_ReadsThereAndIsRecovered_Trap11()
    {
        await using PostgresServer primary = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false });
        Environment.SetEnvironmentVariable(PasswordVariable, primary.Password);
        await primary.ExecuteAsync("CREATE TABLE t AS SELECT generate_series(1, 1000) AS id");
        await using PostgresServer standby = await PostgresStandby.FollowAsync(primary, Path.Combine(_directory, "standby"));
        await WriteSiteAsync(primary, null);
        CliRun none = await RunAsync("backup", "database", "--from-standby");
        Assert.Equal(SmcErrors.Get(SmcErrorCode.SiteInvalid).ExitCode, none.ExitCode);
        Assert.Contains("standby: \"Host=...\"", none.Error, StringComparison.Ordinal);
        Assert.NotEqual(0, (await RunAsync("backup", "database", "--from-standby", "--method", "Logical")).ExitCode);

        // Only what is different is said; user, host and password are those of the primary.
        await WriteSiteAsync(primary, $"Host=127.0.0.1;Port={standby.Port}");
        CliRun done = await RunAsync("backup", "database", "--from-standby", "--json");

        Assert.True(done.ExitCode == 0, done.Error);
        Assert.Equal("Complete", done.Json.GetProperty("state").GetString());
        Assert.True((await DetailsAsync(done)).FromStandby);
        CliRun own = await RunAsync("backup", "database", "--json");
        Assert.True(own.ExitCode == 0, own.Error);
        Assert.False((await DetailsAsync(own)).FromStandby);

        string data = Path.Combine(_directory, "recovered");
        CliRun restored = await RunAsync(
            "restore", "database", "--backup", done.Json.GetProperty("id").GetString()!, "--immediate", "--data-directory", data, "--no-start", "--json");
        Assert.True(restored.ExitCode == 0, restored.Error);
        Assert.Equal(2, restored.Json.GetProperty("timeline").GetInt32());
        // It comes up as what was recovered and not as one more standby of the primary.
        await using PostgresServer recovered = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            ExistingDataDirectory = data,
            Password = primary.Password,
            Fsync = false,
        });
        Assert.False(await recovered.ScalarAsync<bool>("SELECT pg_is_in_recovery()"));
        Assert.Equal(1000L, await recovered.ScalarAsync<long>("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task BackupDatabase_StandbyOfAnotherCluster_IsRefusedAndLeavesNoBackup_Trap35()
    {
        await using PostgresServer primary = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false });
        Environment.SetEnvironmentVariable(PasswordVariable, primary.Password);
        await using PostgresServer other = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false });
        await other.ExecuteAsync($"ALTER ROLE postgres PASSWORD '{primary.Password}'");
        await WriteSiteAsync(primary, $"Host=127.0.0.1;Port={other.Port}");
        Assert.Equal(0, (await RunAsync("backup", "database")).ExitCode);

        CliRun refused = await RunAsync("backup", "database", "--from-standby");

        Assert.Equal(SmcErrors.Get(SmcErrorCode.SystemIdMismatch).ExitCode, refused.ExitCode);
        Assert.Single((await RunAsync("backup", "list", "--json")).Json.EnumerateArray());
    }

    private async Task<DatabaseBackupDetails> DetailsAsync(CliRun run)
    {
        Repository repository = await Repository.OpenAsync(new DirectoryObjectStore(Path.Combine(_directory, "repository")), default);
        return (await repository.OpenBackupAsync(Component.Database, run.Json.GetProperty("id").GetString()!, default)).Header.Database!;
    }

    private Task WriteSiteAsync(PostgresServer primary, string? standby) => File.WriteAllTextAsync(Path.Combine(_directory, "smcdr.yaml"), $"""
        name: cli-standby
        repository:
          location: file://{_directory}/repository
        regions:
          here:
            role: primary
            database:
              connection: "Host=127.0.0.1;Port={primary.Port};Username=postgres;SSL Mode=Disable"
              {(standby is null ? "slot: smcdr_standby" : $"standby: \"{standby}\"")}
              password: env:{PasswordVariable}
              binDirectory: {PostgresPrograms.BinDirectory}

        """);

    private Task<CliRun> RunAsync(params string[] arguments) => CliRun.InAsync(_directory, arguments);
}
