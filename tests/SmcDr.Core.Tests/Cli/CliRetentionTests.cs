using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Retention;

namespace SmcDr.Core.Tests.Cli;

public sealed class CliRetentionTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("smcdr-test-cli-retention-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Commands_FromVerificationToRemoval_DoWhatTheySay()
    {
        await File.WriteAllTextAsync(Path.Combine(_directory, "smcdr.yaml"), $$"""
            name: cli
            repository: { location: {{_directory}}/repository, retention: { last: 1 } }
            fileStores: [ { name: s, path: /srv }, { name: uploads, path: /srv } ]
            regions: { east: { role: primary, database: { connection: Host=localhost } } }
            """);
        DirectoryObjectStore store = new(Path.Combine(_directory, "repository"));
        Repository repository = await Repository.OpenOrCreateAsync(store, default);
        string full = await RetentionWorld.WriteAsync(repository, "s", null, 1);
        string increment = await RetentionWorld.WriteAsync(repository, "s", full, 2);

        CliRun test = await RunAsync("test", "backup", "--deep", "--json");
        Assert.Equal(0, test.ExitCode);
        Assert.Equal([full, increment], test.Json.EnumerateArray().Select(static r => r.GetProperty("id").GetString()));
        Assert.All(test.Json.EnumerateArray(), static r => Assert.Equal("Passed", r.GetProperty("outcome").GetString()));

        CliRun age = await RunAsync("test", "backup", "--newer-than", "26h", "--json");
        Assert.Equal(SmcErrors.Get(SmcErrorCode.BackupTestFailed).ExitCode, age.ExitCode);
        Assert.Contains("There is no complete backup of FileStore uploads.", age.Out, StringComparison.Ordinal);
        Assert.Contains("There is no complete physical backup of Database.", age.Out, StringComparison.Ordinal);

        Assert.Equal(0, (await RunAsync("protect", "backup", full, "--hold", "audit")).ExitCode);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.LockUnsupported).ExitCode, (await RunAsync("protect", "backup", full, "--for", "30d")).ExitCode);
        CliRun refused = await RunAsync("remove", "backup", full, "--yes");
        Assert.Equal(SmcErrors.Get(SmcErrorCode.BackupProtected).ExitCode, refused.ExitCode);
        Assert.Contains("audit", refused.Error, StringComparison.Ordinal);
        Assert.Contains("held: audit", (await RunAsync("retention", "--dry-run")).Out, StringComparison.Ordinal);

        Assert.Equal(0, (await RunAsync("unprotect", "backup", full)).ExitCode);
        Assert.Equal(SmcErrors.Get(SmcErrorCode.ArgumentInvalid).ExitCode, (await RunAsync("retention")).ExitCode);
        CliRun removed = await RunAsync("retention", "--yes", "--json");
        Assert.Equal(0, removed.ExitCode);
        Assert.Equal(full, Assert.Single(removed.Json.EnumerateArray()).GetProperty("id").GetString());
        Assert.Equal([increment], await RetentionWorld.ReadAllAsync(store));

        Assert.Equal(SmcErrors.Get(SmcErrorCode.BackupProtected).ExitCode, (await RunAsync("remove", "backup", increment, "--yes")).ExitCode);
        File.Delete(Path.Combine(_directory, "repository", RepositoryKeys.Pack(Component.FileStore, full, 1)));
        CliRun failed = await RunAsync("test", "backup");
        Assert.Equal(SmcErrors.Get(SmcErrorCode.BackupTestFailed).ExitCode, failed.ExitCode);
        Assert.Contains("is missing", failed.Out, StringComparison.Ordinal);
        Assert.Equal(0, (await RunAsync("remove", "backup", increment, "--yes", "--force")).ExitCode);
        Assert.Empty(await RetentionWorld.ReadAllAsync(store));
    }

    private Task<CliRun> RunAsync(params string[] arguments) => CliRun.InAsync(_directory, arguments);
}
