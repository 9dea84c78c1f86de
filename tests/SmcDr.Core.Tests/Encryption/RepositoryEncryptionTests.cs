using System.Text;
using Amazon.KeyManagementService;
using Amazon.KeyManagementService.Model;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Repositories;

namespace SmcDr.Core.Tests.Encryption;

/// <summary>A repository and who can open it.</summary>
[Collection(MotoTests.Name)]
public sealed class RepositoryEncryptionTests(MotoServer moto) : IDisposable
{
    private const string Passphrase = "correct horse battery staple";

    private readonly MemoryObjectStore _store = new();
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task WriteBackup_EncryptedRepository_ReadsBackAndShowsNothing()
    {
        RepositoryKeySource key = NewKey();
        Repository repository = await Repository.OpenOrCreateAsync(_store, key, default);
        SortedDictionary<string, byte[]> files = SampleBackup.Files(1);
        files["marker"] = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("PLANTED-MARKER ", 100)));
        // Not compressed: the marker would be in the packs as it is.
        BackupHeader header = await SampleBackup.WriteAsync(repository, files);

        Repository again = await Repository.OpenAsync(_store, key, default);
        Assert.True(again.IsEncrypted);
        BackupReader reader = await again.OpenBackupAsync(Component.FileStore, header.Id, default);
        Assert.Equal(files.Count, (await reader.ReadManifestAsync(default)).Entries.Count(static e => e.Kind == ManifestEntryKind.File));
        await foreach (BackupEntry entry in again.ListBackupsAsync(Component.FileStore, default))
        {
            Assert.True(entry.ToInfo("here").Encrypted);
        }

        string[] telltales = ["PLANTED-MARKER", "sample", "folder", "work and no play", "manifestLength", header.RepositoryId.ToString("N")];
        foreach (string name in _store.Keys.Where(static name => name != RepositoryKeys.Root && !name.StartsWith("keys/", StringComparison.Ordinal)))
        {
            string content = Encoding.Latin1.GetString(_store[name]);
            Assert.All(telltales, telltale => Assert.DoesNotContain(telltale, content, StringComparison.Ordinal));
            Assert.StartsWith("SMCDRENC", content, StringComparison.Ordinal);
        }

        Assert.Equal(
            ["canary", "keyfile-" + key.Fingerprint![..8]],
            _store.Keys.Where(static name => name.StartsWith("keys/", StringComparison.Ordinal)).Select(static name => name.Split('/')[2]));
    }

    [Fact]
    public async Task OpenAsync_EveryByteOfEveryObjectFlipped_IsRefusedByOpeningOrReading()
    {
        RepositoryKeySource key = NewKey();
        Repository repository = await Repository.OpenOrCreateAsync(_store, key, default);
        BackupHeader header = await SampleBackup.WriteAsync(
            repository, new SortedDictionary<string, byte[]>(StringComparer.Ordinal) { ["a"] = [1, 2, 3], ["b"] = new byte[600] });
        foreach (string name in _store.Keys)
        {
            byte[] right = _store[name];
            for (int at = 0; at < right.Length; at++)
            {
                byte[] wrong = [.. right];
                wrong[at] ^= (byte)(1 << (at % 8));
                _store[name] = wrong;
                if (name.EndsWith("/canary", StringComparison.Ordinal))
                {
                    // It is not what the key is known by alone.
                    Assert.Contains(name, Assert.Single(await ReadAllAsync(key, header.Id)), StringComparison.Ordinal);
                    continue;
                }

                SmcException exception = await Assert.ThrowsAsync<SmcException>(() => ReadAllAsync(key, header.Id));
                Assert.True(
                    exception.Code is SmcErrorCode.ChecksumMismatch or SmcErrorCode.ManifestInvalid or SmcErrorCode.KeyWrong,
                    $"{name}, byte {at}: {exception.Code}, {exception.Message}");
            }

            _store[name] = right;
        }

        Assert.Empty(await ReadAllAsync(key, header.Id));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task OpenAsync_CanaryDamagedOrMissing_OpensWithAWarningAndWithNoOtherKey(bool isMissing)
    {
        RepositoryKeySource key = NewKey();
        Repository repository = await Repository.OpenOrCreateAsync(_store, key, default);
        string id = (await SampleBackup.WriteAsync(repository, SampleBackup.Files(1))).Id;
        string canary = _store.Keys.Single(static name => name.EndsWith("/canary", StringComparison.Ordinal));
        if (isMissing)
        {
            await _store.DeleteAsync(canary, default);
        }
        else
        {
            _store[canary] = _store[canary][..40];
        }

        Assert.Contains(canary, Assert.Single(await ReadAllAsync(key, id)), StringComparison.Ordinal);
        await SmcErrorCode.KeyWrong.ThrowsAsync(() => Repository.OpenAsync(_store, NewKey(), default));
        await SmcErrorCode.KeyWrong.ThrowsAsync(() => Repository.OpenAsync(_store, RepositoryKeySource.FromSecret(Passphrase), default));
        List<string> problems = [];
        Assert.Single(await RepositoryRecipients.ListAsync(_store, key, problems.Add, default));
        Assert.Contains(canary, Assert.Single(problems), StringComparison.Ordinal);
    }

    [Fact]
    public async Task OpenAsync_CanariesOfRenewedKeysDamaged_KeysKeepTheirOrder()
    {
        RepositoryKeySource key = NewKey();
        await Repository.OpenOrCreateAsync(_store, key, default);
        string second = await RepositoryRecipients.RenewAsync(_store, [key], default);
        Repository renewed = await Repository.OpenAsync(_store, key, default);
        await renewed.Store.PutAsync("second", new byte[20], default);
        string third = await RepositoryRecipients.RenewAsync(_store, [key], default);

        // The envelope of the second is made anew, as after an exchange of recipients, and so is younger than the third key.
        RepositoryKeySource other = NewKey();
        await RepositoryRecipients.AddAsync(_store, key, other, "other", default);
        foreach (string[] damaged in new[] { new[] { second }, [third], [second, third] })
        {
            Dictionary<string, byte[]> right = damaged.ToDictionary(RepositoryKeys.Canary, id => _store[RepositoryKeys.Canary(id)]);
            foreach ((string name, byte[] content) in right)
            {
                _store[name] = [.. content[..^1], (byte)(content[^1] ^ 1)];
            }

            foreach (RepositoryKeySource source in new[] { key, other })
            {
                List<string> problems = [];
                Repository opened = await Repository.OpenAsync(_store, source, problems.Add, default);
                Assert.Equal(damaged.Length, problems.Count);
                Assert.Equal(new byte[20], await opened.Store.ReadAsync("second"));
                Assert.Equal(third, ((EncryptedObjectStore)opened.Store).Keyring.Current.Id);
            }

            foreach ((string name, byte[] content) in right)
            {
                _store[name] = content;
            }
        }
    }

    [Fact]
    public async Task OpenAsync_ObjectsSwapped_AreKnownForWhatTheyAre()
    {
        RepositoryKeySource key = NewKey();
        Repository repository = await Repository.OpenOrCreateAsync(_store, key, default);
        string first = (await SampleBackup.WriteAsync(repository, SampleBackup.Files(1))).Id;
        string second = (await SampleBackup.WriteAsync(repository, SampleBackup.Files(2))).Id;
        foreach (string part in new[] { "complete", "manifest", "pack-000001" })
        {
            (string one, string other) = ($"filestore/{first}/{part}", $"filestore/{second}/{part}");
            (byte[] oneContent, byte[] otherContent) = (_store[one], _store[other]);
            (_store[one], _store[other]) = (otherContent, oneContent);
            SmcException exception = await Assert.ThrowsAsync<SmcException>(() => ReadAllAsync(key, first));
            // A pack or manifest of another length is seen before it is read.
            Assert.True(
                exception.Code == SmcErrorCode.ObjectSwapped
                    || (exception.Code == SmcErrorCode.ChecksumMismatch && oneContent.Length != otherContent.Length),
                $"{part}: {exception.Message}");
            (_store[one], _store[other]) = (oneContent, otherContent);
        }
    }

    [Fact]
    public async Task ListBackupsAsync_MarkerOfAnotherRepository_IsShownAsUnreadableAndHidesNothing()
    {
        RepositoryKeySource key = NewKey();
        Repository repository = await Repository.OpenOrCreateAsync(_store, key, default);
        string first = (await SampleBackup.WriteAsync(repository, SampleBackup.Files(1))).Id;
        await SampleBackup.WriteAsync(repository, SampleBackup.Files(2));
        MemoryObjectStore elsewhere = new();
        await Repository.OpenOrCreateAsync(elsewhere, key, default);
        string foreign = (await SampleBackup.WriteAsync(await Repository.OpenAsync(elsewhere, key, default), SampleBackup.Files(1))).Id;
        _store[$"filestore/{first}/complete"] = elsewhere[$"filestore/{foreign}/complete"];

        List<BackupEntry> entries = [];
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.FileStore, default))
        {
            entries.Add(entry);
        }

        Assert.Equal(["Unreadable", "Complete"], entries.Select(static entry => entry.ToInfo("here").State));
        Assert.Equal(SmcErrorCode.KeyMissing, entries[0].Problem!.Code);
    }

    [Fact]
    public async Task OpenAsync_WrongOrMissingKey_IsRefusedAndSaysWhoCould()
    {
        RepositoryKeySource key = NewKey();
        await Repository.OpenOrCreateAsync(_store, key, default);

        await SmcErrorCode.KeyMissing.ThrowsAsync(() => Repository.OpenAsync(_store, default));
        SmcException wrong = await SmcErrorCode.KeyWrong.ThrowsAsync(() => Repository.OpenAsync(_store, NewKey(), default));
        Assert.Contains(key.Fingerprint!, wrong.Message, StringComparison.Ordinal);
        await SmcErrorCode.KeyWrong.ThrowsAsync(() => Repository.OpenOrCreateAsync(_store, RepositoryKeySource.FromSecret(Passphrase), default));
    }

    [Fact]
    public async Task OpenAsync_KeyGivenForARepositoryInClear_IsRefused()
    {
        await Repository.OpenOrCreateAsync(_store, default);
        await SmcErrorCode.RepositoryNotEncrypted.ThrowsAsync(() => Repository.OpenAsync(_store, NewKey(), default));
        await SmcErrorCode.RepositoryNotEncrypted.ThrowsAsync(() => Repository.OpenOrCreateAsync(_store, NewKey(), default));
        Assert.Equal([RepositoryKeys.Root], _store.Keys);
    }

    [Fact]
    public async Task OpenOrCreateAsync_ManyAtOnce_EndWithOneKey()
    {
        RepositoryKeySource key = NewKey();
        Barrier barrier = new(8);
        Repository[] repositories = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            barrier.SignalAndWait();
            return Repository.OpenOrCreateAsync(_store, key, default);
        })));

        Assert.Single(repositories.Select(static repository => repository.Id).Distinct());
        for (int i = 0; i < repositories.Length; i++)
        {
            await repositories[i].Store.PutAsync($"object-{i}", new byte[10], default);
        }

        foreach (Repository repository in repositories)
        {
            for (int i = 0; i < repositories.Length; i++)
            {
                Assert.Equal(new byte[10], await repository.Store.ReadAsync($"object-{i}"));
            }
        }

        Assert.Equal(2, _store.Keys.Count(static name => name.StartsWith("keys/", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task OpenOrCreateAsync_InterruptedBefore_IsRepairedByTheNext(int objects)
    {
        RepositoryKeySource key = NewKey();
        int count = 0;
        _store.BeforePut = (_, _) => count++ == objects ? throw new IOException("The power fails.") : Task.CompletedTask;
        await Assert.ThrowsAsync<IOException>(() => Repository.OpenOrCreateAsync(_store, key, default));
        Assert.Equal(objects, _store.Keys.Count);
        _store.BeforePut = null;

        Repository repository = await Repository.OpenOrCreateAsync(_store, key, default);
        await repository.Store.PutAsync("object", new byte[10], default);

        Repository again = await Repository.OpenAsync(_store, key, default);
        Assert.Equal(new byte[10], await again.Store.ReadAsync("object"));
        Assert.Single(await RepositoryRecipients.ListAsync(_store, key, Fail, default));
    }

    [Fact]
    public async Task AddAsync_EachKindOfRecipient_OpensAndIsListed()
    {
        RepositoryKeySource file = NewKey();
        RepositoryKeySource passphrase = RepositoryKeySource.FromSecret(Passphrase);
        Repository repository = await Repository.OpenOrCreateAsync(_store, file, default);
        await repository.Store.PutAsync("object", new byte[10], default);

        string name = await RepositoryRecipients.AddAsync(_store, file, passphrase, null, default);
        Assert.StartsWith("passphrase-", name, StringComparison.Ordinal);
        Repository opened = await Repository.OpenAsync(_store, RepositoryKeySource.FromSecret(Passphrase), default);
        Assert.Equal(new byte[10], await opened.Store.ReadAsync("object"));

        IReadOnlyList<RepositoryKeyInfo> infos = await RepositoryRecipients.ListAsync(_store, passphrase, Fail, default);
        Assert.Equal(2, infos.Count);
        Assert.Equal(name, infos.Single(static info => info.Opens == true).Name);
        Assert.All(infos, static info => Assert.True(info.Current));
        Assert.All(await RepositoryRecipients.ListAsync(_store, null, Fail, default), static info => Assert.Null(info.Opens));
        Assert.All(_store.Keys, key => Assert.DoesNotContain(Passphrase, Encoding.Latin1.GetString(_store[key]), StringComparison.Ordinal));
    }

    [Fact]
    public async Task AddAsync_TwiceOrUnderATakenName_IsRefused()
    {
        RepositoryKeySource file = NewKey();
        await Repository.OpenOrCreateAsync(_store, file, default);
        await RepositoryRecipients.AddAsync(_store, file, NewKey(), "escrow", default);
        await SmcErrorCode.KeyExists.ThrowsAsync(() => RepositoryRecipients.AddAsync(_store, file, NewKey(), "escrow", default));
        await SmcErrorCode.KeyExists.ThrowsAsync(() => RepositoryRecipients.AddAsync(_store, file, file, "again", default));
        await SmcErrorCode.KeyWrong.ThrowsAsync(() => RepositoryRecipients.AddAsync(_store, NewKey(), NewKey(), "burglar", default));
        await SmcErrorCode.ArgumentInvalid.ThrowsAsync(() => RepositoryRecipients.AddAsync(_store, file, NewKey(), "canary", default));
        await SmcErrorCode.KeyInvalid.ThrowsAsync(
            () => RepositoryRecipients.AddAsync(_store, file, RepositoryKeySource.FromSecret("short"), "weak", default));
    }

    [Fact]
    public async Task RemoveAsync_Recipient_NoLongerOpensAndTheLastStays()
    {
        (RepositoryKeySource old, RepositoryKeySource next) = (NewKey(), NewKey());
        await Repository.OpenOrCreateAsync(_store, old, default);
        string oldName = "keyfile-" + old.Fingerprint![..8];
        SmcException last = await SmcErrorCode.KeyNeeded.ThrowsAsync(() => RepositoryRecipients.RemoveAsync(_store, old, oldName, default));
        Assert.Contains("last", last.Message, StringComparison.Ordinal);

        await RepositoryRecipients.AddAsync(_store, old, next, "next", default);
        await SmcErrorCode.KeyNeeded.ThrowsAsync(() => RepositoryRecipients.RemoveAsync(_store, old, oldName, default));
        await SmcErrorCode.KeyNotFound.ThrowsAsync(() => RepositoryRecipients.RemoveAsync(_store, next, "nobody", default));
        await RepositoryRecipients.RemoveAsync(_store, next, oldName, default);

        await SmcErrorCode.KeyWrong.ThrowsAsync(() => Repository.OpenAsync(_store, old, default));
        Assert.True((await Repository.OpenAsync(_store, next, default)).IsEncrypted);
    }

    [Fact]
    public async Task RenewAsync_OldAndNewBackups_ReadAndTheNewOnesNeedTheNewKey()
    {
        (RepositoryKeySource one, RepositoryKeySource two) = (NewKey(), NewKey());
        Repository repository = await Repository.OpenOrCreateAsync(_store, one, default);
        await RepositoryRecipients.AddAsync(_store, one, two, "two", default);
        await repository.Store.PutAsync("old", new byte[10], default);

        await SmcErrorCode.KeyMissing.ThrowsAsync(() => RepositoryRecipients.RenewAsync(_store, [one], default));
        string keyId = await RepositoryRecipients.RenewAsync(_store, [one, two], default);

        foreach (RepositoryKeySource key in new[] { one, two })
        {
            Repository renewed = await Repository.OpenAsync(_store, key, default);
            await renewed.Store.PutAsync($"new-{key.Fingerprint}", new byte[20], default);
            Assert.Equal(new byte[10], await renewed.Store.ReadAsync("old"));
            Assert.Equal(keyId, Convert.ToHexStringLower(_store[$"new-{key.Fingerprint}"].AsSpan(9, 8)));
        }

        // Who opened before knows the old key only, and says so.
        SmcException exception = await SmcErrorCode.KeyMissing.ThrowsAsync(() => repository.Store.ReadAsync($"new-{one.Fingerprint}"));
        Assert.Contains(keyId, exception.Message, StringComparison.Ordinal);
        IReadOnlyList<RepositoryKeyInfo> infos = await RepositoryRecipients.ListAsync(_store, one, Fail, default);
        Assert.Equal(4, infos.Count);
        Assert.All(infos, info => Assert.Equal(info.KeyId == keyId, info.Current));

        // And once more: the chain is followed from the first key.
        string third = await RepositoryRecipients.RenewAsync(_store, [two, one], default);
        Assert.Equal(third, ((EncryptedObjectStore)(await Repository.OpenAsync(_store, two, default)).Store).Keyring.Current.Id);
    }

    [Fact]
    public async Task OpenAsync_KeySlippedInWithoutEndorsement_IsNotUsed()
    {
        // As somebody could who may have KMS wrap a key for the site, and write to the bucket.
        RepositoryKeySource key = NewKey();
        Repository repository = await Repository.OpenOrCreateAsync(_store, key, default);
        KeyFolder folder = new(_store, repository.Id);
        using RepositoryKey own = RepositoryKey.Create();
        using RepositoryKey pretended = RepositoryKey.Create();
        await folder.AddAsync(own, key, "evil", default);
        await folder.PutCanaryAsync(own, null, default);

        Repository again = await Repository.OpenAsync(_store, key, default);
        await again.Store.PutAsync("object", new byte[10], default);
        Assert.NotEqual(own.Id, Convert.ToHexStringLower(_store["object"].AsSpan(9, 8)));
    }

    [Fact]
    public async Task RenewAsync_InterruptedBeforeTheCanary_ChangesNothing()
    {
        RepositoryKeySource key = NewKey();
        await Repository.OpenOrCreateAsync(_store, key, default);
        _store.BeforePut = static (name, _) => name.EndsWith("canary", StringComparison.Ordinal) ? throw new IOException("The power fails.") : Task.CompletedTask;
        await Assert.ThrowsAsync<IOException>(() => RepositoryRecipients.RenewAsync(_store, [key], default));
        _store.BeforePut = null;

        Repository repository = await Repository.OpenAsync(_store, key, default);
        await repository.Store.PutAsync("object", new byte[10], default);
        Assert.Single(((EncryptedObjectStore)repository.Store).Keyring.Keys);
    }

    [Fact]
    public async Task OpenAsync_EnvelopesThatWouldTakeHours_AreNotTried()
    {
        RepositoryKeySource passphrase = RepositoryKeySource.FromSecret(Passphrase);
        Repository repository = await Repository.OpenOrCreateAsync(_store, passphrase, default);
        string name = _store.Keys.Single(static key => key.StartsWith("keys/", StringComparison.Ordinal) && !key.EndsWith("canary", StringComparison.Ordinal));
        string text = Encoding.UTF8.GetString(_store[name]);
        string json = text[(text.IndexOf(' ', StringComparison.Ordinal) + 1)..].TrimEnd();
        _store[name] = Envelope.Seal(Encoding.UTF8.GetBytes(json.Replace("\"iterations\":600000", "\"iterations\":2000000000", StringComparison.Ordinal)));

        await SmcErrorCode.KeyWrong.ThrowsAsync(
            () => Repository.OpenAsync(_store, passphrase, default).WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.True(repository.IsEncrypted);
    }

    [MotoFact]
    public async Task OpenAsync_AwsKms_WrapsAndUnwrapsThereAndOnlyWithTheSitesOwnKey()
    {
        string own = await CreateKmsKeyAsync();
        string foreign = await CreateKmsKeyAsync();
        using IAmazonKeyManagementService client = CreateKms();
        await client.CreateAliasAsync(new CreateAliasRequest { AliasName = "alias/smcdr-" + own[^6..], TargetKeyId = own });
        Repository repository = await Repository.OpenOrCreateAsync(_store, new AwsKmsSource(own, CreateKms), default);
        await repository.Store.PutAsync("object", new byte[10], default);

        foreach (string reference in new[] { own, "alias/smcdr-" + own[^6..] })
        {
            Repository again = await Repository.OpenAsync(_store, new AwsKmsSource(reference, CreateKms), default);
            Assert.Equal(new byte[10], await again.Store.ReadAsync("object"));
        }

        await SmcErrorCode.KeyWrong.ThrowsAsync(() => Repository.OpenAsync(_store, new AwsKmsSource(foreign, CreateKms), default));
        RepositoryKeyInfo info = Assert.Single(await RepositoryRecipients.ListAsync(_store, new AwsKmsSource(own, CreateKms), Fail, default));
        Assert.Equal(("AwsKms", own, true), (info.Kind, info.Fingerprint, info.Opens));
        SmcException gone = await SmcErrorCode.SecretUnavailable.ThrowsAsync(() => Repository.OpenAsync(
            _store,
            new AwsKmsSource(own, static () => new AmazonKeyManagementServiceClient(
                MotoServer.Credentials,
                new AmazonKeyManagementServiceConfig { ServiceURL = "http://127.0.0.1:1", AuthenticationRegion = "us-east-1", MaxErrorRetry = 0 })),
            default));
        Assert.Contains(own, gone.Message, StringComparison.Ordinal);
    }

    [MotoFact]
    public async Task OpenAsync_AwsKms_LaterKeyWhoseCanaryIsDamaged_IsNotUsed()
    {
        // Whoever may have KMS wrap a key and write to the bucket could have put it there: its envelope proves nothing.
        using AwsKmsSource key = new(await CreateKmsKeyAsync(), CreateKms);
        Repository repository = await Repository.OpenOrCreateAsync(_store, key, default);
        await repository.Store.PutAsync("object", new byte[10], default);
        using RepositoryKey own = RepositoryKey.Create();
        await new KeyFolder(_store, repository.Id).AddAsync(own, key, "evil", default);
        _store[RepositoryKeys.Canary(own.Id)] = [1, 2, 3];

        List<string> problems = [];
        Repository again = await Repository.OpenAsync(_store, key, problems.Add, default);
        Assert.DoesNotContain(((EncryptedObjectStore)again.Store).Keyring.Keys, other => other.Id == own.Id);
        Assert.Contains(own.Id, Assert.Single(problems), StringComparison.Ordinal);

        // Of the first key, which the root names, the canary proves no more than its id does.
        string first = _store.Keys.Single(name => name.EndsWith("/canary", StringComparison.Ordinal) && !name.Contains(own.Id, StringComparison.Ordinal));
        _store[first] = [1, 2, 3];
        Assert.Equal(new byte[10], await (await Repository.OpenAsync(_store, key, default)).Store.ReadAsync("object"));
    }

    [Fact]
    public void KeyFile_Created_IsOfThisAccountAndNeverReplaced()
    {
        string path = Path.Combine(_directory.Path, "repository.key");
        KeyFileInfo info = KeyFile.Create(path);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        string text = File.ReadAllText(path);
        Assert.Matches("^SMCDR-KEY-1 [A-Za-z0-9+/]{43}=\n$", text);
        using RepositoryKeySource source = RepositoryKeySource.FromSecret(text);
        Assert.Equal(info.Fingerprint, source.Fingerprint);

        Assert.Equal(SmcErrorCode.TargetNotEmpty, Assert.Throws<SmcException>(() => KeyFile.Create(path)).Code);
        Assert.Equal(text, File.ReadAllText(path));
    }

    [Theory]
    [InlineData("SMCDR-KEY-1")]
    [InlineData("SMCDR-KEY-1 AAAA")]
    [InlineData("SMCDR-KEY-2 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")]
    [InlineData("")]
    public void FromSecret_CutKeyFileOrNothing_IsRefusedAndNotTakenForAPassphrase(string text) =>
        Assert.Equal(SmcErrorCode.KeyInvalid, Assert.Throws<SmcException>(() => RepositoryKeySource.FromSecret(text)).Code);

    private static void Fail(string problem) => Assert.Fail(problem);

    private RepositoryKeySource NewKey()
    {
        string path = Path.Combine(_directory.Path, Guid.NewGuid().ToString("N"));
        KeyFile.Create(path);
        return RepositoryKeySource.FromSecret(File.ReadAllText(path));
    }

    private AmazonKeyManagementServiceClient CreateKms() => new(
        MotoServer.Credentials,
        new AmazonKeyManagementServiceConfig { ServiceURL = moto.Endpoint, AuthenticationRegion = "us-east-1" });

    private async Task<string> CreateKmsKeyAsync()
    {
        using IAmazonKeyManagementService client = CreateKms();
        return (await client.CreateKeyAsync(new CreateKeyRequest())).KeyMetadata.Arn;
    }

    /// <summary>Reads a backup to its last byte, and gives what opening the repository has warned of.</summary>
    private async Task<List<string>> ReadAllAsync(RepositoryKeySource key, string id)
    {
        List<string> problems = [];
        Repository repository = await Repository.OpenAsync(_store, key, problems.Add, default);
        Assert.NotNull(await repository.TryReadDocumentAsync(
            RepositoryKeys.Started(Component.FileStore, id), RepositoryJson.Default.BackupStart, default));
        BackupReader reader = await repository.OpenBackupAsync(Component.FileStore, id, default);
        Manifest manifest = await reader.ReadManifestAsync(default);
        await reader.CheckPacksAsync(manifest, default);
        foreach (PackReference pack in manifest.Packs)
        {
            await repository.Store.ReadAsync(pack.Key);
        }

        return problems;
    }
}
