using SmcDr.Core.Copies;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using static SmcDr.Core.Tests.ObjectStores.ObjectStoreTestExtensions;

namespace SmcDr.Core.Tests.ObjectStores;

/// <summary>What a directory adds to the contract.</summary>
public sealed class DirectoryObjectStoreTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private string Root => Path.Combine(_directory.Path, "root");

    private string TemporaryFolder => Path.Combine(Root, DirectoryObjectStore.TemporaryFolder);

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Put_NewFolders_ArePrivate()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        await using DirectoryObjectStore store = new(Root);
        await store.PutAsync("a/b/c", Bytes(10), default);
        const UnixFileMode folder = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Assert.Equal(folder, File.GetUnixFileMode(Root));
        Assert.Equal(folder, File.GetUnixFileMode(Path.Combine(Root, "a", "b")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(Root, "a", "b", "c")));
    }

    [LinuxFact]
    public async Task Put_FolderThatIsKnown_SyncsTheFolderAndNotThoseAbove()
    {
        List<string> synced = [];
        await using DirectoryObjectStore store = new(Root)
        {
            SyncDirectory = path =>
            {
                synced.Add(Path.GetRelativePath(Root, path));
                Posix.SyncDirectory(path);
            },
        };
        await store.PutAsync("a/b/1", Bytes(1), default);
        Assert.Equal(["a/b", "a", "."], synced.TakeLast(3));
        synced.Clear();
        await store.PutAsync("a/b/2", Bytes(1), default);
        Assert.Equal(["a/b"], synced);
        synced.Clear();

        // Another process removed it as empty, and made it anew without having synced yet what is above.
        Directory.Delete(Path.Combine(Root, "a", "b"), recursive: true);
        Directory.CreateDirectory(Path.Combine(Root, "a", "b"));
        await store.PutAsync("a/b/3", Bytes(1), default);
        Assert.Equal(["a/b", "a", "."], synced);
        synced.Clear();

        await store.DiscardAsync(["a/b/3"], default);
        Assert.Empty(synced);
        await store.PutAsync("a/b/4", Bytes(1), default);
        Assert.Equal(["a/b", "a", "."], synced);
        synced.Clear();
        await store.DeleteAsync("a/b/4", default);
        Assert.Equal(["a/b"], synced);
    }

    [RootFact]
    public async Task Read_UnmountedMeanwhile_IsAFailureAndNotAnEmptyStore()
    {
        DirectoryObjectStore store;
        string path;
        using (SmallFileSystem disk = new())
        {
            path = disk.Path;
            store = new DirectoryObjectStore(path);
            await store.PutAsync("folder/object", Bytes(1000), default);
            _ = await store.ReadAsync("folder/object");
        }

        Directory.CreateDirectory(path);
        try
        {
            await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.KeysAsync("folder/"));
            await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.GetInfoAsync("folder/object", default));
            await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.ReadAsync("folder/object"));
            await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.PutAsync("folder/other", Bytes(1000), default));
            Assert.Empty(Directory.EnumerateFileSystemEntries(path));
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
        }
    }

    [Fact]
    public async Task Repository_NothingMountedWhereItShouldBe_IsNotMadeAndNotCalledMissing()
    {
        using TemporaryDirectory directory = new();
        string root = Path.Combine(directory.Path, "mounted", "repository");
        await using DirectoryObjectStore store = new(root) { FindUnmounted = _ => Path.GetDirectoryName(root) };

        foreach (Func<Task> open in new Func<Task>[]
        {
            () => Repository.OpenOrCreateAsync(store, default),
            () => Repository.OpenAsync(store, default),
            async () => await RepositoryCopy.OpenAsync(
                await Repository.OpenOrCreateAsync(new MemoryObjectStore(), default), store, null, NullObserver.Instance, 1, default),
        })
        {
            SmcException error = await SmcErrorCode.StorageUnavailable.ThrowsAsync(open);
            Assert.Contains(Path.GetDirectoryName(root)!, error.Message, StringComparison.Ordinal);
            Assert.False(Directory.Exists(root));
        }

        // One that is there is believed, whatever the table says.
        await Repository.OpenOrCreateAsync(new DirectoryObjectStore(root), default);
        Assert.NotEqual(Guid.Empty, (await Repository.OpenOrCreateAsync(store, default)).Id);
    }

    [RootFact]
    public async Task Create_DiskFull_ThrowsStorageFullAndGivesTheRoomBack()
    {
        using SmallFileSystem disk = new();
        await using DirectoryObjectStore store = new(disk.Path);
        await store.PutAsync("before", Bytes(1000), default);
        SmcException exception = await SmcErrorCode.StorageFull.ThrowsAsync(() => store.WriteAsync("large", Bytes(3 * 1024 * 1024)));
        Assert.Contains(disk.Path, exception.Message, StringComparison.Ordinal);
        Assert.Equal(["before"], await store.KeysAsync());

        // Only if the unfinished file is gone is there room for this one.
        await store.WriteAsync("fits", Bytes(1536 * 1024));
        Assert.Equal(Bytes(1536 * 1024), await store.ReadAsync("fits"));
    }

    [RootFact]
    public async Task Commit_DiskFullByBufferedRest_ThrowsStorageFullAndStoresNothing()
    {
        using SmallFileSystem disk = new();
        await using DirectoryObjectStore store = new(disk.Path);
        await using (ObjectWriter writer = await store.CreateAsync("late", default))
        {
            // Fits the buffer, so the file system hears of it at the commit only.
            await writer.WriteAsync(Bytes(100_000), default);
            await store.WriteAsync("fill", Bytes((2 * 1024 * 1024) - 32_768));
            await SmcErrorCode.StorageFull.ThrowsAsync(() => writer.CommitAsync(default));
        }

        Assert.Equal(["fill"], await store.KeysAsync());
        Assert.Empty(Directory.GetFiles(Path.Combine(disk.Path, DirectoryObjectStore.TemporaryFolder)));
    }

    [RootFact]
    public async Task Put_ReadOnlyFileSystem_ThrowsStorageAccessDenied()
    {
        using SmallFileSystem disk = new();
        await using DirectoryObjectStore store = new(disk.Path);
        await store.PutAsync("before", Bytes(10), default);
        disk.MakeReadOnly();
        SmcException exception = await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => store.PutAsync("after", Bytes(10), default));
        Assert.Contains("read-only", exception.Recommendation, StringComparison.Ordinal);
        await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => store.DeleteAsync("before", default));
        Assert.Equal(Bytes(10), await store.ReadAsync("before"));
    }

    [OrdinaryUserFact]
    public async Task EveryCall_DirectoryNotAllowed_ThrowsStorageAccessDenied()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        await using DirectoryObjectStore store = new(Root);
        await store.PutAsync("folder/key", Bytes(10), default);
        File.SetUnixFileMode(Path.Combine(Root, "folder"), UnixFileMode.None);
        try
        {
            await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => store.GetInfoAsync("folder/key", default));
            await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => store.OpenReadAsync("folder/key", 0, null, default));
            await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => store.PutAsync("folder/other", Bytes(10), default));
            await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => store.DeleteAsync("folder/key", default));
            await SmcErrorCode.StorageAccessDenied.ThrowsAsync(() => store.KeysAsync());
        }
        finally
        {
            File.SetUnixFileMode(Path.Combine(Root, "folder"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    [Fact]
    public async Task GetInfo_FileSystemFails_IsNotAbsent()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        // A link to itself makes stat(2) fail with ELOOP: not ENOENT, so nothing is known of the object.
        Directory.CreateDirectory(Root);
        File.CreateSymbolicLink(Path.Combine(Root, "loop"), Path.Combine(Root, "loop"));
        await using DirectoryObjectStore store = new(Root);
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.GetInfoAsync("loop/key", default));
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.OpenReadAsync("loop/key", 0, null, default));
    }

    [Fact]
    public async Task EveryRead_RootThatWasThereIsGone_IsNotEmpty()
    {
        // A share of the network that is unmounted in the middle must not pass for an empty archive.
        await using DirectoryObjectStore store = new(Root);
        await store.PutAsync("key", Bytes(10), default);
        Assert.NotNull(await store.GetInfoAsync("key", default));
        Assert.Null(await store.GetInfoAsync("absent", default));
        Directory.Move(Root, Root + "-elsewhere");
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.GetInfoAsync("key", default));
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.OpenReadAsync("key", 0, null, default));
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.KeysAsync());
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.FoldersAsync());
    }

    [Fact]
    public async Task List_WhatIsNoObject_IsNotShown()
    {
        await using DirectoryObjectStore store = new(Root);
        await store.PutAsync("folder/key", Bytes(10), default);
        await using ObjectWriter writer = await store.CreateAsync("folder/open", default);
        Directory.CreateDirectory(Path.Combine(Root, "lost+found"));
        Directory.CreateDirectory(Path.Combine(Root, "empty", "deeper"));
        await File.WriteAllBytesAsync(Path.Combine(Root, "with a space"), Bytes(1));
        if (!OperatingSystem.IsWindows())
        {
            File.CreateSymbolicLink(Path.Combine(Root, "link"), Path.Combine(Root, "folder"));
        }

        Assert.NotEmpty(Directory.GetFiles(TemporaryFolder));
        Assert.Equal(["folder/key"], await store.KeysAsync());
        Assert.Equal(["folder"], await store.FoldersAsync());
    }

    [Fact]
    public async Task List_ObjectsVanishMeanwhile_GoesOn()
    {
        await using DirectoryObjectStore store = new(Root);
        foreach (string key in new[] { "a", "b", "c/1", "c/2", "d" })
        {
            await store.PutAsync(key, Bytes(1), default);
        }

        List<string> seen = [];
        await foreach (ObjectInfo info in store.ListAsync("", default))
        {
            seen.Add(info.Key);
            if (info.Key == "a")
            {
                await store.DeleteAsync("b", default);
                await store.DeleteAsync("c/1", default);
                await store.DeleteAsync("c/2", default);
            }
        }

        Assert.Equal(["a", "d"], seen);
    }

    [Fact]
    public async Task Create_FilesOfKilledWriters_AreSweptWhenOldAndOnlyThen()
    {
        Directory.CreateDirectory(TemporaryFolder);
        string forgotten = Path.Combine(TemporaryFolder, "forgotten");
        string young = Path.Combine(TemporaryFolder, "young");
        await File.WriteAllBytesAsync(forgotten, Bytes(10));
        await File.WriteAllBytesAsync(young, Bytes(10));
        File.SetLastWriteTimeUtc(forgotten, DateTime.UtcNow - DirectoryObjectStore.TemporaryFileLife - TimeSpan.FromMinutes(1));
        await using DirectoryObjectStore store = new(Root);
        await store.PutAsync("key", Bytes(10), default);
        Assert.Equal([young], Directory.GetFiles(TemporaryFolder));
    }

    [Fact]
    public async Task Create_OldFileOfAWriterThatStillLives_IsNotSwept()
    {
        await using DirectoryObjectStore slow = new(Root);
        await using ObjectWriter writer = await slow.CreateAsync("slow", default);
        await writer.WriteAsync(Bytes(300_000), default);
        string file = Assert.Single(Directory.GetFiles(TemporaryFolder));
        File.SetLastWriteTimeUtc(file, DateTime.UtcNow - DirectoryObjectStore.TemporaryFileLife - TimeSpan.FromDays(1));
        await using DirectoryObjectStore other = new(Root);
        await other.PutAsync("key", Bytes(10), default);
        await writer.CommitAsync(default);
        Assert.Equal(Bytes(300_000), await slow.ReadAsync("slow"));
    }

    [Fact]
    public async Task OpenRead_FileShrinksMeanwhile_ThrowsObjectTruncated()
    {
        await using DirectoryObjectStore store = new(Root);
        await store.PutAsync("key", Bytes(1_000_000), default);
        await using Stream stream = await store.OpenReadAsync("key", 0, null, default);
        Assert.True(await stream.ReadAsync(new byte[10]) > 0);
        await using (FileStream file = new(Path.Combine(Root, "key"), FileMode.Open))
        {
            file.SetLength(500_000);
        }

        await SmcErrorCode.ObjectTruncated.ThrowsAsync(() => stream.CopyToAsync(Stream.Null));
    }

    [Fact]
    public async Task Delete_LastObjectOfAFolder_RemovesTheFolderAndKeepsTheRoot()
    {
        await using DirectoryObjectStore store = new(Root);
        await store.PutAsync("a/b/c", Bytes(1), default);
        await store.PutAsync("a/d", Bytes(1), default);
        await store.DeleteAsync("a/b/c", default);
        Assert.False(Directory.Exists(Path.Combine(Root, "a", "b")));
        Assert.True(Directory.Exists(Path.Combine(Root, "a")));
        await store.DeleteAsync("a/d", default);
        Assert.True(Directory.Exists(Root));
    }

    [Fact]
    public async Task Put_BelowAnObject_IsRefusedWithTheReason()
    {
        // S3 could hold both; a file system cannot, and says so.
        await using DirectoryObjectStore store = new(Root);
        await store.PutAsync("a", Bytes(1), default);
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.PutAsync("a/b", Bytes(1), default));
        Assert.Empty(Directory.GetFiles(TemporaryFolder));
    }

    [Fact]
    public async Task Create_RootIsAFile_ThrowsStorageUnavailable()
    {
        await File.WriteAllBytesAsync(Root, Bytes(1));
        await using DirectoryObjectStore store = new(Root);
        await SmcErrorCode.StorageUnavailable.ThrowsAsync(() => store.PutAsync("key", Bytes(1), default));
    }
}
