using System.Text.Json;
using SmcDr.Cli;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Cli;

/// <summary>Why a backup failed is asked the morning after, from another host than the one that ran it.</summary>
public sealed class CliBackupFailureTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private string State => Path.Combine(_directory.Path, "state");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Failures_BackupFailedAndWasMadeUpFor_SaysWhyWhereAndByWhat()
    {
        await WriteSiteAsync("config", "hunter2");
        await SucceedAsync("backup", "filestore");
        string moved = Path.Combine(_directory.Path, "moved");
        Directory.Move(Path.Combine(_directory.Path, "config"), moved);

        CliRun failed = await RunAsync("backup", "filestore", "--label", "postgres://u:hunter2@db/x");
        Assert.NotEqual(0, failed.ExitCode);
        JsonElement failure = Assert.Single((await ListAsync()).EnumerateArray());
        Assert.Equal("FileStore", failure.GetProperty("component").GetString());
        Assert.Contains(Path.Combine(_directory.Path, "config"), failure.GetProperty("problem").GetString(), StringComparison.Ordinal);
        Assert.StartsWith("Smc", failure.GetProperty("errorId").GetString(), StringComparison.Ordinal);
        Assert.NotEqual("", failure.GetProperty("recommendation").GetString());
        Assert.EndsWith($"@{Environment.MachineName}", failure.GetProperty("by").GetString(), StringComparison.Ordinal);
        Assert.StartsWith("smcdr backup filestore", failure.GetProperty("command").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("hunter2", failure.GetRawText(), StringComparison.Ordinal);
        Assert.Equal(JsonValueKind.Null, failure.GetProperty("nextBackupId").ValueKind);
        // In the repository, and not on the host.
        Assert.False(Directory.Exists(State));

        Directory.Move(moved, Path.Combine(_directory.Path, "config"));
        string next = (await SucceedAsync("backup", "filestore"))[0].GetProperty("id").GetString()!;
        Assert.Equal(next, Assert.Single((await ListAsync()).EnumerateArray()).GetProperty("nextBackupId").GetString());

        Assert.Empty((await ListAsync("--component", "database")).EnumerateArray());
        Assert.Single((await ListAsync("--component", "filestore", "--after", "-1h")).EnumerateArray());
        Assert.Empty((await ListAsync("--after", "2199-01-01T00:00Z")).EnumerateArray());
        CliRun text = await RunAsync("backup", "failures");
        Assert.Contains("Problem", text.Out, StringComparison.Ordinal);
        Assert.Contains(next, text.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Failures_RepositoryItselfFailed_IsNotedOnTheHostAndToldBesideThat()
    {
        await WriteSiteAsync("config", "x");
        // A file where the repository should be.
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "repository"), "");

        Assert.NotEqual(0, (await RunAsync("backup", "filestore")).ExitCode);

        CliRun listed = await RunAsync("backup", "failures", "--json");
        Assert.Equal(0, listed.ExitCode);
        JsonElement failure = Assert.Single(JsonDocument.Parse(listed.Out).RootElement.EnumerateArray());
        Assert.StartsWith(State, failure.GetProperty("notedIn").GetString(), StringComparison.Ordinal);
        Assert.Contains("cannot be read", listed.Error, StringComparison.Ordinal);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(
                UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
                File.GetUnixFileMode(Path.Combine(State, "backup-failures")));
        }
    }

    [Fact]
    public async Task Failures_ProcessWasEndedFromOutside_IsToldOnceNothingOfItWasStoredForAnHour()
    {
        await WriteSiteAsync("config", "x");
        await SucceedAsync("backup", "filestore");
        const string Id = "20260103T020000Z-full";
        await using IObjectStore store = ObjectStoreFactory.Open($"file://{_directory.Path}/repository");
        Repository repository = await Repository.OpenAsync(store, null, default);
        BackupStart start = new()
        {
            Id = Id,
            RepositoryId = repository.Id,
            Component = Component.FileStore,
            Kind = "Full",
            StartTime = new DateTimeOffset(2026, 1, 3, 2, 0, 0, TimeSpan.Zero),
            Site = "cli-failures",
            Host = "backup-7",
            ProcessId = 4711,
        };
        string key = RepositoryKeys.Started(Component.FileStore, Id);
        await Repository.PutDocumentAsync(store, key, start, RepositoryJson.Default.BackupStart, default);
        // Something of it was stored just now: it runs.
        Assert.Empty((await ListAsync()).EnumerateArray());

        File.SetLastWriteTimeUtc(Path.Combine(_directory.Path, "repository", key), DateTime.UtcNow.AddHours(-2));

        JsonElement failure = Assert.Single((await ListAsync()).EnumerateArray());
        Assert.Equal(Id, failure.GetProperty("backupId").GetString());
        Assert.Equal("backup-7", failure.GetProperty("by").GetString());
        Assert.Contains("never finished", failure.GetProperty("problem").GetString(), StringComparison.Ordinal);
        Assert.Contains("4711", failure.GetProperty("recommendation").GetString(), StringComparison.Ordinal);
        Assert.Equal(JsonValueKind.Null, failure.GetProperty("errorId").ValueKind);
        Assert.NotEqual(JsonValueKind.Null, failure.GetProperty("nextBackupId").ValueKind);
    }

    private Task WriteSiteAsync(string store, string content)
    {
        Directory.CreateDirectory(Path.Combine(_directory.Path, store));
        File.WriteAllText(Path.Combine(_directory.Path, store, "a.txt"), content);
        return File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $$"""
            name: cli-failures
            repository: { location: "file://{{_directory.Path}}/repository" }
            regions: { here: { role: primary } }
            fileStores: [ { name: {{store}}, path: "{{_directory.Path}}/{{store}}" } ]

            """);
    }

    private async Task<JsonElement> ListAsync(params string[] more) => await SucceedAsync(["backup", "failures", .. more]);

    private async Task<JsonElement> SucceedAsync(params string[] arguments)
    {
        CliRun run = await RunAsync([.. arguments, "--json"]);
        Assert.True(run.ExitCode == 0, run.Error);
        return JsonDocument.Parse(run.Out).RootElement.Clone();
    }

    private async Task<CliRun> RunAsync(params string[] arguments)
    {
        StringWriter output = new();
        StringWriter error = new();
        CliHost host = new(new StringReader(""), output, error)
        {
            Environment = name => name == "SMCDR_STATE_DIR" ? State : null,
            CurrentDirectory = _directory.Path,
        };
        int exitCode = await new CliApplication(host).RunAsync(arguments);
        return new CliRun(exitCode, output.ToString(), error.ToString());
    }
}
