using SmcDr.Core.Copies;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Tests.Recovery;

namespace SmcDr.Core.Tests.Copies;

/// <summary>A database is recovered although its repository is not what it was.</summary>
public sealed class DatabaseCopyTests(RecoveryWorld world) : IClassFixture<RecoveryWorld>
{
    [Theory]
    [InlineData("nothing")]
    [InlineData("segment missing")]
    [InlineData("segment flipped")]
    [InlineData("segment cut")]
    [InlineData("pack missing")]
    [InlineData("manifest missing")]
    [InlineData("all backups missing")]
    [InlineData("repository gone")]
    public async Task Recovery_RepositoryDamaged_GoesOnFromTheCopy(string damage)
    {
        await using RecoveryPlace place = world.NewPlace(damage.Replace(' ', '-'));
        Repository first = await place.CopyRepositoryAsync(static _ => false);
        string path = Path.Combine(place.Root, "repository");
        DirectoryObjectStore copy = new(Path.Combine(place.Root, "copy"));
        Assert.All(await CopyLab.CopyAllAsync(first.Store, copy), static result => Assert.Equal("Complete", result.State));
        await CopyLab.AssertSameObjectsAsync(first.Store, copy);

        // A segment in the middle of what is replayed.
        WalSegmentName segment = WalSegmentName.Containing(world.Timeline[2].Lsn, 1, RecoveryWorld.SegmentSize);
        string wal = (await first.Store.KeysAsync("wal/")).Single(key => key.EndsWith("/" + segment, StringComparison.Ordinal));
        string backup = $"database/{world.BackupId}";
        string? about = null;
        switch (damage)
        {
            case "segment missing":
                File.Delete(Path.Combine(path, about = wal));
                break;
            case "segment flipped":
                CopyLab.Flip(path, about = wal);
                break;
            case "segment cut":
                byte[] content = await File.ReadAllBytesAsync(Path.Combine(path, wal));
                await File.WriteAllBytesAsync(Path.Combine(path, about = wal), content[..(content.Length / 2)]);
                break;
            case "pack missing":
                File.Delete(Path.Combine(path, about = $"{backup}/pack-000001"));
                break;
            case "manifest missing":
                File.Delete(Path.Combine(path, about = $"{backup}/manifest"));
                break;
            case "all backups missing":
                Directory.Delete(Path.Combine(path, "database"), recursive: true);
                about = $"{backup}/manifest";
                break;
            case "repository gone":
                Directory.Delete(path, recursive: true);
                about = path;
                break;
        }

        RecordingObserver observer = new();
        Repository repository = await RepositoryCopies.OpenAsync(
            CopyLab.PlaceOf(new DirectoryObjectStore(path)), [CopyLab.PlaceOf(copy)], observer, CancellationToken.None);
        await foreach (RecoveryWindow window in WalWindows.ListAsync(repository, CancellationToken.None))
        {
            Assert.Null(window.Gap);
            Assert.True(Lsn.Parse(window.LatestLsn) >= world.Timeline[^1].Lsn);
        }

        await RecoveryPlace.RecoverAsync(place.Request() with { Repository = repository });

        Assert.Equal(Enumerable.Range(1, RecoveryWorld.RowsInBackup + RecoveryWorld.Steps), await place.RowsAsync());
        if (about is null)
        {
            Assert.Empty(observer.Warnings);
        }
        else
        {
            Assert.Single(observer.Warnings, warning => warning.Contains(about, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Recovery_HostileSegmentInTheCopy_IsRefused()
    {
        await using RecoveryPlace place = world.NewPlace();
        Repository first = await place.CopyRepositoryAsync(static _ => false);
        DirectoryObjectStore copy = new(Path.Combine(place.Root, "copy"));
        await CopyLab.CopyAllAsync(first.Store, copy);
        WalSegmentName segment = WalSegmentName.Containing(world.Timeline[2].Lsn, 1, RecoveryWorld.SegmentSize);
        WalArchive archive = new(first, world.Archive.SystemId);
        WalCoverage coverage = await archive.GetCoverageAsync(1, world.Backup.Database!.StartLsn, null, CancellationToken.None);
        WalItem item = coverage.Items.Single(i => i.Name == segment);
        byte[] content = await archive.ReadAsync(item, CancellationToken.None);
        string key = item.Parts[0].Info.Key;

        // Whole and right in itself, and not what was archived: the repository's head is intact, and its content is damaged.
        content[^9] ^= 1;
        byte[] forged = WalObject.Seal(item.Parts[0].Head, content);
        await File.WriteAllBytesAsync(Path.Combine(place.Root, "copy", key), forged);
        string path = Path.Combine(place.Root, "repository", key);
        byte[] damaged = await File.ReadAllBytesAsync(path);
        damaged[^1] ^= 1;
        await File.WriteAllBytesAsync(path, damaged);

        Repository repository = await RepositoryCopies.OpenAsync(
            CopyLab.PlaceOf(first.Store), [CopyLab.PlaceOf(copy)], NullObserver.Instance, CancellationToken.None);
        await SmcErrorCode.ChecksumMismatch.ThrowsAsync(() => RecoveryPlace.RecoverAsync(place.Request() with { Repository = repository }));
    }

    [Fact]
    public async Task CopyWal_DamagedSegment_IsLeftOut_AndABackupThatNeedsItGetsNoMarker()
    {
        await using RecoveryPlace place = world.NewPlace();
        Repository first = await place.CopyRepositoryAsync(static _ => false);
        DirectoryObjectStore copy = new(Path.Combine(place.Root, "copy"));
        string needed = await KeyAsync(first, world.Backup.Database!.StartLsn);
        string later = await KeyAsync(first, world.Timeline[^1].Lsn);
        CopyLab.Flip(Path.Combine(place.Root, "repository"), later);

        List<BackupCopyResult> results = await CopyLab.CopyAllAsync(first.Store, copy);
        Assert.Equal(["Complete", "Partial"], results.Select(static result => result.State));
        Assert.Equal(["Database", "Wal"], results.Select(static result => result.Component));
        Assert.DoesNotContain(later, await copy.KeysAsync());
        Assert.Contains(needed, await copy.KeysAsync());

        CopyLab.Flip(Path.Combine(place.Root, "repository"), needed);
        DirectoryObjectStore other = new(Path.Combine(place.Root, "other"));
        results = await CopyLab.CopyAllAsync(first.Store, other);
        Assert.Equal(["Partial", "Partial"], results.Select(static result => result.State));
        Assert.DoesNotContain($"database/{world.BackupId}/complete", await other.KeysAsync());
    }

    [Fact]
    public async Task Copy_WalOfTheWindow_BeginsWithTheBackup()
    {
        await using RecoveryPlace place = world.NewPlace();
        DirectoryObjectStore copy = new(Path.Combine(place.Root, "copy"));
        RepositoryCopy copier = await CopyLab.OpenAsync(world.Repository.Store, copy);
        BackupEntry entry = await copier.FindAsync(null, world.BackupId, CancellationToken.None);
        await foreach (BackupCopyResult result in copier.CopyAsync([entry], CopyWal.None, CancellationToken.None))
        {
            Assert.Equal("Complete", result.State);
        }

        List<string> least = await copy.KeysAsync("wal/");
        await foreach (BackupCopyResult result in copier.CopyAsync([entry], CopyWal.Windows, CancellationToken.None))
        {
            Assert.Equal("Complete", result.State);
        }

        List<string> window = await copy.KeysAsync("wal/");
        List<string> all = await world.Repository.Store.KeysAsync("wal/");
        Assert.Equal(await KeyAsync(world.Repository, world.Backup.Database!.StartLsn), window[0]);
        Assert.Equal(all[^window.Count..], window);
        Assert.True(least.Count > 0 && least.Count < window.Count);
    }

    private static async Task<string> KeyAsync(Repository repository, Lsn lsn)
    {
        string name = WalSegmentName.Containing(lsn, 1, RecoveryWorld.SegmentSize).ToString();
        return (await repository.Store.KeysAsync("wal/")).Single(key => key.EndsWith("/" + name, StringComparison.Ordinal));
    }
}
