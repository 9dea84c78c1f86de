using SmcDr.Core.Copies;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Repositories;

namespace SmcDr.Core.Tests.Copies;

/// <summary>Reading goes on from a copy, and only ever gives the right bytes.</summary>
public sealed class FallbackTests : IDisposable
{
    private readonly CopyLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Theory]
    [InlineData("pack-000001")]
    [InlineData("manifest")]
    [InlineData("complete")]
    public async Task Read_ObjectMissing_GoesOnFromTheCopy_AndSaysSoOnce(string name)
    {
        string id = await PrepareAsync();
        File.Delete(Path.Combine(_lab.SourcePath, "filestore", id, name));
        string before = Fingerprint(_lab.CopyPath);

        Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(await _lab.OpenWithCopyAsync(), id));

        if (name == "complete")
        {
            Assert.Empty(_lab.Observer.Warnings);
            Assert.Single(_lab.Observer.Verboses, text => text.Contains(name, StringComparison.Ordinal));
        }
        else
        {
            string warning = Assert.Single(_lab.Observer.Warnings);
            Assert.Contains($"filestore/{id}/{name}", warning, StringComparison.Ordinal);
            Assert.Contains(_lab.Copy.Location, warning, StringComparison.Ordinal);
        }

        Assert.False(File.Exists(Path.Combine(_lab.SourcePath, "filestore", id, name)));
        Assert.Equal(before, Fingerprint(_lab.CopyPath));
    }

    [Theory]
    [InlineData("manifest")]
    [InlineData("complete")]
    [InlineData("pack-000001")]
    [InlineData("pack-000002")]
    public async Task Read_AnyByteFlipped_GoesOnFromTheCopy(string name)
    {
        string id = await PrepareAsync();
        string path = Path.Combine(_lab.SourcePath, "filestore", id, name);
        byte[] good = await File.ReadAllBytesAsync(path);
        for (int at = 0; at < good.Length; at += 37)
        {
            byte[] bad = (byte[])good.Clone();
            bad[at] ^= 0x10;
            await File.WriteAllBytesAsync(path, bad);
            Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(await _lab.OpenWithCopyAsync(), id));
        }

        Assert.Contains(_lab.Observer.Warnings, warning => warning.Contains(name, StringComparison.Ordinal));
        Assert.Equal((good.Length + 36) / 37, _lab.Observer.Warnings.Count);
    }

    [Theory]
    [InlineData("manifest")]
    [InlineData("pack-000001")]
    public async Task Read_ObjectCutShort_GoesOnFromTheCopy(string name)
    {
        string id = await PrepareAsync();
        string path = Path.Combine(_lab.SourcePath, "filestore", id, name);
        byte[] good = await File.ReadAllBytesAsync(path);
        await File.WriteAllBytesAsync(path, good[..(good.Length / 2)]);
        Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(await _lab.OpenWithCopyAsync(), id));
        Assert.Single(_lab.Observer.Warnings);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Open_RepositoryGone_TheCopyTakesItsPlace(bool isEmptied)
    {
        string id = await PrepareAsync();
        Directory.Delete(_lab.SourcePath, recursive: true);
        if (isEmptied)
        {
            Directory.CreateDirectory(_lab.SourcePath);
        }

        Repository repository = await _lab.OpenWithCopyAsync();

        Assert.Equal(_lab.Copy.Location, repository.Location);
        Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(repository, id));
        string warning = Assert.Single(_lab.Observer.Warnings);
        Assert.Contains(_lab.Source.Location, warning, StringComparison.Ordinal);
        Assert.Contains(_lab.Copy.Location, warning, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_NeitherThere_SaysWhatIsWrongWithTheRepository()
    {
        SmcException error = await SmcErrorCode.RepositoryNotFound.ThrowsAsync(() => _lab.OpenWithCopyAsync());
        Assert.Contains(_lab.Source.Location, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_RepositoryVanishesInTheMiddle_TheCopyGoesOn_ToldOfOnce()
    {
        string id = await PrepareAsync();
        Repository repository = await _lab.OpenWithCopyAsync();
        _ = await repository.OpenBackupAsync(Component.FileStore, id, CancellationToken.None);
        Directory.Move(_lab.SourcePath, _lab.SourcePath + "-gone");

        Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(repository, id));
        Assert.Contains(_lab.Source.Location, Assert.Single(_lab.Observer.Warnings), StringComparison.Ordinal);
        Directory.Move(_lab.SourcePath + "-gone", _lab.SourcePath);
    }

    [Fact]
    public async Task Read_FirstWhoAsksACopyIsStopped_TheOthersGoOn()
    {
        string id = await PrepareAsync();
        string pack = $"filestore/{id}/pack-000001";
        byte[] expected = await _lab.Copy.ReadAsync(pack);
        File.Delete(Path.Combine(_lab.SourcePath, pack));
        TaskCompletionSource isOpening = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int openings = 0;
        RepositoryPlace copy = new(_lab.Copy.Location, async token =>
        {
            if (Interlocked.Increment(ref openings) == 1)
            {
                isOpening.SetResult();
                await Task.Delay(Timeout.Infinite, token);
            }

            return await Repository.OpenAsync(_lab.Copy, token);
        });
        Repository repository = await RepositoryCopies.OpenAsync(CopyLab.PlaceOf(_lab.Source), [copy], _lab.Observer, CancellationToken.None);
        using CancellationTokenSource stop = new();

        Task<byte[]> first = ReadAsync(stop.Token);
        await isOpening.Task;
        Task<byte[]> second = ReadAsync(CancellationToken.None);
        using CancellationTokenSource other = new();
        Task<byte[]> third = ReadAsync(other.Token);
        await other.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => third);
        Assert.False(first.IsCompleted);
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        Assert.Equal(expected, await second);
        Assert.Equal(2, openings);

        Task<byte[]> ReadAsync(CancellationToken token) => repository.ReadAsync(pack, (store, _) => store.ReadAsync(pack), token);
    }

    [Fact]
    public async Task Read_StoreThatIsDown_IsNotAskedForEveryObject()
    {
        string id = await PrepareAsync();
        FaultyObjectStore source = new(_lab.Source);
        Repository repository = await RepositoryCopies.OpenAsync(
            CopyLab.PlaceOf(source), [CopyLab.PlaceOf(_lab.Copy)], _lab.Observer, CancellationToken.None);
        source.Plan(Enumerable.Range(1, 1000).ToDictionary(static call => call, static _ => StoreFault.Unavailable), 1);

        Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(repository, id));

        // Each of its calls costs all the patience of a store. The blocks are read two at a time.
        Assert.InRange(source.Calls, 1, 2);
        Assert.Single(_lab.Observer.Warnings);
    }

    [Fact]
    public async Task List_BackupsOfBoth_EachOnce()
    {
        string both = await PrepareAsync();
        string onlyInCopy = await _lab.BackUpAsync(2);
        await _lab.CopyAllAsync();
        Directory.Delete(Path.Combine(_lab.SourcePath, "filestore", onlyInCopy), recursive: true);
        string onlyInSource = await _lab.BackUpAsync(3);

        List<string> ids = [];
        await foreach (BackupEntry entry in (await _lab.OpenWithCopyAsync()).ListBackupsAsync(Component.FileStore, CancellationToken.None))
        {
            Assert.True(entry.IsComplete);
            ids.Add(entry.Id);
        }

        Assert.Equal(new[] { both, onlyInCopy, onlyInSource }.Order(StringComparer.Ordinal).Distinct(), ids);
    }

    [Fact]
    public async Task Read_CopyUnreachable_DoesNotMatterWhileTheRepositoryIsWell()
    {
        string id = await PrepareAsync();
        Directory.Delete(_lab.CopyPath, recursive: true);
        Repository repository = await _lab.OpenWithCopyAsync();
        Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(repository, id));
        Assert.Empty(_lab.Observer.Warnings);
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.FileStore, CancellationToken.None))
        {
            Assert.Equal(id, entry.Id);
        }

        Assert.Single(_lab.Observer.Warnings);
    }

    [Fact]
    public async Task Read_AnotherRepositoryAtTheCopysPlace_IsNotReadFrom()
    {
        string id = await PrepareAsync();
        Directory.Delete(_lab.CopyPath, recursive: true);
        await SampleBackup.WriteAsync(await Repository.OpenOrCreateAsync(_lab.Copy, CancellationToken.None), SampleBackup.Files(9));
        File.Delete(Path.Combine(_lab.SourcePath, $"filestore/{id}/manifest"));
        await Assert.ThrowsAsync<SmcException>(async () => await SampleBackup.ReadAsync(await _lab.OpenWithCopyAsync(), id));
        Assert.Contains(_lab.Observer.Warnings, static warning => warning.Contains("another one", StringComparison.Ordinal));
    }

    /// <summary>Who can write to the copy, and not to the repository, must not get bytes of his own into a restore.</summary>
    [Fact]
    public async Task Read_HostileCopy_NeverGivesOtherBytes()
    {
        string id = await PrepareAsync();
        string other = await _lab.BackUpAsync(2);
        await _lab.CopyAllAsync();
        string folder = Path.Combine(_lab.CopyPath, "filestore", id);
        string otherFolder = Path.Combine(_lab.CopyPath, "filestore", other);
        foreach (string name in Directory.GetFiles(folder).Select(static path => Path.GetFileName(path)))
        {
            // All of another backup, which is whole and right in itself.
            File.Copy(Path.Combine(otherFolder, name), Path.Combine(folder, name), overwrite: true);
        }

        int refused = 0;
        foreach (string name in new[] { "manifest", "pack-000001", "pack-000002" })
        {
            string path = Path.Combine(_lab.SourcePath, "filestore", id, name);
            byte[] good = await File.ReadAllBytesAsync(path);
            CopyLab.Flip(_lab.SourcePath, $"filestore/{id}/{name}");
            try
            {
                // A block that both backups have alike may well come from there.
                Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(await _lab.OpenWithCopyAsync(), id));
            }
            catch (SmcException e)
            {
                Assert.Equal(SmcErrorCode.ChecksumMismatch, e.Code);
                refused++;
            }

            await File.WriteAllBytesAsync(path, good);
        }

        Assert.InRange(refused, 2, 3);

        // The marker of another backup at this one's place is no marker either.
        File.Delete(Path.Combine(_lab.SourcePath, "filestore", id, "complete"));
        await SmcErrorCode.ManifestInvalid.ThrowsAsync(async () => await SampleBackup.ReadAsync(await _lab.OpenWithCopyAsync(), id));
    }

    [Fact]
    public async Task Read_HalfOfTheObjectsDamagedHere_TheOtherHalfThere_IsWhole()
    {
        string id = await PrepareAsync();
        int index = 0;
        foreach (string path in Directory.GetFiles(Path.Combine(_lab.SourcePath, "filestore", id)).Order(StringComparer.Ordinal))
        {
            CopyLab.Flip(index++ % 2 == 0 ? _lab.SourcePath : _lab.CopyPath, $"filestore/{id}/{Path.GetFileName(path)}");
        }

        Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(await _lab.OpenWithCopyAsync(), id));
    }

    [Fact]
    public async Task Copy_OfARepositoryWithFallback_IsRefused()
    {
        await PrepareAsync();
        Repository repository = await _lab.OpenWithCopyAsync();
        await Assert.ThrowsAsync<ArgumentException>(() => RepositoryCopy.OpenAsync(
            repository, _lab.Copy, null, NullObserver.Instance, 1, CancellationToken.None));
    }

    private static string Fingerprint(string directory) => Recovery.RecoveryPlace.Fingerprint(directory);

    private async Task<string> PrepareAsync()
    {
        string id = await _lab.BackUpAsync();
        await _lab.CopyAllAsync();
        return id;
    }
}
