using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using static SmcDr.Core.Tests.Retention.RetentionWorld;

namespace SmcDr.Core.Tests.Copies;

/// <summary>What goes to a site's copies after a backup.</summary>
public sealed class SiteCopyTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task CopyBackupAsync_LogicalBackup_GoesWithoutWal()
    {
        Site site = WriteSite();
        SecretResolver secrets = new();
        Repository repository = await site.OpenOrCreateRepositoryAsync(secrets, default);
        await PutSegmentAsync(repository, 2);
        DirectoryObjectStore copy = new(Path.Combine(_directory.Path, "copy"));

        string logical = await WriteLogicalAsync(repository);
        Assert.Equal("Complete", (await CopyAsync(logical)).CopyState);
        Assert.Contains(RepositoryKeys.Complete(Component.Database, logical), await copy.KeysAsync("database/"));
        Assert.Empty(await copy.KeysAsync("wal/"));

        await CopyAsync(await WriteDatabaseAsync(repository, 2));
        Assert.Single(await copy.KeysAsync("wal/"));

        async Task<BackupInfo> CopyAsync(string id)
        {
            BackupEntry entry = (await repository.TryFindAsync(Component.Database, id, default))!;
            return await site.CopyBackupAsync(secrets, repository, repository.Describe(entry.Header!), NullObserver.Instance, default);
        }
    }

    [Fact]
    public async Task OpenOrCreateRepositoryAsync_RepositoryGoneAndACopyThere_MakesNoOther()
    {
        Site site = WriteSite();
        SecretResolver secrets = new();
        Repository repository = await site.OpenOrCreateRepositoryAsync(secrets, default);
        string id = await WriteLogicalAsync(repository);
        BackupEntry entry = (await repository.TryFindAsync(Component.Database, id, default))!;
        await site.CopyBackupAsync(secrets, repository, repository.Describe(entry.Header!), NullObserver.Instance, default);
        string path = Path.Combine(_directory.Path, "repository");
        Directory.Move(path, path + "-unmounted");
        Directory.CreateDirectory(path);

        SmcException error = await SmcErrorCode.RepositoryNotFound.ThrowsAsync(() => site.OpenOrCreateRepositoryAsync(secrets, default));

        Assert.Contains("/copy", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(path));
        Directory.Delete(path);
        Directory.Move(path + "-unmounted", path);
        Assert.Equal(repository.Id, (await site.OpenOrCreateRepositoryAsync(secrets, default)).Id);
    }

    private Site WriteSite()
    {
        string path = Path.Combine(_directory.Path, "smcdr.yaml");
        File.WriteAllText(path, $"""
            name: copies
            repository:
              location: {_directory.Path}/repository
              copies: [{_directory.Path}/copy]
            regions:
              here:
                role: primary
                database:
                  connection: "Host=127.0.0.1;Username=postgres"

            """);
        return SiteFile.Load(path);
    }
}
