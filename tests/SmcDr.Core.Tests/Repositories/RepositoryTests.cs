using System.Text;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;

namespace SmcDr.Core.Tests.Repositories;

public sealed class RepositoryTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("smcdr-repository-").FullName;

    private DirectoryObjectStore Store => new(_root);

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task OpenAsync_NoRepository_IsRefused()
    {
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => Repository.OpenAsync(Store, CancellationToken.None));
        Assert.Equal(SmcErrorCode.RepositoryNotFound, error.Code);
    }

    [Fact]
    public async Task OpenOrCreateAsync_ManyAtOnce_EndWithOneRepository()
    {
        Repository[] opened = await Task.WhenAll(Enumerable.Range(0, 8)
            .Select(_ => Task.Run(() => Repository.OpenOrCreateAsync(Store, CancellationToken.None))));
        Assert.Single(opened.Select(static repository => repository.Id).Distinct());
    }

    [Fact]
    public async Task OpenAsync_OneAnswerIsCutShort_AsksAgain_AndBelievesTheSecond()
    {
        await using FaultyObjectStore store = new(Store);
        Guid id = (await Repository.OpenOrCreateAsync(store, CancellationToken.None)).Id;
        store.Plan(1, StoreFault.SilentTruncation);

        Assert.Equal(id, (await Repository.OpenAsync(store, CancellationToken.None)).Id);
        Assert.Equal(1, store.Injected);
        await File.WriteAllTextAsync(Path.Combine(_root, RepositoryKeys.Root), "what is wrong stays wrong");
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => Repository.OpenAsync(store, CancellationToken.None));
        Assert.Equal(SmcErrorCode.ManifestInvalid, error.Code);
    }

    [Fact]
    public async Task OpenAsync_NewerFormat_IsRefused()
    {
        await Store.PutAsync(
            "repository",
            Envelope.Seal("{\"format\":2,\"id\":\"6f9619ff-8b86-d011-b42d-00c04fc964ff\",\"createdTime\":\"2031-01-01T00:00:00Z\",\"tool\":\"9\"}"u8),
            CancellationToken.None);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => Repository.OpenAsync(Store, CancellationToken.None));
        Assert.Equal(SmcErrorCode.RepositoryFormatUnknown, error.Code);
    }

    [Fact]
    public async Task ListBackupsAsync_BackupOfANewerFormat_HidesNoOther_AndIsRefusedItself()
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        string newer = (await SampleBackup.WriteAsync(repository, SampleBackup.Files(1))).Id;
        string known = (await SampleBackup.WriteAsync(repository, SampleBackup.Files(2))).Id;
        string marker = Path.Combine(_root, RepositoryKeys.Complete(Component.FileStore, newer));
        await File.WriteAllBytesAsync(marker, SampleBackup.OfNewerFormat(await File.ReadAllBytesAsync(marker)));

        List<BackupEntry> entries = await ListAsync(repository);

        Assert.Equal([newer, known], entries.Select(static entry => entry.Id));
        Assert.Equal([false, true], entries.Select(static entry => entry.IsComplete));
        // Not "Damaged": those are what an operator removes.
        Assert.Equal(["Unreadable", "Complete"], entries.Select(static entry => entry.ToInfo("here").State));
        RecordingObserver observer = new();
        entries.ForEach(entry => entry.Warn(observer));
        Assert.Contains(newer, Assert.Single(observer.Warnings), StringComparison.Ordinal);
        SmcException error = await Assert.ThrowsAsync<SmcException>(
            () => repository.OpenBackupAsync(Component.FileStore, newer, CancellationToken.None));
        Assert.Equal(SmcErrorCode.RepositoryFormatUnknown, error.Code);
        Assert.Equal(known, (await repository.FindNewestAsync(Component.FileStore, static _ => true, CancellationToken.None))!.Id);
    }

    [Theory]
    [InlineData(BlockCodec.None)]
    [InlineData(BlockCodec.Zstd)]
    [InlineData(BlockCodec.Gzip)]
    public async Task Backup_WrittenAndRead_IsTheSame(BlockCodec codec)
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        SortedDictionary<string, byte[]> files = SampleBackup.Files(1);
        BackupHeader header = await SampleBackup.WriteAsync(repository, files, SampleBackup.SmallPacks with { Codec = codec });
        Assert.Equal(files, await SampleBackup.ReadAsync(Store, header.Id));
        Assert.Equal(files.Values.Sum(static content => content.Length), header.SizeBytes);
        Assert.True(Directory.GetFiles(Path.Combine(_root, "filestore", header.Id), "pack-*").Length > 1);
    }

    [Fact]
    public async Task Backup_MoreEntriesThanFitIntoMemory_IsTheSame()
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        SortedDictionary<string, byte[]> files = SampleBackup.Files(3);
        BackupHeader whole = await SampleBackup.WriteAsync(repository, files);
        BackupHeader spooled = await SampleBackup.WriteAsync(repository, files, SampleBackup.SmallPacks with { EntriesInMemory = 3 });
        Assert.Equal(files, await SampleBackup.ReadAsync(Store, spooled.Id));
        Assert.Equal((whole.FileCount, whole.SizeBytes), (spooled.FileCount, spooled.SizeBytes));

        Manifest left = await (await repository.OpenBackupAsync(Component.FileStore, whole.Id, default)).ReadManifestAsync(default);
        Manifest right = await (await repository.OpenBackupAsync(Component.FileStore, spooled.Id, default)).ReadManifestAsync(default);
        Assert.Equal(left.Entries.Select(static entry => entry.Path), right.Entries.Select(static entry => entry.Path));
        Assert.Equal(left.Packs.Select(static pack => pack.Hash), right.Packs.Select(static pack => pack.Hash));
    }

    [Fact]
    public async Task CompleteAsync_TwoEntriesOfOnePath_IsRefused()
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        foreach (int limit in new[] { 2, 100 })
        {
            await using BackupWriter writer = await repository.BeginBackupAsync(
                Component.FileStore, "Full", null, null, null, new BackupWriterOptions { EntriesInMemory = limit }, CancellationToken.None);
            foreach (string path in new[] { "a", "b", "c", "a" })
            {
                writer.Add(new ManifestEntry { Kind = ManifestEntryKind.Directory, Path = path });
            }

            SmcException error = await Assert.ThrowsAsync<SmcException>(
                () => writer.CompleteAsync("Full", static header => header, CancellationToken.None));
            Assert.Equal(SmcErrorCode.InternalError, error.Code);
        }
    }

    [Fact]
    public async Task BeginBackupAsync_SameSecond_GivesEachAnIdOfItsOwn()
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        BackupWriter[] writers = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => repository.BeginBackupAsync(
            Component.Database, "Full", null, null, null, null, CancellationToken.None)));
        Assert.Equal(5, writers.Select(static writer => writer.Id).Distinct().Count());
        foreach (BackupWriter writer in writers)
        {
            await writer.DisposeAsync();
        }
    }

    [Fact]
    public async Task BackupWriter_DisposedBeforeCompletion_LeavesNothing()
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        await using (BackupWriter writer = await repository.BeginBackupAsync(
            Component.FileStore, "Full", null, null, null, SampleBackup.SmallPacks, CancellationToken.None))
        {
            await using PackLane lane = writer.OpenLane();
            byte[] noise = new byte[5_000];
            Random.Shared.NextBytes(noise);
            for (int i = 0; i < 5; i++)
            {
                await lane.WriteAsync(noise, CancellationToken.None);
            }

            Assert.NotEmpty(await KeysAsync("filestore/"));
        }

        Assert.Empty(await KeysAsync("filestore/"));
        Assert.Equal(["repository"], await KeysAsync(""));
    }

    [Fact]
    public async Task Backup_WithoutMarker_IsListedAsIncompleteAndNeverOpened()
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        BackupHeader header = await SampleBackup.WriteAsync(repository, SampleBackup.Files(2));
        File.Delete(Path.Combine(_root, "filestore", header.Id, "complete"));

        BackupEntry entry = Assert.Single(await ListAsync(repository));
        Assert.Equal("Incomplete", entry.ToInfo("here").State);
        Assert.Equal("sample", entry.ToInfo("here").Label);
        SmcException error = await Assert.ThrowsAsync<SmcException>(
            () => repository.OpenBackupAsync(Component.FileStore, header.Id, CancellationToken.None));
        Assert.Equal(SmcErrorCode.BackupIncomplete, error.Code);
    }

    [Fact]
    public async Task OpenBackupAsync_UnknownId_SaysSo()
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        foreach (string id in new[] { "20200101T000000Z-full", "../../etc/passwd", "latest" })
        {
            SmcException error = await Assert.ThrowsAsync<SmcException>(
                () => repository.OpenBackupAsync(Component.Database, id, CancellationToken.None));
            Assert.Equal(SmcErrorCode.BackupNotFound, error.Code);
        }
    }

    [Fact]
    public async Task OpenBackupAsync_MarkerOfAnotherBackup_IsRefused()
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        BackupHeader first = await SampleBackup.WriteAsync(repository, SampleBackup.Files(3));
        BackupHeader second = await SampleBackup.WriteAsync(repository, SampleBackup.Files(4));
        File.Copy(
            Path.Combine(_root, "filestore", first.Id, "complete"),
            Path.Combine(_root, "filestore", second.Id, "complete"),
            overwrite: true);
        SmcException error = await Assert.ThrowsAsync<SmcException>(
            () => repository.OpenBackupAsync(Component.FileStore, second.Id, CancellationToken.None));
        Assert.Equal(SmcErrorCode.ManifestInvalid, error.Code);
        Assert.Equal(["Complete", "Damaged"], (await ListAsync(repository)).Select(static entry => entry.ToInfo("here").State));
    }

    [Fact]
    public async Task CheckPacksAsync_MissingPack_IsFoundBeforeAnythingIsRead()
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        BackupHeader header = await SampleBackup.WriteAsync(repository, SampleBackup.Files(5));
        File.Delete(Path.Combine(_root, "filestore", header.Id, "pack-000002"));
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => SampleBackup.ReadAsync(Store, header.Id));
        Assert.Equal(SmcErrorCode.ObjectNotFound, error.Code);
        Assert.Contains("pack-000002", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Everything that a restore reads: no single changed, missing or additional byte goes unseen.</summary>
    [Theory]
    [InlineData(0x01)]
    [InlineData(0x80)]
    [InlineData(0xFF)]
    public async Task Read_AnySingleByteChangedAnywhere_IsFound(int mask)
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        BackupHeader header = await SampleBackup.WriteAsync(repository, SampleBackup.Files(6));
        foreach (string key in await KeysAsync(""))
        {
            if (key.EndsWith("/started", StringComparison.Ordinal))
            {
                continue; // Only read where there is no marker.
            }

            string path = Path.Combine(_root, key);
            File.SetAttributes(path, FileAttributes.Normal);
            byte[] right = await File.ReadAllBytesAsync(path);
            foreach (int at in Enumerable.Range(0, right.Length))
            {
                byte[] wrong = [.. right];
                wrong[at] ^= (byte)mask;
                await File.WriteAllBytesAsync(path, wrong);
                await AssertFoundAsync(header.Id, $"{key} changed at {at}");
            }

            await File.WriteAllBytesAsync(path, right[..^1]);
            await AssertFoundAsync(header.Id, $"{key} cut short");
            await File.WriteAllBytesAsync(path, [.. right, 0]);
            await AssertFoundAsync(header.Id, $"{key} lengthened");
            await File.WriteAllBytesAsync(path, right);
        }

        Assert.Equal(SampleBackup.Files(6), await SampleBackup.ReadAsync(Store, header.Id));
    }

    [Fact]
    public async Task Read_TwoPacksSwapped_IsFound()
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        BackupHeader header = await SampleBackup.WriteAsync(repository, SampleBackup.Files(7));
        string folder = Path.Combine(_root, "filestore", header.Id);
        File.Move(Path.Combine(folder, "pack-000001"), Path.Combine(folder, "spare"));
        File.Move(Path.Combine(folder, "pack-000002"), Path.Combine(folder, "pack-000001"));
        File.Move(Path.Combine(folder, "spare"), Path.Combine(folder, "pack-000002"));
        await AssertFoundAsync(header.Id, "swapped");
    }

    [Theory]
    [InlineData("../outside")]
    [InlineData("/etc/passwd")]
    [InlineData("a/../../b")]
    [InlineData("a//b")]
    [InlineData("a/./b")]
    [InlineData("a\\..\\b")]
    [InlineData("")]
    public async Task Add_PathThatLeavesTheRoot_IsRefused(string path)
    {
        Repository repository = await Repository.OpenOrCreateAsync(Store, CancellationToken.None);
        await using BackupWriter writer = await repository.BeginBackupAsync(
            Component.FileStore, "Full", null, null, null, null, CancellationToken.None);
        SmcException error = Assert.Throws<SmcException>(
            () => writer.Add(new ManifestEntry { Kind = ManifestEntryKind.File, Path = path }));
        Assert.Equal(SmcErrorCode.ManifestInvalid, error.Code);
    }

    [Theory]
    [InlineData("{\"t\":\"file\",\"path\":\"../x\",\"size\":0,\"mode\":\"600\",\"extents\":[]}")]
    [InlineData("{\"t\":\"file\",\"path\":\"x\",\"size\":5,\"mode\":\"600\",\"extents\":[]}")]
    [InlineData("{\"t\":\"file\",\"path\":\"x\",\"size\":5,\"mode\":\"600\",\"extents\":[[0,0,5]]}")]
    [InlineData("{\"t\":\"block\",\"pack\":0,\"at\":0,\"stored\":1,\"length\":1,\"codec\":\"none\",\"crc32c\":\"00000000\"}")]
    [InlineData("{\"t\":\"pack\",\"backup\":\"../../x\",\"pack\":1,\"length\":1}")]
    [InlineData("{\"t\":\"surprise\"}")]
    [InlineData("{\"t\":\"file\",\"path\":\"x\",\"size\":0,\"mode\":\"170000\",\"extents\":[]}")]
    [InlineData("{\"t\":\"hard\",\"path\":\"x\",\"to\":\"y\"}")]
    [InlineData("{\"t\":\"special\",\"path\":\"x\",\"mode\":\"600\"}")]
    [InlineData("{\"t\":\"dir\",\"path\":\"x\",\"mode\":\"700\"}\n{\"t\":\"dir\",\"path\":\"x\",\"mode\":\"700\"}")]
    [InlineData("not json")]
    public void ManifestReader_LineThatCannotBeTrue_IsRefused(string line)
    {
        string text = "{\"t\":\"header\",\"header\":{\"id\":\"20260101T000000Z-full\",\"repositoryId\":\"6f9619ff-8b86-d011-b42d-00c04fc964ff\"," +
            "\"component\":\"Database\",\"kind\":\"Full\",\"startTime\":\"2026-01-01T00:00:00+00:00\"}}\n" + line +
            "\n{\"t\":\"end\",\"files\":1,\"bytes\":5}\n";
        SmcException error = Assert.Throws<SmcException>(() =>
        {
            using ManifestReader reader = new("manifest", Component.Database, new MemoryStream(Encoding.UTF8.GetBytes(text)));
            while (reader.Next() is not null)
            {
            }
        });
        Assert.True(error.Code is SmcErrorCode.ManifestInvalid or SmcErrorCode.RepositoryFormatUnknown, error.Message);
    }

    private async Task AssertFoundAsync(string id, string what)
    {
        SmcException? error = null;
        try
        {
            _ = await SampleBackup.ReadAsync(Store, id);
        }
        catch (SmcException e)
        {
            error = e;
        }

        Assert.True(error is not null, $"Not found: {what}.");
        Assert.Contains(
            error.Code,
            new[]
            {
                SmcErrorCode.ChecksumMismatch, SmcErrorCode.ManifestInvalid, SmcErrorCode.ObjectTruncated,
                SmcErrorCode.RepositoryFormatUnknown,
            });
    }

    private async Task<List<string>> KeysAsync(string prefix)
    {
        List<string> keys = [];
        await foreach (ObjectInfo info in Store.ListAsync(prefix, CancellationToken.None))
        {
            keys.Add(info.Key);
        }

        return keys;
    }

    private static async Task<List<BackupEntry>> ListAsync(Repository repository)
    {
        List<BackupEntry> entries = [];
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.FileStore, CancellationToken.None))
        {
            entries.Add(entry);
        }

        return entries;
    }
}
