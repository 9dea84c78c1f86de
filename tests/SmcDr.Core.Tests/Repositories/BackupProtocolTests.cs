using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Repositories;

/// <summary>The two places in which a running backup and whoever removes backups look at each other.</summary>
public sealed class BackupProtocolTests
{
    private readonly MemoryObjectStore _store = new();

    [Fact]
    public async Task BeginBackupAsync_ParentRemovedBeforeTheClaim_IsRefusedAndLeavesNoClaim()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);
        BackupHeader parent = await SampleBackup.WriteAsync(repository, SampleBackup.Files(1));
        string marker = RepositoryKeys.Complete(Component.FileStore, parent.Id);
        _store.BeforePut = async (key, token) =>
        {
            if (key.EndsWith("/started", StringComparison.Ordinal))
            {
                await _store.DeleteAsync(marker, token);
            }
        };

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => BeginAsync(repository, parent.Id));
        Assert.Equal(SmcErrorCode.BackupRemoved, error.Code);
        Assert.Equal(parent.Id, error.Target);
        Assert.Single(_store.Keys, static key => key.EndsWith("/started", StringComparison.Ordinal));
    }

    [Fact]
    public async Task CompleteAsync_ClaimSweptMeanwhile_FailsAndLeavesNoMarker()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);
        BackupWriter writer = await BeginAsync(repository, null);
        await using (PackLane lane = writer.OpenLane())
        {
            await lane.AddSmallFileAsync(
                new ManifestEntry { Kind = ManifestEntryKind.File, Path = "file" }, new byte[] { 1, 2, 3 }, CancellationToken.None);
            await lane.FinishAsync(CancellationToken.None);
        }

        string claim = RepositoryKeys.Started(Component.FileStore, writer.Id);
        _store.BeforePut = (key, token) => key.EndsWith("/complete", StringComparison.Ordinal) ? _store.DeleteAsync(claim, token) : Task.CompletedTask;
        SmcException error = await Assert.ThrowsAsync<SmcException>(
            () => writer.CompleteAsync("Full", static header => header, CancellationToken.None));
        Assert.Equal(SmcErrorCode.BackupRemoved, error.Code);
        await writer.DisposeAsync();

        // The pack stays: in the moment in which there was a marker another backup may have begun to build on it.
        Assert.Equal([RepositoryKeys.Pack(Component.FileStore, writer.Id, 1), "repository"], _store.Keys);
        Assert.Null(await repository.TryFindAsync(Component.FileStore, writer.Id, CancellationToken.None));
    }

    [Fact]
    public async Task CompleteAsync_Always_SaysWhichEarlierPacksAreUsed()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);
        BackupHeader full = await SampleBackup.WriteAsync(repository, SampleBackup.Files(1));
        Assert.Empty(full.Uses!);

        BackupReader reader = await repository.OpenBackupAsync(Component.FileStore, full.Id, CancellationToken.None);
        Manifest manifest = await reader.ReadManifestAsync(CancellationToken.None);
        await using BackupWriter writer = await BeginAsync(repository, full.Id);
        foreach (ManifestEntry entry in manifest.Entries)
        {
            writer.Add(entry);
        }

        await writer.CompleteAsync("Incremental", static header => header, CancellationToken.None);
        BackupEntry found = (await repository.TryFindAsync(Component.FileStore, writer.Id, CancellationToken.None))!;
        PackUse use = Assert.Single(found.Header!.Uses!);
        Assert.Equal(full.Id, use.Backup);
        Assert.Equal(manifest.Packs.Select(static pack => pack.Number), use.Numbers());
    }

    private static Task<BackupWriter> BeginAsync(Repository repository, string? parent) => repository.BeginBackupAsync(
        Component.FileStore, "Full", null, null, null, SampleBackup.SmallPacks with { Parent = parent }, CancellationToken.None);
}
