using System.Text.Json;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Cli;

public sealed class CliFileStoreTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Commands_BackUpAndRestore_WorkTogether()
    {
        string source = Path.Combine(_directory.Path, "source");
        Directory.CreateDirectory(Path.Combine(source, "sub"));
        await File.WriteAllTextAsync(Path.Combine(source, "a.txt"), "first");
        await File.WriteAllTextAsync(Path.Combine(source, "sub", "b.txt"), "second");
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $$"""
            name: cli-files
            repository: { location: "file://{{_directory.Path}}/repository" }
            regions: { here: { role: primary } }
            fileStores: [ { name: config, path: "{{source}}" } ]

            """);

        JsonElement backup = Assert.Single((await RunAsync("backup", "filestore")).EnumerateArray());
        Assert.Equal("config", backup.GetProperty("name").GetString());
        Assert.Equal(2, backup.GetProperty("fileCount").GetInt32());

        string target = Path.Combine(_directory.Path, "target");
        JsonElement plan = await RunAsync("restore", "filestore", "--destination", target, "--dry-run");
        Assert.Equal(2, plan.GetProperty("fileCount").GetInt32());
        Assert.False(Directory.Exists(target));
        JsonElement result = await RunAsync("restore", "filestore", "config", "--destination", "target", "--include", "sub");
        Assert.Equal(1, result.GetProperty("fileCount").GetInt32());
        Assert.Equal("second", await File.ReadAllTextAsync(Path.Combine(target, "sub", "b.txt")));

        // What would be replaced asks first, and nobody is there to answer.
        await File.WriteAllTextAsync(Path.Combine(target, "sub", "b.txt"), "changed");
        CliRun refused = await CliRun.InAsync(_directory.Path, ["restore", "filestore", "--destination", target]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.TargetNotEmpty).ExitCode, refused.ExitCode);
        CliRun unasked = await CliRun.InAsync(_directory.Path, ["restore", "filestore", "--destination", target, "--force"]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, unasked.ExitCode);
        Assert.Equal("changed", await File.ReadAllTextAsync(Path.Combine(target, "sub", "b.txt")));
        Assert.Equal(1, (await RunAsync("restore", "filestore", "--destination", target, "--force", "--yes", "--include", "sub")).GetProperty("fileCount").GetInt32());

        CliRun unknown = await CliRun.InAsync(_directory.Path, ["backup", "filestore", "nosuch"]);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, unknown.ExitCode);
        Assert.Contains("'nosuch'", unknown.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BackupFileStore_OneOfSeveralFails_TheOthersAreBackedUpAndTold()
    {
        foreach (string name in new[] { "first", "last" })
        {
            Directory.CreateDirectory(Path.Combine(_directory.Path, name));
            await File.WriteAllTextAsync(Path.Combine(_directory.Path, name, "a.txt"), name);
        }

        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $$"""
            name: cli-files
            repository: { location: "file://{{_directory.Path}}/repository" }
            regions: { here: { role: primary } }
            fileStores:
              - { name: first, path: "{{_directory.Path}}/first" }
              - { name: gone, path: "{{_directory.Path}}/gone" }
              - { name: last, path: "{{_directory.Path}}/last" }

            """);

        CliRun run = await CliRun.InAsync(_directory.Path, ["backup", "filestore", "--json"]);
        CliRun alone = await CliRun.InAsync(_directory.Path, ["backup", "filestore", "gone", "--json"]);

        Assert.NotEqual(0, run.ExitCode);
        Assert.Equal(["first", "last"], run.Json.EnumerateArray().Select(static backup => backup.GetProperty("name").GetString()));
        Assert.Contains("The file store 'gone' is not backed up", run.Error, StringComparison.Ordinal);
        Assert.Equal((run.ExitCode, ""), (alone.ExitCode, alone.Out));
    }

    [Fact]
    public async Task CopyBackup_OneOfSeveralPlacesFails_TheOthersAreBroughtUpToDate()
    {
        string source = Path.Combine(_directory.Path, "source");
        Directory.CreateDirectory(source);
        await File.WriteAllTextAsync(Path.Combine(source, "a.txt"), "first");
        const string Copies = "COPIES";
        string site = $$"""
            name: cli-files
            repository: { location: "file://{{_directory.Path}}/repository"{{Copies}} }
            regions: { here: { role: primary } }
            fileStores: [ { name: config, path: "{{source}}" } ]

            """;
        string path = Path.Combine(_directory.Path, "smcdr.yaml");
        await File.WriteAllTextAsync(path, site.Replace(Copies, "", StringComparison.Ordinal));
        await RunAsync("backup", "filestore");
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "file"), "in the way");
        await File.WriteAllTextAsync(path, site.Replace(
            Copies, $", copies: [ \"file://{_directory.Path}/file/vault\", \"file://{_directory.Path}/vault\" ]", StringComparison.Ordinal));

        CliRun run = await CliRun.InAsync(_directory.Path, ["copy", "backup", "--json"]);

        Assert.NotEqual(0, run.ExitCode);
        Assert.Contains("/vault", Assert.Single(run.Json.EnumerateArray()).GetProperty("destination").GetString(), StringComparison.Ordinal);
        Assert.Contains("file/vault is not up to date", run.Error, StringComparison.Ordinal);
    }

    [OrdinaryUserFact]
    public async Task BackupFileStore_UnreadableFile_ExitsAsPartial()
    {
        string source = Path.Combine(_directory.Path, "source");
        Directory.CreateDirectory(source);
        string secret = Path.Combine(source, "secret");
        await File.WriteAllTextAsync(secret, "hidden");
        File.SetUnixFileMode(secret, UnixFileMode.None);
        await File.WriteAllTextAsync(Path.Combine(_directory.Path, "smcdr.yaml"), $$"""
            name: cli-files
            repository: { location: "file://{{_directory.Path}}/repository" }
            regions: { here: { role: primary } }
            fileStores: [ { name: config, path: "{{source}}" } ]

            """);
        CliRun run = await CliRun.InAsync(_directory.Path, ["backup", "filestore"]);
        Assert.Equal(3, run.ExitCode);
        Assert.Contains("Partial", run.Out, StringComparison.Ordinal);
    }

    private async Task<JsonElement> RunAsync(params string[] arguments)
    {
        CliRun run = await CliRun.InAsync(_directory.Path, [.. arguments, "--json"]);
        Assert.True(run.ExitCode == 0, $"{string.Join(' ', arguments)}: {run.Error}");
        return JsonDocument.Parse(run.Out).RootElement;
    }
}
