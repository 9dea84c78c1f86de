using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using SmcDr.Core.FileStores;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.FileStores;

public sealed class FileStoreBackupTests : IDisposable
{
    private readonly FileStoreSandbox _sandbox = new();

    public void Dispose() => _sandbox.Dispose();

    /// <summary>Sorting by name alone puts a directory's content before siblings such as <c>a-b</c>, which sort before <c>a/b</c>.</summary>
    [Fact]
    public async Task RunAsync_NamesAroundTheSlash_StandInOrderOfPaths()
    {
        foreach (string path in new[] { "a/b", "a-b/c", "a.b", "a0", "a!", "a/-/x", "A", "ä", "a\U0001F600", "a\uFFFD" })
        {
            _sandbox.Write(path, path);
        }

        BackupHeader header = await _sandbox.BackUpAsync();
        string[] paths = [.. (await _sandbox.EntriesAsync(header)).Select(static entry => entry.Path)];
        Assert.Equal(paths.Order(StringComparer.Ordinal), paths);
        Assert.Contains("a/-/x", paths);
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(await _sandbox.RestoreAsync(header)));
    }

    [Fact]
    public async Task RunAsync_NothingChanged_ReadsNoFile()
    {
        for (int i = 0; i < 50; i++)
        {
            _sandbox.Write($"d{i % 5}/f{i}", $"content {i}");
        }

        _sandbox.Write("large", RandomNumberGenerator.GetBytes(3 << 20));
        BackupHeader first = await _sandbox.BackUpAsync();
        Assert.Equal(("Full", 51, 0), (first.Kind, first.FileStore!.ReadFiles, first.FileStore.UnchangedFiles));

        int reads = 0;
        BackupHeader second = await _sandbox.BackUpAsync(
            FileStoreSandbox.Options with { AfterContentRead = _ => Interlocked.Increment(ref reads) });
        Assert.Equal(0, reads);
        Assert.Equal(("Incremental", 0, 51), (second.Kind, second.FileStore!.ReadFiles, second.FileStore.UnchangedFiles));
        Assert.Equal((0, 0, first.Id), (second.StoredBytes, second.FileStore.ReadBytes, second.Parent));
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(await _sandbox.RestoreAsync(second)));
    }

    [Fact]
    public async Task RunAsync_SomeFilesChanged_ReadsAndStoresThoseAlone()
    {
        for (int i = 0; i < 20; i++)
        {
            _sandbox.Write($"f{i:D2}", RandomNumberGenerator.GetBytes(2_000));
        }

        await _sandbox.BackUpAsync();
        _sandbox.Write("f03", RandomNumberGenerator.GetBytes(2_000));
        _sandbox.Write("new/file", RandomNumberGenerator.GetBytes(2_000));
        File.Delete(_sandbox.PathOf("f07"));
        BackupHeader second = await _sandbox.BackUpAsync();
        Assert.Equal((2, 18), (second.FileStore!.ReadFiles, second.FileStore.UnchangedFiles));
        Assert.InRange(second.StoredBytes, 4_000, 4_400);
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(await _sandbox.RestoreAsync(second)));
    }

    /// <summary>What looks the same but was changed within the same tick of the clock as it was read.</summary>
    [Fact]
    public async Task RunAsync_TimesAsYoungAsTheParentsScan_AreReadAgain()
    {
        _sandbox.Write("young", "content");
        FileStoreBackupOptions careful = FileStoreSandbox.Options with { TimestampMargin = TimeSpan.FromHours(1) };
        BackupHeader first = await _sandbox.BackUpAsync(careful);
        BackupHeader second = await _sandbox.BackUpAsync(careful);
        Assert.Equal((1, 0), (second.FileStore!.ReadFiles, second.FileStore.UnchangedFiles));

        // Read, but not stored again: its digest is known.
        Assert.Equal(0, second.StoredBytes);
        Assert.NotEqual(first.Id, second.Id);
    }

    /// <summary>A program that keeps size and mtime does not fool a backup: nobody can set ctime.</summary>
    [Fact]
    public async Task RunAsync_ContentChangedWithSizeAndTimeKept_IsSeen()
    {
        _sandbox.Write("file", "before");
        DateTime time = File.GetLastWriteTimeUtc(_sandbox.PathOf("file"));
        await _sandbox.BackUpAsync();
        await File.WriteAllTextAsync(_sandbox.PathOf("file"), "after!");
        File.SetLastWriteTimeUtc(_sandbox.PathOf("file"), time);
        string target = await _sandbox.RestoreAsync(await _sandbox.BackUpAsync());
        Assert.Equal("after!", await File.ReadAllTextAsync(Path.Combine(target, "file")));
    }

    [Fact]
    public async Task RunAsync_OneBlockOfALargeFileChanged_StoresThatBlock()
    {
        byte[] content = RandomNumberGenerator.GetBytes((5 << 20) + 123);
        _sandbox.Write("large", content);
        await _sandbox.BackUpAsync();
        content[(2 << 20) + 17] ^= 1;
        _sandbox.Write("large", [.. content, 1, 2, 3]);
        BackupHeader second = await _sandbox.BackUpAsync();

        // The changed block, and the last one, which grew.
        Assert.InRange(second.StoredBytes, 1 << 20, (1 << 20) + 4_096);
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(await _sandbox.RestoreAsync(second)));
    }

    [Fact]
    public async Task RunAsync_OwnersModesAndTimes_ComeBack()
    {
        _sandbox.Write("program", "#!/bin/sh");
        _sandbox.Write("private/key", "secret");
        FileStoreSandbox.Shell(
            """
            cd "$1"
            chmod 4755 program; chmod 0400 private/key; chmod 0500 private
            mkdir sticky setgid; chmod 1777 sticky; chmod 2775 setgid
            touch -d '2001-02-03 04:05:06.123456789Z' program
            touch -d '1969-12-31 23:59:58.5Z' private/key
            [ "$(id -u)" != 0 ] || { chown 12345:54321 program; chown -h nobody:nogroup private/key; chmod 4755 program; }
            touch -d '2002-02-02 02:02:02.000000002Z' private . sticky
            """,
            _sandbox.Source);
        BackupHeader header = await _sandbox.BackUpAsync();
        string target = await _sandbox.RestoreAsync(header);
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(target));
        Assert.Contains("program|f|4755|", FileStoreSandbox.Describe(target), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_Links_AreTakenAsLinks()
    {
        _sandbox.Write("file", "content");
        FileStoreSandbox.Shell(
            """
            cd "$1"
            ln -s file relative; ln -s /etc/passwd absolute; ln -s ../../outside up; ln -s nowhere broken; ln -s . loop
            touch -h -d '2003-03-03 03:03:03.3Z' broken
            """,
            _sandbox.Source);
        string target = await _sandbox.RestoreAsync(await _sandbox.BackUpAsync());
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(target));
    }

    [Fact]
    public async Task RunAsync_HardLinks_StayOneFile()
    {
        _sandbox.Write("z/file", RandomNumberGenerator.GetBytes(700_000));
        FileStoreSandbox.Shell("cd \"$1\"; mkdir a; ln z/file a/other; ln z/file last; echo x > outside; ln outside ../outside", _sandbox.Source);
        BackupHeader header = await _sandbox.BackUpAsync();
        Assert.InRange(header.StoredBytes, 700_000, 701_000);
        string target = await _sandbox.RestoreAsync(header);
        Assert.Equal("3", FileStoreSandbox.Shell("stat -c %h \"$1/last\"", target).Trim());
        Assert.Equal(
            FileStoreSandbox.Shell("stat -c %i \"$1/last\"", target), FileStoreSandbox.Shell("stat -c %i \"$1/a/other\"", target));

        // The first name goes, so another must take its place.
        File.Delete(_sandbox.PathOf("a/other"));
        string again = await _sandbox.RestoreAsync(await _sandbox.BackUpAsync());
        Assert.Equal("2", FileStoreSandbox.Shell("stat -c %h \"$1/last\"", again).Trim());
    }

    [Fact]
    public async Task RunAsync_SparseFile_StaysSparseAndIsNotReadWhole()
    {
        FileStoreSandbox.Shell(
            """
            cd "$1"
            truncate -s 300M holes
            printf data | dd of=holes bs=1 seek=104857700 conv=notrunc status=none
            truncate -s 40K small
            printf end | dd of=small bs=1 seek=40000 conv=notrunc status=none
            truncate -s 2M nothing
            """,
            _sandbox.Source);
        BackupHeader header = await _sandbox.BackUpAsync();
        Assert.InRange(header.StoredBytes, 1, 10_000);
        string target = await _sandbox.RestoreAsync(header);
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(target));
        foreach (string name in new[] { "holes", "small", "nothing" })
        {
            Assert.InRange(long.Parse(FileStoreSandbox.Shell("stat -c %b \"$1\"", Path.Combine(target, name)), null), 0, 64);
        }
    }

    [Fact]
    public async Task RunAsync_NamesThatAreNoText_ComeBack()
    {
        FileStoreSandbox.Shell(
            """
            cd "$1"
            latin=$(printf 'caf\351'); mkdir "$latin"; echo 1 > "$latin/$(printf '\377\376')"
            echo 2 > "$(printf 'caf%%E9')"; echo 3 > 'back\slash'; echo 4 > "$(printf 'line\nfeed')"; echo 5 > ' % '
            echo 6 > '..hidden'; echo 7 > "$(printf '%0255d' 7)"; ln -s "$latin" "$(printf 'l\200')"
            """,
            _sandbox.Source);
        BackupHeader header = await _sandbox.BackUpAsync();
        Assert.Contains("caf%E9/%FF%FE", (await _sandbox.EntriesAsync(header)).Select(static entry => entry.Path));
        Assert.Contains("caf%25E9", (await _sandbox.EntriesAsync(header)).Select(static entry => entry.Path));
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(await _sandbox.RestoreAsync(header)));
    }

    [Fact]
    public async Task RunAsync_ExtendedAttributes_ComeBack()
    {
        _sandbox.Write("file", "x");
        _sandbox.Write("read-only", "x");
        Directory.CreateDirectory(_sandbox.PathOf("directory"));
        byte[] large = RandomNumberGenerator.GetBytes(2_000);
        using DirectoryHandle source = FileStoreSandbox.Open(_sandbox.Source);
        using (NativeFile file = source.OpenFile("file\0"u8.ToArray()))
        {
            ExtendedAttributes.Set(file, "user.one", [1, 0, 255]);
            ExtendedAttributes.Set(file, "user.large", large);
            ExtendedAttributes.Set(file, "user.empty", []);
            ExtendedAttributes.Set(file, ExtendedAttributes.AccessList, AccessList(12345));
        }

        using (NativeFile file = source.OpenFile("read-only\0"u8.ToArray()))
        {
            ExtendedAttributes.Set(file, "user.two", [2]);
            file.SetMode(0x100);
        }

        using (DirectoryHandle directory = source.OpenDirectory("directory\0"u8.ToArray()))
        {
            ExtendedAttributes.Set(directory, ExtendedAttributes.DefaultAccessList, AccessList(777));
        }

        // A file that inherits nothing although its directory's default would give it a list.
        _sandbox.Write("directory/plain", "x");
        using (DirectoryHandle directory = source.OpenDirectory("directory\0"u8.ToArray()))
        using (NativeFile file = directory.OpenFile("plain\0"u8.ToArray()))
        {
            ExtendedAttributes.Remove(file, ExtendedAttributes.AccessList);
        }

        BackupHeader header = await _sandbox.BackUpAsync();
        string target = await _sandbox.RestoreAsync(header);

        // Once more into what is there, whose directory now has the default list.
        File.Delete(Path.Combine(target, "directory/plain"));
        await _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { TargetPath = target });

        foreach (string path in new[] { "file", "read-only", "directory", "directory/plain" })
        {
            Assert.Equal(Attributes(_sandbox.PathOf(path)), Attributes(Path.Combine(target, path)));
        }

        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(target));
        Assert.Equal(large, Attributes(Path.Combine(target, "file"))["user.large"]);
    }

    [Fact]
    public async Task RunAsync_SpecialFiles_AreRecordedAndSocketsLeftOut()
    {
        FileStoreSandbox.Shell(
            "cd \"$1\"; mkfifo pipe; chmod 620 pipe; if [ \"$(id -u)\" = 0 ]; then mknod device c 1 3 || true; fi", _sandbox.Source);
        using Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        string path = _sandbox.PathOf("socket");
        socket.Bind(new UnixDomainSocketEndPoint(path));

        BackupHeader header = await _sandbox.BackUpAsync();
        Assert.Equal((1, 0), (header.FileStore!.SkippedCount, header.FileStore.UnreadableCount));
        Assert.Equal(["socket"], header.FileStore.Skipped);
        string target = await _sandbox.RestoreAsync(header);
        File.Delete(path);
        Assert.Equal(
            FileStoreSandbox.Shell("cd \"$1\"; stat -c '%n %f %t %T' *", _sandbox.Source),
            FileStoreSandbox.Shell("cd \"$1\"; stat -c '%n %f %t %T' *", target));
    }

    [Fact]
    public async Task RunAsync_FileThatChangesWhileItIsRead_IsReadAgain()
    {
        _sandbox.Write("file", "first");
        int reads = 0;
        BackupHeader header = await _sandbox.BackUpAsync(FileStoreSandbox.Options with
        {
            AfterContentRead = path =>
            {
                if (Interlocked.Increment(ref reads) == 1)
                {
                    File.AppendAllText(_sandbox.PathOf(path), " and second");
                }
            },
        });
        Assert.Equal((2, 0), (reads, header.FileStore!.TornCount));
        string target = await _sandbox.RestoreAsync(header);
        Assert.Equal("first and second", await File.ReadAllTextAsync(Path.Combine(target, "file")));
    }

    [Theory]
    [InlineData(1_000)]
    [InlineData(2 << 20)]
    public async Task RunAsync_FileThatNeverRests_IsMarkedAndReadAgainNextTime(int size)
    {
        _sandbox.Write("file", new byte[size]);
        int reads = 0;
        BackupHeader header = await _sandbox.BackUpAsync(FileStoreSandbox.Options with
        {
            AfterContentRead = path => File.AppendAllText(_sandbox.PathOf(path), $"{++reads} "),
        });
        Assert.Equal(FileStoreSandbox.Options.ReadAttempts, reads);
        Assert.Equal((1, 0), (header.FileStore!.TornCount, header.FileStore.UnreadableCount));
        Assert.Equal(["file"], header.FileStore.Torn);
        Assert.Contains(_sandbox.Observer.Warnings, static text => text.Contains("'file'", StringComparison.Ordinal));

        BackupHeader next = await _sandbox.BackUpAsync();
        Assert.Equal((1, 0), (next.FileStore!.ReadFiles, next.FileStore.TornCount));
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(await _sandbox.RestoreAsync(next)));
    }

    [Fact]
    public async Task RunAsync_FileThatVanishes_IsFine()
    {
        for (int i = 0; i < 30; i++)
        {
            _sandbox.Write($"f{i:D2}", "x");
        }

        int reads = 0;
        BackupHeader header = await _sandbox.BackUpAsync(FileStoreSandbox.Options with
        {
            Parallelism = 1,
            AfterContentRead = _ =>
            {
                if (++reads == 1)
                {
                    for (int i = 10; i < 30; i++)
                    {
                        File.Delete(_sandbox.PathOf($"f{i:D2}"));
                    }
                }
            },
        });
        Assert.Equal((0, 10), (header.FileStore!.UnreadableCount, header.FileCount));
    }

    /// <summary>A disk that fails in the middle of a file.</summary>
    [Fact]
    public async Task RunAsync_FileThatCannotBeRead_MakesTheBackupPartial()
    {
        _sandbox.Write("bad", "x");
        _sandbox.Write("good", "y");
        FileStoreSandbox.Shell("cd \"$1\"; ln good z1; ln bad z2", _sandbox.Source);
        Repository repository = await _sandbox.OpenAsync();
        BackupInfo info = await FileStoreBackup.RunAsync(
            "store",
            _sandbox.Source,
            repository,
            FileStoreSandbox.Options with
            {
                AfterContentRead = static path =>
                {
                    if (path == "bad")
                    {
                        throw new PosixException(5, path);
                    }
                },
            },
            _sandbox.Observer,
            CancellationToken.None);
        Assert.Equal("Partial", info.State);
        BackupHeader header = (await repository.TryFindAsync(Component.FileStore, info.Id, CancellationToken.None))!.Header!;
        Assert.Equal(1, header.FileStore!.UnreadableCount);
        Assert.Equal([new UnreadableFile("bad", "Input/output error")], header.FileStore.Unreadable);
        Assert.Contains(_sandbox.Observer.Warnings, static text => text.Contains("'bad'", StringComparison.Ordinal));

        // The other name of the same file has nothing to refer to, so it is a file itself.
        string target = await _sandbox.RestoreAsync(header);
        Assert.Equal("x", await File.ReadAllTextAsync(Path.Combine(target, "z2")));
        Assert.False(File.Exists(Path.Combine(target, "bad")));
    }

    [OrdinaryUserFact]
    public async Task RunAsync_DirectoryWithoutPermission_MakesTheBackupPartial()
    {
        _sandbox.Write("closed/inner", "x");
        _sandbox.Write("file", "x");
        FileStoreSandbox.Shell("cd \"$1\"; chmod 0 closed file", _sandbox.Source);
        BackupHeader header = await _sandbox.BackUpAsync();
        Assert.Equal(["closed", "file"], header.FileStore!.Unreadable.Select(static file => file.Path).Order(StringComparer.Ordinal));
        Assert.Equal(2, header.FileStore.UnreadableCount);
        Assert.Equal(["closed"], (await _sandbox.EntriesAsync(header)).Select(static entry => entry.Path));
        string target = await _sandbox.RestoreAsync(header);
        Assert.Equal("0\n", FileStoreSandbox.Shell("stat -c %a \"$1/closed\"", target));
    }

    [Fact]
    public async Task RunAsync_Excluded_IsLeftOut()
    {
        foreach (string path in new[] { "a.log", "keep/b.log", "keep/c", "cache/x/y", "other/cache" })
        {
            _sandbox.Write(path, path);
        }

        BackupHeader header = await _sandbox.BackUpAsync(FileStoreSandbox.Options with { Exclude = ["*.log", "/cache"] });
        Assert.Equal(
            ["keep", "keep/c", "other", "other/cache"], (await _sandbox.EntriesAsync(header)).Select(static entry => entry.Path));
        Assert.Equal(["*.log", "/cache"], header.FileStore!.Exclude);
    }

    [Fact]
    public async Task RunAsync_RepositoryInsideTheTree_DoesNotBackUpItself()
    {
        _sandbox.Write("file", "x");
        Repository repository = await Repository.OpenOrCreateAsync(
            new DirectoryObjectStore(_sandbox.PathOf("backups")), CancellationToken.None);
        BackupInfo info = await FileStoreBackup.RunAsync(
            "store", _sandbox.Source, repository, FileStoreSandbox.Options, _sandbox.Observer, CancellationToken.None);
        Assert.Equal(1, info.FileCount);

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => FileStoreBackup.RunAsync(
            "store", _sandbox.PathOf("backups"), repository, FileStoreSandbox.Options, _sandbox.Observer, CancellationToken.None));
        Assert.Equal(SmcErrorCode.ArgumentInvalid, error.Code);
    }

    [Fact]
    public async Task RunAsync_ParentWhosePackIsGone_ReadsEverything()
    {
        _sandbox.Write("file", RandomNumberGenerator.GetBytes(1_000));
        BackupHeader first = await _sandbox.BackUpAsync();
        File.Delete(Path.Combine(_sandbox.RepositoryPath, "filestore", first.Id, "pack-000001"));
        BackupHeader second = await _sandbox.BackUpAsync();
        Assert.Equal(("Full", 1), (second.Kind, second.FileStore!.ReadFiles));
        Assert.Contains(_sandbox.Observer.Warnings, text => text.Contains(first.Id, StringComparison.Ordinal));
        await _sandbox.RestoreAsync(second);
    }

    [Fact]
    public async Task RunAsync_OtherStoreOfTheRepository_IsNoParent()
    {
        _sandbox.Write("file", "x");
        await _sandbox.BackUpAsync();
        BackupInfo other = await FileStoreBackup.RunAsync(
            "another", _sandbox.Source, await _sandbox.OpenAsync(), FileStoreSandbox.Options, _sandbox.Observer, CancellationToken.None);
        Assert.Equal("Full", other.Kind);
    }

    [Fact]
    public async Task RunAsync_StoreOfTheSameNameOfAnotherSite_IsNoParent()
    {
        _sandbox.Write("file", "x");
        BackupHeader shop = await _sandbox.BackUpAsync(FileStoreSandbox.Options with { Site = "shop" });
        Assert.Equal("Full", (await _sandbox.BackUpAsync(FileStoreSandbox.Options with { Site = "bank" })).Kind);
        Assert.Equal(shop.Id, (await _sandbox.BackUpAsync(FileStoreSandbox.Options with { Site = "shop" })).Parent);
    }

    [Fact]
    public async Task RunAsync_Cancelled_LeavesNothing()
    {
        for (int i = 0; i < 100; i++)
        {
            _sandbox.Write($"f{i}", RandomNumberGenerator.GetBytes(300_000));
        }

        Repository repository = await _sandbox.OpenAsync();
        using CancellationTokenSource stop = new();
        int reads = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => FileStoreBackup.RunAsync(
            "store",
            _sandbox.Source,
            repository,
            FileStoreSandbox.Options with
            {
                AfterContentRead = _ =>
                {
                    if (Interlocked.Increment(ref reads) == 20)
                    {
                        stop.Cancel();
                    }
                },
            },
            _sandbox.Observer,
            stop.Token));
        Assert.Equal(
            ["repository"],
            Directory.EnumerateFiles(_sandbox.RepositoryPath, "*", SearchOption.AllDirectories).Select(Path.GetFileName));
        Assert.Equal(1, _sandbox.Observer.Completed);
    }

    [Fact]
    public async Task RunAsync_NoDirectory_SaysSo()
    {
        Repository repository = await _sandbox.OpenAsync();
        _sandbox.Write("file", "x");
        foreach (string path in new[] { _sandbox.PathOf("absent"), _sandbox.PathOf("file") })
        {
            SmcException error = await Assert.ThrowsAsync<SmcException>(() => FileStoreBackup.RunAsync(
                "store", path, repository, FileStoreSandbox.Options, _sandbox.Observer, CancellationToken.None));
            Assert.Equal(SmcErrorCode.ArgumentInvalid, error.Code);
            Assert.Contains(path, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task RunAsync_ManyEntriesAndLittleMemory_IsTheSame()
    {
        for (int i = 0; i < 300; i++)
        {
            _sandbox.Write($"{i % 17}/{i}", Encoding.UTF8.GetBytes($"{i} {new string('x', i * 7)}"));
        }

        FileStoreBackupOptions options = FileStoreSandbox.Options with
        {
            Writer = new BackupWriterOptions { EntriesInMemory = 25, SharedBlockSize = 5_000, PackSize = 20_000 },
        };
        await _sandbox.BackUpAsync(options);
        _sandbox.Write("3/3", "changed");
        BackupHeader second = await _sandbox.BackUpAsync(options);
        Assert.Equal((1, 299), (second.FileStore!.ReadFiles, second.FileStore.UnchangedFiles));
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(await _sandbox.RestoreAsync(second)));
    }

    [Fact]
    public async Task RunAsync_MoreDirectoriesThanAreKeptOpen_ComesBack()
    {
        for (int i = 0; i < 400; i++)
        {
            _sandbox.Write($"{i % 7}/{i}/a/b/file", $"{i}");
        }

        FileStoreSandbox.Shell(
            "cd \"$1\"; for i in 0 1 2 3 4 5 6; do ln $i/$i/a/b/file $i/link; ln $i/$i/a/b/file link$i; done; find . -type d -exec touch -d @7.7 {} +",
            _sandbox.Source);
        BackupHeader header = await _sandbox.BackUpAsync();
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(await _sandbox.RestoreAsync(header)));
    }

    /// <summary>An access control list of one more user (linux/posix_acl_xattr.h).</summary>
    private static byte[] AccessList(uint user)
    {
        using MemoryStream stream = new();
        using BinaryWriter writer = new(stream);
        writer.Write(2);
        foreach ((ushort tag, ushort permissions, uint id) in new (ushort, ushort, uint)[]
        {
            (1, 6, uint.MaxValue), (2, 4, user), (4, 4, uint.MaxValue), (16, 4, uint.MaxValue), (32, 0, uint.MaxValue),
        })
        {
            writer.Write(tag);
            writer.Write(permissions);
            writer.Write(id);
        }

        return stream.ToArray();
    }

    private static SortedDictionary<string, byte[]> Attributes(string path)
    {
        using DirectoryHandle directory = FileStoreSandbox.Open(Path.GetDirectoryName(path)!);
        return ExtendedAttributes.Read(directory, Encoding.UTF8.GetBytes(Path.GetFileName(path) + '\0')) ?? [];
    }
}
