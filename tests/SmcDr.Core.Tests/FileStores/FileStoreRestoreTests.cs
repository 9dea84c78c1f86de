using System.Security.Cryptography;
using SmcDr.Core.FileStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Repositories;

namespace SmcDr.Core.Tests.FileStores;

public sealed class FileStoreRestoreTests : IDisposable
{
    private readonly FileStoreSandbox _sandbox = new();

    public void Dispose() => _sandbox.Dispose();

    [Fact]
    public async Task RunAsync_InPlaceAfterLoss_BringsBackWhatIsMissing()
    {
        WriteSample();
        BackupHeader header = await _sandbox.BackUpAsync();
        string before = FileStoreSandbox.Describe(_sandbox.Source);
        FileStoreSandbox.Shell("cd \"$1\"; rm -r directory; rm large", _sandbox.Source);
        FileStoreRestoreResult result = await _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { Force = true });
        Assert.Equal(before, FileStoreSandbox.Describe(_sandbox.Source));
        Assert.Equal((2, 1, _sandbox.Source), (result.FileCount, result.KeptFileCount, result.TargetPath));
    }

    [Fact]
    public async Task RunAsync_ExistingFileDiffers_IsRefusedAndNothingChanged()
    {
        WriteSample();
        BackupHeader header = await _sandbox.BackUpAsync();
        _sandbox.Write("file", "work of today");
        File.Delete(_sandbox.PathOf("large"));
        string before = FileStoreSandbox.Describe(_sandbox.Source);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => _sandbox.RestoreAsync(header, new FileStoreRestoreOptions()));
        Assert.Equal(SmcErrorCode.TargetNotEmpty, error.Code);
        Assert.Contains("'file'", error.Message, StringComparison.Ordinal);
        Assert.Equal(before, FileStoreSandbox.Describe(_sandbox.Source));

        await _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { Force = true });
        Assert.Equal("content", await File.ReadAllTextAsync(_sandbox.PathOf("file")));
    }

    /// <summary>Size and time of a rotten file are right; its content is not.</summary>
    [Theory]
    [InlineData("file")]
    [InlineData("large")]
    public async Task RunAsync_FileRottenWithTimeKept_IsReplaced(string name)
    {
        WriteSample();
        BackupHeader header = await _sandbox.BackUpAsync();
        string before = FileStoreSandbox.Describe(_sandbox.Source);
        string path = _sandbox.PathOf(name);
        FileStoreSandbox.Shell(
            "touch -r \"$1\" \"$1.time\"; printf X | dd of=\"$1\" bs=1 seek=3 conv=notrunc status=none; touch -r \"$1.time\" \"$1\"; rm \"$1.time\"", path);
        FileStoreSandbox.Shell("touch -d @0 \"$1\"", _sandbox.Source);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => _sandbox.RestoreAsync(header, new FileStoreRestoreOptions()));
        Assert.Equal(SmcErrorCode.TargetNotEmpty, error.Code);
        await _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { Force = true });
        Assert.Equal(before, FileStoreSandbox.Describe(_sandbox.Source));
    }

    [Fact]
    public async Task RunAsync_FilesOfOthersInTheTarget_AreLeftAlone()
    {
        WriteSample();
        BackupHeader header = await _sandbox.BackUpAsync();
        string target = _sandbox.NewTarget();
        Directory.CreateDirectory(Path.Combine(target, "directory"));
        await File.WriteAllTextAsync(Path.Combine(target, "directory/mine"), "mine");
        await _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { TargetPath = target });
        Assert.Equal("mine", await File.ReadAllTextAsync(Path.Combine(target, "directory/mine")));
        Assert.Equal("inner", await File.ReadAllTextAsync(Path.Combine(target, "directory/inner")));
    }

    [Fact]
    public async Task RunAsync_Patterns_RestoreWhatMatchesWithItsDirectories()
    {
        foreach (string path in new[] { "a/b/one.yaml", "a/b/two.json", "a/c/three.yaml", "d/four.yaml" })
        {
            _sandbox.Write(path, path);
        }

        FileStoreSandbox.Shell("chmod 750 \"$1/a\"; touch -d @1000000000 \"$1/a\" \"$1/a/b\"", _sandbox.Source);
        BackupHeader header = await _sandbox.BackUpAsync();
        string target = _sandbox.NewTarget();
        FileStoreRestoreResult result = await _sandbox.RestoreAsync(
            header, new FileStoreRestoreOptions { TargetPath = target, Include = ["a/**/*.yaml", "/d"] });
        Assert.Equal(3, result.FileCount);
        Assert.Equal(
            "a\na/b\na/b/one.yaml\na/c\na/c/three.yaml\nd\nd/four.yaml\n",
            FileStoreSandbox.Shell("cd \"$1\"; find . -mindepth 1 -printf '%P\\n' | LC_ALL=C sort", target));
        Assert.Equal("750 1000000000\n", FileStoreSandbox.Shell("stat -c '%a %Y' \"$1/a\"", target));

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => _sandbox.RestoreAsync(
            header, new FileStoreRestoreOptions { TargetPath = _sandbox.NewTarget(), Include = ["nothing"] }));
        Assert.Equal(SmcErrorCode.ArgumentInvalid, error.Code);
    }

    [Fact]
    public async Task RunAsync_PatternOfAHardLinkAlone_BringsItsContent()
    {
        _sandbox.Write("a", "content");
        FileStoreSandbox.Shell("cd \"$1\"; mkdir x; ln a x/b; ln a x/c", _sandbox.Source);
        BackupHeader header = await _sandbox.BackUpAsync();
        string target = _sandbox.NewTarget();
        await _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { TargetPath = target, Include = ["x"] });
        Assert.Equal("content", await File.ReadAllTextAsync(Path.Combine(target, "x/c")));
        Assert.Equal("2", FileStoreSandbox.Shell("stat -c %h \"$1/x/b\"", target).Trim());
        Assert.False(File.Exists(Path.Combine(target, "a")));
    }

    /// <summary>Somebody who can write to the target plants links: as a directory, as a file, and as the name of a file being written.</summary>
    [Fact]
    public async Task RunAsync_LinksPlantedInTheTarget_LeadNowhere()
    {
        WriteSample();
        BackupHeader header = await _sandbox.BackUpAsync();
        string outside = _sandbox.NewTarget();
        Directory.CreateDirectory(outside);
        await File.WriteAllTextAsync(Path.Combine(outside, "inner"), "outside");
        await File.WriteAllTextAsync(Path.Combine(outside, "file"), "outside");

        string target = _sandbox.NewTarget();
        Directory.CreateDirectory(target);
        File.CreateSymbolicLink(Path.Combine(target, "directory"), outside);
        foreach (bool force in new[] { false, true })
        {
            SmcException error = await Assert.ThrowsAsync<SmcException>(() => _sandbox.RestoreAsync(
                header, new FileStoreRestoreOptions { TargetPath = target, Force = force }));
            Assert.Equal(SmcErrorCode.TargetUnsuitable, error.Code);
        }

        File.Delete(Path.Combine(target, "directory"));
        File.CreateSymbolicLink(Path.Combine(target, "file"), Path.Combine(outside, "file"));
        string temporaryName = $".smcdr-{Convert.ToHexStringLower(SHA256.HashData("file\0"u8).AsSpan(0, 8))}.partial";
        File.CreateSymbolicLink(Path.Combine(target, temporaryName), Path.Combine(outside, "file"));
        await _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { TargetPath = target, Force = true });
        Assert.Null(File.ResolveLinkTarget(Path.Combine(target, "file"), false));
        Assert.Equal("content", await File.ReadAllTextAsync(Path.Combine(target, "file")));
        Assert.False(File.Exists(Path.Combine(target, temporaryName)));
        Assert.Equal("outside", await File.ReadAllTextAsync(Path.Combine(outside, "file")));
        Assert.Equal("outside", await File.ReadAllTextAsync(Path.Combine(outside, "inner")));
    }

    /// <summary>A manifest by somebody else: a link, and a file below it.</summary>
    [Fact]
    public async Task RunAsync_ManifestWithAFileBelowALink_WritesNothingThere()
    {
        string outside = _sandbox.NewTarget();
        Directory.CreateDirectory(outside);
        FileNode node = new() { UserId = 0, GroupId = 0, Modified = new FileTime(1, 0) };
        BackupHeader header = await ForgeAsync(node, writer =>
        {
            writer.Add(new ManifestEntry { Kind = ManifestEntryKind.Link, Path = "a", LinkTarget = outside, Node = node });
            writer.Add(new ManifestEntry { Kind = ManifestEntryKind.File, Path = "a/file", Mode = 0x180, Node = node });
        });
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => _sandbox.RestoreAsync(header));
        Assert.Equal(SmcErrorCode.TargetUnsuitable, error.Code);
        Assert.Empty(Directory.EnumerateFileSystemEntries(outside));
    }

    [Theory]
    [InlineData("a/%2E%2E/b")]
    [InlineData("%2Fetc%2Fpasswd")]
    [InlineData("a%00")]
    public async Task RunAsync_ManifestWithNamesInDisguise_IsRefusedBeforeAnythingIsMade(string path)
    {
        FileNode node = new() { UserId = 0, GroupId = 0, Modified = new FileTime(1, 0) };
        BackupHeader header = await ForgeAsync(node, writer =>
        {
            writer.Add(new ManifestEntry { Kind = ManifestEntryKind.File, Path = "%25", Mode = 0x180, Node = node });
            writer.Add(new ManifestEntry { Kind = ManifestEntryKind.File, Path = path, Mode = 0x180, Node = node });
        });
        string target = _sandbox.NewTarget();
        SmcException error = await Assert.ThrowsAsync<SmcException>(
            () => _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { TargetPath = target }));
        Assert.Equal(SmcErrorCode.ManifestInvalid, error.Code);
        Assert.Empty(Directory.EnumerateFileSystemEntries(target));
    }

    [Fact]
    public async Task RunAsync_DirectoryInTheWay_IsNeverReplaced()
    {
        WriteSample();
        BackupHeader header = await _sandbox.BackUpAsync();
        string target = _sandbox.NewTarget();
        Directory.CreateDirectory(Path.Combine(target, "file"));
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => _sandbox.RestoreAsync(
            header, new FileStoreRestoreOptions { TargetPath = target, Force = true }));
        Assert.Equal(SmcErrorCode.TargetUnsuitable, error.Code);
        Assert.Equal(["file"], Directory.EnumerateFileSystemEntries(target).Select(Path.GetFileName));
    }

    [Fact]
    public async Task RunAsync_Interrupted_ContinuesWithoutWritingAgain()
    {
        for (int i = 0; i < 40; i++)
        {
            _sandbox.Write($"{i % 4}/{i}", RandomNumberGenerator.GetBytes(2 << 20));
        }

        FileStoreSandbox.Shell("cd \"$1\"; ln 0/0 0/link; chmod 500 3; chmod 1750 .; touch -d 2020-01-01 .", _sandbox.Source);
        BackupHeader header = await _sandbox.BackUpAsync();
        string target = _sandbox.NewTarget();
        BackupReader reader = await (await _sandbox.OpenAsync()).OpenBackupAsync(Component.FileStore, header.Id, CancellationToken.None);
        using CancellationTokenSource stop = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => FileStoreRestore.RunAsync(
            reader,
            new FileStoreRestoreOptions { TargetPath = target },
            new StoppingObserver(stop, after: 5),
            stop.Token));
        int done = Directory.EnumerateFiles(target, "*", SearchOption.AllDirectories).Count();
        Assert.InRange(done, 5, 39);

        FileStoreRestoreResult result = await _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { TargetPath = target });
        Assert.Equal(40, result.KeptFileCount + result.FileCount);
        Assert.InRange(result.KeptFileCount, 4, done);
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(target));
        Assert.Empty(Directory.EnumerateFiles(target, ".smcdr-*", SearchOption.AllDirectories));
    }

    [RootFact]
    public async Task RunAsync_ReplacesWhatFillsTheDisk_OneFileAfterTheOther()
    {
        for (int i = 0; i < 24; i++)
        {
            _sandbox.Write($"{i}", RandomNumberGenerator.GetBytes(16 << 20));
        }

        BackupHeader header = await _sandbox.BackUpAsync();
        using SmallFileSystem disk = new(520);
        string target = Path.Combine(disk.Path, "files");
        Directory.CreateDirectory(target);
        for (int i = 0; i < 24; i++)
        {
            // Encrypted by somebody: as long as it was, and nothing of it is left.
            await File.WriteAllBytesAsync(Path.Combine(target, $"{i}"), RandomNumberGenerator.GetBytes(16 << 20));
        }

        FileStoreRestoreResult result = await _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { TargetPath = target, Force = true });

        Assert.Equal(24, result.FileCount);
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(target));
        string more = Path.Combine(disk.Path, "more");
        SmcException error = await Assert.ThrowsAsync<SmcException>(
            () => _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { TargetPath = more, Force = true }));
        Assert.Equal(SmcErrorCode.DiskSpaceInsufficient, error.Code);
    }

    [Fact]
    public async Task RunAsync_TwoIntoOneTarget_TheSecondIsRefused()
    {
        WriteSample();
        BackupHeader header = await _sandbox.BackUpAsync();
        string target = _sandbox.NewTarget();
        Directory.CreateDirectory(target);
        using DirectoryHandle other = FileStoreSandbox.Open(target);
        Assert.True(other.TryLock());
        SmcException error = await Assert.ThrowsAsync<SmcException>(
            () => _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { TargetPath = target }));
        Assert.Equal(SmcErrorCode.OperationInProgress, error.Code);
    }

    [Fact]
    public async Task RunAsync_DamagedPack_IsFoundAndTheFileDoesNotAppear()
    {
        WriteSample();
        BackupHeader header = await _sandbox.BackUpAsync();
        string pack = Directory.EnumerateFiles(Path.Combine(_sandbox.RepositoryPath, "filestore", header.Id), "pack-*")
            .OrderByDescending(static path => new FileInfo(path).Length).First();
        FileStoreSandbox.Shell("chmod u+w \"$1\"; printf X | dd of=\"$1\" bs=1 seek=1000 conv=notrunc status=none", pack);
        string target = _sandbox.NewTarget();
        SmcException error = await Assert.ThrowsAsync<SmcException>(
            () => _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { TargetPath = target }));
        Assert.Equal(SmcErrorCode.ChecksumMismatch, error.Code);
        Assert.False(File.Exists(Path.Combine(target, "large")));
    }

    [Fact]
    public async Task RunAsync_BackupOfAnotherKind_IsRefused()
    {
        Repository repository = await _sandbox.OpenAsync();
        BackupHeader header = await SampleBackup.WriteAsync(repository, SampleBackup.Files(1));
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => _sandbox.RestoreAsync(header));
        Assert.Equal(SmcErrorCode.BackupUnsuitable, error.Code);
    }

    /// <summary>Not root: somebody else's file comes back as ours, and then not with the right to act as its owner.</summary>
    [RootFact]
    public async Task RunAsync_OwnersNotRestored_DropsSetUserId()
    {
        _sandbox.Write("program", "x");
        _sandbox.Write("own", "x");
        FileStoreSandbox.Shell("cd \"$1\"; chown 12345:54321 program; chmod 6755 program own", _sandbox.Source);
        BackupHeader header = await _sandbox.BackUpAsync();
        string target = _sandbox.NewTarget();
        await _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { TargetPath = target, Owners = false });
        Assert.Equal("755 0 0\n", FileStoreSandbox.Shell("stat -c '%a %u %g' \"$1/program\"", target));
        Assert.Equal("6755 0 0\n", FileStoreSandbox.Shell("stat -c '%a %u %g' \"$1/own\"", target));
    }

    [RootFact]
    public async Task RunAsync_OwnersName_CountsMoreThanItsNumber()
    {
        FileNode node = new() { UserId = 4711, UserName = "nobody", GroupId = 4711, GroupName = "no-such-group", Modified = new FileTime(1, 0) };
        BackupHeader header = await ForgeAsync(node, writer =>
            writer.Add(new ManifestEntry { Kind = ManifestEntryKind.File, Path = "file", Mode = 0x180, Node = node }));
        string target = await _sandbox.RestoreAsync(header);
        Assert.Equal("nobody 4711\n", FileStoreSandbox.Shell("stat -c '%U %g' \"$1/file\"", target));
        string numeric = _sandbox.NewTarget();
        await _sandbox.RestoreAsync(header, new FileStoreRestoreOptions { TargetPath = numeric, NumericOwners = true });
        Assert.Equal("4711 4711\n", FileStoreSandbox.Shell("stat -c '%u %g' \"$1/file\"", numeric));
    }

    private void WriteSample()
    {
        _sandbox.Write("file", "content");
        _sandbox.Write("large", RandomNumberGenerator.GetBytes(3 << 20));
        _sandbox.Write("directory/inner", "inner");
    }

    private async Task<BackupHeader> ForgeAsync(FileNode root, Action<BackupWriter> fill)
    {
        Repository repository = await _sandbox.OpenAsync();
        await using BackupWriter writer = await repository.BeginBackupAsync(
            Component.FileStore, "Full", null, null, null, null, CancellationToken.None);
        fill(writer);
        return await writer.CompleteAsync(
            "Full",
            header => header with
            {
                FileStore = new FileStoreBackupDetails
                {
                    Name = "store", Path = "/nowhere", RootMode = "755", Root = root, ScanStart = new FileTime(1, 0), OneFileSystem = true,
                },
            },
            CancellationToken.None);
    }

    private sealed class StoppingObserver(CancellationTokenSource stop, int after) : IOperationObserver
    {
        private int _files;

        public void Verbose(string message)
        {
        }

        public void Warning(string message)
        {
        }

        public void Progress(OperationProgress progress)
        {
            if (Interlocked.Increment(ref _files) == after)
            {
                stop.Cancel();
            }
        }
    }
}
