using System.Text.Json;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Tests.Cli;

public sealed class CliApplicationTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("smcdr-test-cli-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("restore", "database", "--latest", "--target-lsn", "0/1")]
    [InlineData("restore", "database", "--tablespace", "16385")]
    [InlineData("drill", "--size", "many")]
    [InlineData("wal", "stream", "--once", "--until", "0/1")]
    [InlineData("wal", "stream", "--until", "x")]
    [InlineData("backup", "database", "--parallelism", "0")]
    [InlineData("backup", "list", "--component", "Postgres")]
    [InlineData("frobnicate")]
    [InlineData("backup")]
    public async Task RunAsync_WrongCommandLine_IsOneErrorInThreeLinesAndNothingElse(params string[] arguments)
    {
        CliRun run = await CliRun.Of(arguments);

        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, run.ExitCode);
        Assert.Empty(run.Out);
        Assert.Equal(3, run.ErrorLines.Length);
        Assert.StartsWith("Error: ", run.ErrorLines[0], StringComparison.Ordinal);
        Assert.StartsWith("Next:  Run 'smcdr", run.ErrorLines[1], StringComparison.Ordinal);
        Assert.Equal("Id:    SmcArgumentInvalid", run.ErrorLines[2]);
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("restore", "database", "--help")]
    [InlineData("drill", "-h")]
    public async Task RunAsync_Help_GoesToStandardOutput(params string[] arguments)
    {
        CliRun run = await CliRun.Of(arguments);

        Assert.Equal(0, run.ExitCode);
        Assert.Contains("Usage:", run.Out, StringComparison.Ordinal);
        Assert.Empty(run.Error);
    }

    [Fact]
    public async Task RunAsync_NoSiteAnywhere_SaysWhereItLooked()
    {
        CliRun run = await CliRun.InAsync(_directory, ["backup", "list"]);

        Assert.Equal(SmcErrors.Get(SmcErrorCode.SiteNotSet).ExitCode, run.ExitCode);
        Assert.Contains(_directory, run.ErrorLines[0], StringComparison.Ordinal);
        Assert.Equal("Id:    SmcSiteNotSet", run.ErrorLines[2]);
    }

    [Fact]
    public async Task RunAsync_SiteThatIsNotThere_HasItsOwnExitCode()
    {
        CliRun run = await CliRun.InAsync(_directory, ["site", "show", "--site", "nowhere.yaml"]);

        Assert.Equal(SmcErrors.Get(SmcErrorCode.SiteNotFound).ExitCode, run.ExitCode);
        Assert.Contains("nowhere.yaml", run.ErrorLines[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task SiteShow_Json_IsOneObjectWithSecondsAndWithoutSecrets()
    {
        WriteSite();

        CliRun run = await CliRun.InAsync(_directory, ["site", "show", "--json"]);

        Assert.Equal(0, run.ExitCode);
        Assert.Equal("cli-test", run.Json.GetProperty("name").GetString());
        Assert.Equal(900, run.Json.GetProperty("databaseRtoSeconds").GetDouble());
        Assert.False(run.Json.TryGetProperty("databaseRto", out _));
    }

    [Fact]
    public async Task BackupList_NoRepository_SaysSoWithItsExitCode()
    {
        WriteSite();

        CliRun run = await CliRun.InAsync(_directory, ["backup", "list"]);

        Assert.Equal(SmcErrors.Get(SmcErrorCode.RepositoryNotFound).ExitCode, run.ExitCode);
    }

    [Fact]
    public async Task Lists_EmptyRepository_AreAnEmptyArrayInJsonAndASentenceElsewhere()
    {
        WriteSite();
        await Repository.OpenOrCreateAsync(new DirectoryObjectStore(Path.Combine(_directory, "repository")), default);

        foreach (string command in new[] { "backup", "wal", "window" })
        {
            CliRun json = await CliRun.InAsync(_directory, [command, "list", "--json"]);
            CliRun text = await CliRun.InAsync(_directory, [command, "list"]);

            Assert.Equal(0, json.ExitCode);
            Assert.Equal("[]", json.Out.Trim());
            Assert.Empty(json.Error);
            Assert.Equal(0, text.ExitCode);
            Assert.Empty(text.Out);
            Assert.Single(text.ErrorLines);
        }
    }

    [Fact]
    public async Task RestoreDatabase_TimeWithoutZone_IsRefusedWithItsOwnExitCode()
    {
        WriteSite();
        await Repository.OpenOrCreateAsync(new DirectoryObjectStore(Path.Combine(_directory, "repository")), default);

        CliRun run = await CliRun.InAsync(
            _directory, ["restore", "database", "--target-time", "2026-11-05 10:00:00", "--data-directory", "data"]);

        Assert.Equal(SmcErrors.Get(SmcErrorCode.TargetTimeAmbiguous).ExitCode, run.ExitCode);
        Assert.Equal("Id:    SmcTargetTimeAmbiguous", run.ErrorLines[2]);
    }

    [Fact]
    public async Task RestoreDatabase_NoDataDirectory_SaysHowToGiveOne()
    {
        WriteSite();
        await Repository.OpenOrCreateAsync(new DirectoryObjectStore(Path.Combine(_directory, "repository")), default);

        CliRun run = await CliRun.InAsync(_directory, ["restore", "database"]);

        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, run.ExitCode);
        Assert.Contains("--data-directory", run.ErrorLines[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Drill_Cancelled_Is130()
    {
        using CancellationTokenSource source = new();
        await source.CancelAsync();

        CliRun run = await CliRun.InAsync(_directory, ["drill", "--work-directory", _directory], source.Token);

        Assert.Equal(130, run.ExitCode);
        Assert.Empty(run.Out);
        Assert.Empty(Directory.GetDirectories(_directory));
    }

    [Fact]
    public async Task Drill_NoPrograms_SaysSoAndMakesNothing()
    {
        CliRun run = await CliRun.InAsync(_directory, ["drill", "--bin-directory", "bin", "--work-directory", _directory]);

        Assert.Equal(SmcErrors.Get(SmcErrorCode.ProgramNotFound).ExitCode, run.ExitCode);
        Assert.Empty(Directory.GetDirectories(_directory));
    }

    [Fact]
    public async Task Version_Json_NamesTheRepositorysFormat()
    {
        CliRun run = await CliRun.Of("version", "--json");

        Assert.Equal(JsonValueKind.Object, run.Json.ValueKind);
        Assert.Equal(Repository.FormatVersion, run.Json.GetProperty("repositoryFormat").GetInt32());
    }

    private void WriteSite() => File.WriteAllText(Path.Combine(_directory, "smcdr.yaml"), $"""
        name: cli-test
        repository:
          location: file://{_directory}/repository
        objectives:
          database: {"{"} rto: 15m, rpo: 5m {"}"}
        regions:
          here:
            role: primary
            database: {"{"} connection: "Host=127.0.0.1;Port=1;Username=postgres", password: "env:SMCDR_TEST_NO_SUCH_PASSWORD" {"}"}

        """);
}
