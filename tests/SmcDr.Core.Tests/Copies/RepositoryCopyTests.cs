using SmcDr.Core.Copies;
using SmcDr.Core.Encryption;
using SmcDr.Core.FileStores;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.FileStores;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Repositories;

namespace SmcDr.Core.Tests.Copies;

public sealed class RepositoryCopyTests : IDisposable
{
    private readonly CopyLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Fact]
    public async Task CopyAll_EmptyDestination_HoldsTheSameObjects_AndASecondRunCopiesNothing()
    {
        string first = await _lab.BackUpAsync(1);
        string second = await _lab.BackUpAsync(2);

        List<BackupCopyResult> results = await _lab.CopyAllAsync();

        Assert.Equal([first, second], results.Select(static result => result.Id));
        Assert.All(results, static result => Assert.Equal("Complete", result.State));
        Assert.All(results, static result => Assert.True(result.CopiedObjects > 4 && result.PresentObjects == 0 && result.CopiedBytes > 0));
        await CopyLab.AssertSameObjectsAsync(_lab.Source, _lab.Copy);
        Assert.Equal(SampleBackup.Files(2), await SampleBackup.ReadAsync(_lab.Copy, second));

        List<BackupCopyResult> again = await _lab.CopyAllAsync();
        Assert.All(again, static result => Assert.Equal((0, 0), (result.CopiedObjects, result.CopiedBytes)));
        Assert.Equal(results.Select(static result => result.CopiedObjects), again.Select(static result => result.PresentObjects));
        Assert.Equal(results.Select(static result => result.CopiedBytes), again.Select(static result => result.PresentBytes));
    }

    [Fact]
    public async Task CopyBackup_ThatUsesPacksOfAnEarlierOne_BringsThem_AndNotTheEarlierBackup()
    {
        using FileStoreSandbox sandbox = new();
        sandbox.Write("old", new string('o', 100_000));
        string first = (await sandbox.BackUpAsync()).Id;
        sandbox.Write("new", "changed");
        string second = (await sandbox.BackUpAsync()).Id;

        RepositoryCopy copy = await CopyLab.OpenAsync(new DirectoryObjectStore(sandbox.RepositoryPath), _lab.Copy);
        BackupCopyResult result = await copy.CopyBackupAsync(Component.FileStore, second, CancellationToken.None);

        Assert.Equal("Complete", result.State);
        Assert.Contains(await _lab.Copy.KeysAsync(), key => key.StartsWith($"filestore/{first}/pack-", StringComparison.Ordinal));
        Repository there = await Repository.OpenAsync(_lab.Copy, CancellationToken.None);
        Assert.Null(await there.TryFindAsync(Component.FileStore, first, CancellationToken.None));
        string target = sandbox.NewTarget();
        await FileStoreRestore.RunAsync(
            await there.OpenBackupAsync(Component.FileStore, second, CancellationToken.None),
            new FileStoreRestoreOptions { TargetPath = target },
            NullObserver.Instance,
            CancellationToken.None);
        Assert.Equal(FileStoreSandbox.Describe(sandbox.Source), FileStoreSandbox.Describe(target));
    }

    [Fact]
    public async Task Open_AnotherRepositoryAtTheDestination_IsRefused_AndLeftAlone()
    {
        await _lab.BackUpAsync();
        await Repository.OpenOrCreateAsync(_lab.Copy, CancellationToken.None);
        List<string> before = await _lab.Copy.KeysAsync();

        SmcException error = await SmcErrorCode.RepositoryMismatch.ThrowsAsync(() => _lab.CopyAllAsync());

        Assert.Contains(_lab.Copy.Location, error.Message, StringComparison.Ordinal);
        Assert.Equal(before, await _lab.Copy.KeysAsync());
    }

    [Fact]
    public async Task Open_KeysOfTheRepository_AreCopiedAsTheyLie_AlsoThoseAddedLater()
    {
        await _lab.BackUpAsync();
        await _lab.Source.PutAsync("keys/0123456789abcdef/ops", "wrapped"u8.ToArray(), default);
        await _lab.CopyAllAsync();
        await _lab.Source.PutAsync("keys/0123456789abcdef/kms", "wrapped otherwise"u8.ToArray(), default);
        await _lab.CopyAllAsync();
        await CopyLab.AssertSameObjectsAsync(_lab.Source, _lab.Copy);
    }

    [Fact]
    public async Task CopyAll_BackupOfANewerFormat_IsNotCopied_AndTheRestIs()
    {
        string newer = await _lab.BackUpAsync(1);
        string known = await _lab.BackUpAsync(2);
        string marker = Path.Combine(_lab.SourcePath, RepositoryKeys.Complete(Component.FileStore, newer));
        await File.WriteAllBytesAsync(marker, SampleBackup.OfNewerFormat(await File.ReadAllBytesAsync(marker)));

        List<BackupCopyResult> results = await _lab.CopyAllAsync();

        Assert.Equal(["Partial", "Complete"], results.Select(static result => result.State));
        Assert.Contains(newer, Assert.Single(results[0].Problems), StringComparison.Ordinal);
        Assert.Equal(SampleBackup.Files(2), await SampleBackup.ReadAsync(_lab.Copy, known));
    }

    [Fact]
    public async Task Open_RecipientRemovedFromTheRepository_DoesNotOpenTheCopyEither()
    {
        (RepositoryKeySource own, RepositoryKeySource removed) = (NewKey(), NewKey());
        await using MemoryObjectStore source = new();
        await using MemoryObjectStore copy = new();
        await using MemoryObjectStore copyOfCopy = new();
        await Repository.OpenOrCreateAsync(source, own, default);
        await RepositoryRecipients.AddAsync(source, own, removed, "removed", default);
        await CopyKeysAsync(source, copy);
        await CopyKeysAsync(copy, copyOfCopy);
        Assert.True((await Repository.OpenAsync(copyOfCopy, removed, default)).IsEncrypted);

        await RepositoryRecipients.RemoveAsync(source, own, "removed", default);
        await CopyKeysAsync(source, copy);
        await CopyKeysAsync(copy, copyOfCopy);

        foreach (MemoryObjectStore store in new[] { source, copy, copyOfCopy })
        {
            await SmcErrorCode.KeyWrong.ThrowsAsync(() => Repository.OpenAsync(store, removed, default));
            Assert.True((await Repository.OpenAsync(store, own, default)).IsEncrypted);
        }

        Assert.Empty(_lab.Observer.Warnings);

        // Who is added again under the same name opens it again, and stays.
        await RepositoryRecipients.AddAsync(source, own, removed, "removed", default);
        await CopyKeysAsync(source, copy);
        await CopyKeysAsync(source, copy);
        Assert.True((await Repository.OpenAsync(copy, removed, default)).IsEncrypted);
        Assert.Equal(source.Keys, copy.Keys);

        Task<RepositoryCopy> CopyKeysAsync(IObjectStore from, IObjectStore to) => OpenEncryptedAsync(from, to, own);
    }

    [Fact]
    public async Task Open_EnvelopeMissingFromTheRepository_StaysInTheCopy_AndIsToldOf()
    {
        (RepositoryKeySource own, RepositoryKeySource other) = (NewKey(), NewKey());
        await using MemoryObjectStore source = new();
        await using MemoryObjectStore copy = new();
        await Repository.OpenOrCreateAsync(source, own, default);
        await RepositoryRecipients.AddAsync(source, own, other, "other", default);
        await OpenEncryptedAsync(source, copy, own);
        string envelope = source.Keys.Single(static key => key.EndsWith("/other", StringComparison.Ordinal));
        await source.DeleteAsync(envelope, default);

        await OpenEncryptedAsync(source, copy, own);

        Assert.True((await Repository.OpenAsync(copy, other, default)).IsEncrypted);
        Assert.Contains(envelope, Assert.Single(_lab.Observer.Warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("pack-000002")]
    [InlineData("manifest")]
    [InlineData("complete")]
    [InlineData("started")]
    public async Task CopyAll_DamagedObject_IsNotCopied_TheRestIs_AndHealedTheNextRunCompletes(string name)
    {
        string damaged = await _lab.BackUpAsync(1);
        string good = await _lab.BackUpAsync(2);
        string key = $"filestore/{damaged}/{name}";
        CopyLab.Flip(_lab.SourcePath, key);

        List<BackupCopyResult> results = await _lab.CopyAllAsync();

        Assert.Equal(["Partial", "Complete"], results.Select(static result => result.State));
        Assert.Contains(results[0].Problems, problem => problem.Contains(key, StringComparison.Ordinal));
        Assert.Contains(_lab.Observer.Warnings, warning => warning.Contains(key, StringComparison.Ordinal));
        List<string> keys = await _lab.Copy.KeysAsync();
        Assert.DoesNotContain(key, keys);
        Assert.DoesNotContain($"filestore/{damaged}/complete", keys);
        Assert.Equal(SampleBackup.Files(2), await SampleBackup.ReadAsync(_lab.Copy, good));

        CopyLab.Flip(_lab.SourcePath, key);
        Assert.All(await _lab.CopyAllAsync(), static result => Assert.Equal("Complete", result.State));
        Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(_lab.Copy, damaged));
    }

    [Fact]
    public async Task CopyAll_ObjectOfWrongLengthAtTheDestination_IsToldOf_NotOverwritten()
    {
        string id = await _lab.BackUpAsync();
        await _lab.CopyAllAsync();
        string pack = Path.Combine(_lab.CopyPath, $"filestore/{id}/pack-000001");
        await File.WriteAllBytesAsync(pack, [1, 2, 3]);

        BackupCopyResult result = Assert.Single(await _lab.CopyAllAsync());

        Assert.Equal("Partial", result.State);
        Assert.Contains(result.Problems, static problem => problem.Contains("pack-000001", StringComparison.Ordinal));
        Assert.Equal([1, 2, 3], await File.ReadAllBytesAsync(pack));

        File.Delete(pack);
        Assert.Equal("Complete", Assert.Single(await _lab.CopyAllAsync()).State);
        await CopyLab.AssertSameObjectsAsync(_lab.Source, _lab.Copy);
    }

    [Fact]
    public async Task CopyAll_BackupThatTheSourceLost_IsKept_AndARunningOneIsLeftOut()
    {
        string lost = await _lab.BackUpAsync(1);
        await _lab.CopyAllAsync();
        Directory.Delete(Path.Combine(_lab.SourcePath, "filestore", lost), recursive: true);
        string kept = await _lab.BackUpAsync(2);
        Repository source = await Repository.OpenAsync(_lab.Source, CancellationToken.None);
        await using BackupWriter running = await source.BeginBackupAsync(
            Component.FileStore, "Full", null, null, null, null, CancellationToken.None);

        Assert.Equal([kept], (await _lab.CopyAllAsync()).Select(static result => result.Id));
        Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(_lab.Copy, lost));
        Assert.DoesNotContain(await _lab.Copy.KeysAsync(), key => key.Contains(running.Id, StringComparison.Ordinal));
    }

    [Fact]
    public async Task CopyAll_TwoAtOnce_BothSucceed()
    {
        for (int seed = 1; seed <= 3; seed++)
        {
            await _lab.BackUpAsync(seed);
        }

        List<BackupCopyResult>[] results = await Task.WhenAll(
            Enumerable.Range(0, 3).Select(_ => Task.Run(() => CopyLab.CopyAllAsync(_lab.Source, _lab.Copy))));

        Assert.All(results.SelectMany(static r => r), static result => Assert.Equal("Complete", result.State));
        await CopyLab.AssertSameObjectsAsync(_lab.Source, _lab.Copy);
    }

    [Fact]
    public async Task CopyAll_StoppedInTheMiddle_LeavesNoHalfObjects_AndNoMarker_AndGoesOn()
    {
        string id = await _lab.BackUpAsync();
        using CancellationTokenSource stop = new();
        MemoryObjectStore destination = new()
        {
            BeforePut = async (key, token) =>
            {
                if (key.EndsWith("pack-000002", StringComparison.Ordinal))
                {
                    await stop.CancelAsync();
                    token.ThrowIfCancellationRequested();
                }
            },
        };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => CopyLab.CopyAllAsync(_lab.Source, destination, cancellationToken: stop.Token));

        Assert.DoesNotContain(destination.Keys, static key => key.EndsWith("complete", StringComparison.Ordinal));
        destination.BeforePut = null;
        BackupCopyResult result = Assert.Single(await CopyLab.CopyAllAsync(_lab.Source, destination));
        Assert.True(result.PresentObjects > 0);
        Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(destination, id));
    }

    [Fact]
    public async Task CopyBackup_InterruptedBeforeEachWrite_IsNeverAHalfThatCanBeRestored()
    {
        string id = await _lab.BackUpAsync();
        for (int limit = 0; ; limit++)
        {
            int puts = 0;
            MemoryObjectStore destination = new();
            destination.BeforePut = (key, _) => puts++ < limit
                ? Task.CompletedTask
                : throw new SmcException(SmcErrorCode.StorageUnavailable, "The network is gone.");
            try
            {
                await CopyLab.CopyAllAsync(_lab.Source, destination);
                Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(destination, id));
                Assert.True(limit > 5);
                return;
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.StorageUnavailable)
            {
                Assert.DoesNotContain(destination.Keys, static key => key.EndsWith("complete", StringComparison.Ordinal));
            }

            destination.BeforePut = null;
            Assert.Equal("Complete", Assert.Single(await CopyLab.CopyAllAsync(_lab.Source, destination)).State);
            Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(destination, id));
        }
    }

    [Fact]
    public async Task CopyBackup_PackRemovedAtTheDestinationMeanwhile_TakesTheMarkerBack()
    {
        string id = await _lab.BackUpAsync();
        MemoryObjectStore destination = new();
        destination.BeforePut = async (key, token) =>
        {
            if (key.EndsWith("complete", StringComparison.Ordinal))
            {
                // Who removes looked for a marker just before there was one.
                await destination.DeleteAsync($"filestore/{id}/pack-000001", token);
            }
        };

        await SmcErrorCode.CopyIncomplete.ThrowsAsync(() => CopyLab.CopyAllAsync(_lab.Source, destination));

        Assert.DoesNotContain(destination.Keys, static key => key.EndsWith("complete", StringComparison.Ordinal));
    }

    [Fact]
    public async Task CopyBackup_ClaimRemovedAtTheDestinationMeanwhile_TakesTheMarkerBack()
    {
        string id = await _lab.BackUpAsync();
        MemoryObjectStore destination = new();
        destination.BeforePut = async (key, token) =>
        {
            if (key.EndsWith("complete", StringComparison.Ordinal))
            {
                // Who removes has taken it for a copy that nobody works on any more; the packs go next.
                await destination.DeleteAsync($"filestore/{id}/started", token);
            }
        };

        await SmcErrorCode.CopyIncomplete.ThrowsAsync(() => CopyLab.CopyAllAsync(_lab.Source, destination));

        Assert.DoesNotContain(destination.Keys, static key => key.EndsWith("complete", StringComparison.Ordinal));
        destination.BeforePut = null;
        Assert.Equal("Complete", Assert.Single(await CopyLab.CopyAllAsync(_lab.Source, destination)).State);
        Assert.Equal(SampleBackup.Files(1), await SampleBackup.ReadAsync(destination, id));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task CopyAll_BackupThatRetentionRemovesMeanwhile_DoesNotKeepTheOthersFromBeingCopied(bool onlyMarker)
    {
        string first = await _lab.BackUpAsync(1);
        string removed = await _lab.BackUpAsync(2);
        string last = await _lab.BackUpAsync(3);
        RepositoryCopy copy = await CopyLab.OpenAsync(_lab.Source, _lab.Copy, _lab.Observer);
        List<string> copied = [];
        await foreach (BackupCopyResult result in copy.CopyAllAsync(default))
        {
            copied.Add(result.Id);
            if (result.Id == first)
            {
                foreach (string name in onlyMarker ? ["complete"] : new[] { "complete", "manifest", "started" })
                {
                    await _lab.Source.DeleteAsync($"filestore/{removed}/{name}", default);
                }
            }
        }

        Assert.Equal([first, last], copied);
        Assert.Contains(_lab.Observer.Verboses, line => line.Contains(removed, StringComparison.Ordinal));
    }

    [Fact]
    public async Task CopyBackup_UnknownOrIncomplete_IsRefused()
    {
        await _lab.BackUpAsync();
        RepositoryCopy copy = await CopyLab.OpenAsync(_lab.Source, _lab.Copy);
        await SmcErrorCode.BackupNotFound.ThrowsAsync(
            () => copy.CopyBackupAsync(Component.FileStore, "20200101T000000Z-full", CancellationToken.None));
    }

    private static RepositoryKeySource NewKey()
    {
        using TemporaryDirectory directory = new();
        string path = Path.Combine(directory.Path, "key");
        KeyFile.Create(path);
        return RepositoryKeySource.FromSecret(File.ReadAllText(path));
    }

    private async Task<RepositoryCopy> OpenEncryptedAsync(IObjectStore source, IObjectStore destination, RepositoryKeySource key) =>
        await RepositoryCopy.OpenAsync(
            await Repository.OpenAsync(source, key, default),
            destination,
            token => Repository.OpenAsync(destination, key, token),
            _lab.Observer,
            parallelism: 3,
            CancellationToken.None);
}
