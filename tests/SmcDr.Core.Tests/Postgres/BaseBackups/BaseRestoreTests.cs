using System.Diagnostics;
using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.BaseBackups;

/// <summary>Restores of one base backup, which no test changes for the others.</summary>
public sealed class BaseRestoreTests(BaseRestoreTests.OneBackup fixture) : IClassFixture<BaseRestoreTests.OneBackup>
{
    private readonly BackupLab _lab = fixture.Lab;
    private readonly string _id = fixture.Info.Id;

    [Fact]
    public async Task RestoreFilesAsync_FlippedByteAnywhereInContent_IsFoundAndLeavesNothingThatStarts()
    {
        using TemporaryDirectory copy = new();
        Copy(_lab.RepositoryDirectory, copy.Path);
        Repository repository = await Repository.OpenAsync(new DirectoryObjectStore(copy.Path), CancellationToken.None);
        BackupReader reader = await repository.OpenBackupAsync(Component.Database, _id, CancellationToken.None);
        Manifest manifest = await reader.ReadManifestAsync(CancellationToken.None);
        Assert.True(manifest.Packs.Count >= 3);
        Random random = new(20261123);

        foreach (PackReference pack in manifest.Packs)
        {
            string path = Path.Combine(copy.Path, pack.Key);
            // Between them may lie hashes of pages, which a restore does not read.
            BlockReference[] blocks =
            [
                .. manifest.Entries.SelectMany(static entry => entry.Extents).Select(static extent => extent.Block).OfType<BlockReference>()
                    .Where(block => block.Pack == pack).OrderBy(static block => block.Offset),
            ];
            long[] positions =
            [
                blocks[0].Offset,
                blocks[^1].Offset + blocks[^1].StoredLength - 1,
                .. random.GetItems(blocks, 3).Select(block => block.Offset + random.NextInt64(block.StoredLength)),
            ];
            foreach (long position in positions)
            {
                Flip(path, position, (byte)(1 << random.Next(8)));
                using TemporaryDirectory target = new();

                SmcException damaged = await Assert.ThrowsAsync<SmcException>(() => BaseRestore.RestoreFilesAsync(
                    reader, manifest, new BaseRestoreTarget { DataDirectory = target.Path }, NullObserver.Instance, CancellationToken.None));

                Assert.Equal(SmcErrorCode.ChecksumMismatch, damaged.Code);
                Assert.Equal(pack.Key, damaged.Target);
                Assert.False(File.Exists(Path.Combine(target.Path, "global", "pg_control")));
                Restore(path, pack);
            }
        }

        void Restore(string path, PackReference pack)
        {
            File.SetAttributes(path, FileAttributes.Normal);
            File.Copy(Path.Combine(_lab.RepositoryDirectory, pack.Key), path, overwrite: true);
        }
    }

    [Theory]
    [InlineData("missing", SmcErrorCode.ObjectNotFound)]
    [InlineData("shorter", SmcErrorCode.ChecksumMismatch)]
    [InlineData("manifest", SmcErrorCode.ChecksumMismatch)]
    public async Task RestoreFilesAsync_IncompleteRepository_IsFoundBeforeAByteIsWritten(string damage, SmcErrorCode code)
    {
        using TemporaryDirectory copy = new();
        Copy(_lab.RepositoryDirectory, copy.Path);
        Repository repository = await Repository.OpenAsync(new DirectoryObjectStore(copy.Path), CancellationToken.None);
        BackupReader reader = await repository.OpenBackupAsync(Component.Database, _id, CancellationToken.None);
        Manifest manifest = await reader.ReadManifestAsync(CancellationToken.None);
        string pack = Path.Combine(copy.Path, manifest.Packs[^1].Key);
        string target = Path.Combine(copy.Path, "target");
        File.SetAttributes(pack, FileAttributes.Normal);
        switch (damage)
        {
            case "missing":
                File.Delete(pack);
                break;
            case "shorter":
                using (FileStream stream = new(pack, FileMode.Open, FileAccess.Write))
                {
                    stream.SetLength(stream.Length - 1);
                }

                break;
            default:
                string path = Path.Combine(copy.Path, RepositoryKeys.Manifest(Component.Database, _id));
                Flip(path, new FileInfo(path).Length / 2, 1);
                break;
        }

        SmcException found = await Assert.ThrowsAsync<SmcException>(async () => await BaseRestore.RestoreFilesAsync(
            reader,
            await reader.ReadManifestAsync(CancellationToken.None),
            new BaseRestoreTarget { DataDirectory = target },
            NullObserver.Instance,
            CancellationToken.None));

        Assert.Equal(code, found.Code);
        Assert.False(Directory.Exists(target));
    }

    [Fact]
    public async Task RestoreFilesAsync_Interrupted_CannotBeStartedAndASecondRunKeepsWhatIsRight_Trap4()
    {
        (BackupReader reader, Manifest manifest) = await _lab.OpenAsync(_id);
        string target = _lab.NewPath();
        BaseRestoreTarget where = _lab.Owned(new BaseRestoreTarget { DataDirectory = target });
        using CancellationTokenSource stop = new();
        RecordingObserver observer = new() { At = (manifest.Header.SizeBytes / 2, stop.Cancel) };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => BaseRestore.RestoreFilesAsync(reader, manifest, where, observer, stop.Token));

        Assert.False(File.Exists(Path.Combine(target, "global", "pg_control")));
        // Which files are there already is left to chance; that the control file is not must suffice.
        foreach (string name in (string[])["PG_VERSION", "postgresql.conf", "postgresql.auto.conf"])
        {
            File.Copy(Path.Combine(_lab.Server.DataDirectory, name), Path.Combine(target, name), overwrite: true);
            PostgresPrograms.GiveToServer(Path.Combine(target, name));
        }

        (int exitCode, _, string error) = await PostgresPrograms.TryRunAsync("postgres", ["--single", "-D", target, "postgres"]);
        Assert.NotEqual(0, exitCode);
        Assert.True(error.Contains("pg_control", StringComparison.Ordinal), error);
        // What a power cut may do to a file that was never synced.
        string torn = Path.Combine(target, await _lab.Server.ScalarAsync<string>("SELECT pg_relation_filepath('big')"));
        Flip(torn, 1 << 20, 0xFF);
        using (FileStream stream = new(Path.Combine(target, "PG_VERSION"), FileMode.Create))
        {
            stream.Write("99\n"u8);
        }

        BaseRestoreResult result = await _lab.RestoreAsync(_id, where);

        Assert.InRange(result.KeptBytes, manifest.Header.SizeBytes / 10, manifest.Header.SizeBytes - 1);
        await AssertSameAsync(target);
    }

    [Fact]
    public async Task RestoreFilesAsync_CutOffBeforeItsLastStep_EndsRightAndAStartedServerIsLeftAlone()
    {
        (BackupReader reader, Manifest manifest) = await _lab.OpenAsync(_id);
        string target = _lab.NewPath();
        BaseRestoreTarget where = _lab.Owned(new BaseRestoreTarget { DataDirectory = target });
        await _lab.RestoreAsync(_id, where);
        RestoreJournal journal = new(_id, manifest.Header.RepositoryId, []);
        journal.Write(target);

        BaseRestoreResult again = await _lab.RestoreAsync(_id, where);

        Assert.Equal(manifest.Header.FileCount - 1, again.KeptFileCount);
        journal.Write(target);
        Flip(Path.Combine(target, "global", "pg_control"), 16, 1);
        SmcException refused = await Assert.ThrowsAsync<SmcException>(() => _lab.RestoreAsync(_id, where));
        Assert.Equal(SmcErrorCode.TargetNotEmpty, refused.Code);
        await File.WriteAllTextAsync(Path.Combine(target, "postmaster.pid"), "1\n");
        refused = await Assert.ThrowsAsync<SmcException>(() => _lab.RestoreAsync(_id, where));
        Assert.Equal(SmcErrorCode.TargetInUse, refused.Code);
        Assert.NotNull(reader);
    }

    [Fact]
    public async Task RestoreFilesAsync_DirectoryWithOthersFiles_IsRefusedAndUntouched()
    {
        using TemporaryDirectory target = new();
        Directory.CreateDirectory(Path.Combine(target.Path, "lost+found"));
        string other = Path.Combine(target.Path, "precious");
        await File.WriteAllTextAsync(other, "x");

        SmcException refused = await Assert.ThrowsAsync<SmcException>(
            () => _lab.RestoreAsync(_id, new BaseRestoreTarget { DataDirectory = target.Path }));

        Assert.Equal(SmcErrorCode.TargetNotEmpty, refused.Code);
        Assert.Equal(2, Directory.GetFileSystemEntries(target.Path).Length);
        // The journal of another backup is no permission.
        new RestoreJournal("20200101T000000Z-full", _lab.Repository.Id, []).Write(target.Path);
        refused = await Assert.ThrowsAsync<SmcException>(
            () => _lab.RestoreAsync(_id, new BaseRestoreTarget { DataDirectory = target.Path }));
        Assert.Equal(SmcErrorCode.TargetNotEmpty, refused.Code);
        // What a mounted disk brings along is nothing.
        File.Delete(other);
        RestoreJournal.Remove(target.Path);
        await _lab.RestoreAsync(_id, new BaseRestoreTarget { DataDirectory = target.Path });
    }

    [Fact]
    public async Task RestoreFilesAsync_LinkInAHalfRestoredTarget_IsNotFollowed()
    {
        (_, Manifest manifest) = await _lab.OpenAsync(_id);
        using TemporaryDirectory target = new();
        using TemporaryDirectory outside = new();
        new RestoreJournal(_id, manifest.Header.RepositoryId, []).Write(target.Path);
        Directory.CreateSymbolicLink(Path.Combine(target.Path, "base"), outside.Path);

        SmcException refused = await Assert.ThrowsAsync<SmcException>(
            () => _lab.RestoreAsync(_id, new BaseRestoreTarget { DataDirectory = target.Path }));

        Assert.Equal(SmcErrorCode.TargetUnsuitable, refused.Code);
        Assert.Empty(Directory.GetFileSystemEntries(outside.Path));
        Directory.Delete(Path.Combine(target.Path, "base"));
        File.CreateSymbolicLink(Path.Combine(target.Path, "PG_VERSION"), Path.Combine(outside.Path, "x"));
        refused = await Assert.ThrowsAsync<SmcException>(
            () => _lab.RestoreAsync(_id, new BaseRestoreTarget { DataDirectory = target.Path }));
        Assert.Equal(SmcErrorCode.TargetUnsuitable, refused.Code);
        Assert.Empty(Directory.GetFileSystemEntries(outside.Path));
    }

    [Fact]
    public async Task RestoreFilesAsync_BackupLabel_HasLineFeedsAloneAndNoByteOrderMark_AndNoSignalOfAnotherRecovery_Trap2And14()
    {
        string target = _lab.NewPath();
        await _lab.RestoreAsync(_id, new BaseRestoreTarget { DataDirectory = target });

        byte[] label = await File.ReadAllBytesAsync(Path.Combine(target, "backup_label"));
        Assert.True(label.AsSpan().StartsWith("START WAL LOCATION: "u8));
        Assert.Equal((byte)'\n', label[^1]);
        Assert.DoesNotContain((byte)'\r', label);
        Assert.False(File.Exists(Path.Combine(target, "recovery.conf")));
        Assert.False(File.Exists(Path.Combine(target, "standby.signal")));
    }

    [Fact]
    public async Task RestoreFilesAsync_BackupLabelLost_DoesNotStartInsteadOfCorrupting_Trap3()
    {
        string target = _lab.NewPath();
        await _lab.RestoreAsync(_id, new BaseRestoreTarget { DataDirectory = target });
        File.Delete(Path.Combine(target, "backup_label"));

        (int exitCode, _, string error) = await PostgresPrograms.TryRunAsync("postgres", ["--single", "-D", target, "postgres"]);
        Assert.NotEqual(0, exitCode);
        Assert.Contains("checkpoint record", error, StringComparison.Ordinal);
    }

    [RootFact]
    public async Task RestoreFilesAsync_DiskFull_SaysSoAndASecondRunWithRoomCompletes()
    {
        (BackupReader reader, Manifest manifest) = await _lab.OpenAsync(_id);
        string disk = _lab.NewServerDirectory();
        Mount(disk, "size=16m");
        try
        {
            BaseRestoreTarget where = _lab.Owned(new BaseRestoreTarget { DataDirectory = Path.Combine(disk, "data") });
            Assert.True(manifest.Header.SizeBytes > 24 << 20);

            // Seen before a byte is written.
            SmcException full = await Assert.ThrowsAsync<SmcException>(() => _lab.RestoreAsync(_id, where));
            Assert.Equal(SmcErrorCode.DiskSpaceInsufficient, full.Code);
            Assert.Equal(disk, full.Target);
            Assert.Empty(Directory.GetFileSystemEntries(disk));

            // And where somebody else fills it meanwhile.
            full = await Assert.ThrowsAsync<SmcException>(() => BaseRestore.RestoreFilesAsync(
                reader, manifest, where with { CheckSpace = false }, NullObserver.Instance, CancellationToken.None));
            Assert.Equal(SmcErrorCode.DiskSpaceInsufficient, full.Code);
            Assert.False(File.Exists(Path.Combine(disk, "data", "global", "pg_control")));

            Mount(disk, "remount,size=512m");
            await _lab.RestoreAsync(_id, where);
            await AssertSameAsync(where.DataDirectory);
        }
        finally
        {
            Run("umount", disk);
        }
    }

    [Fact]
    public async Task RestoreFilesAsync_GroupAccess_GivesModesAndOwner_Trap13()
    {
        string target = _lab.NewPath();
        await _lab.RestoreAsync(_id, new BaseRestoreTarget { DataDirectory = target });
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        foreach (string path in Directory.EnumerateFileSystemEntries(target, "*", SearchOption.AllDirectories).Append(target))
        {
            bool isDirectory = Directory.Exists(path);
            Assert.Equal(isDirectory ? (UnixFileMode)0x1C0 : (UnixFileMode)0x180, File.GetUnixFileMode(path));
            Assert.Equal(Posix.GetOwner(_lab.Server.DataDirectory), Posix.GetOwner(path));
        }
    }

    private async Task AssertSameAsync(string target)
    {
        await using PostgresServer restored = await _lab.RecoverAsync(target);
        foreach (string sql in (string[])["SELECT sum(hashtextextended(t::text, 0))::text FROM big t", "SELECT count(*)::text FROM small"])
        {
            Assert.Equal(await _lab.Server.ScalarAsync<string>(sql), await restored.ScalarAsync<string>(sql));
        }

        await restored.StopAsync();
        await PostgresPrograms.RunAsync("pg_checksums", ["--check", "-D", target]);
    }

    private static void Mount(string disk, string options) => Run("mount", "-t", "tmpfs", "-o", options, "tmpfs", disk);

    private static void Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    private static void Flip(string path, long position, byte bits)
    {
        File.SetAttributes(path, FileAttributes.Normal);
        using FileStream stream = new(path, FileMode.Open, FileAccess.ReadWrite);
        stream.Position = position;
        int value = stream.ReadByte();
        stream.Position = position;
        stream.WriteByte((byte)(value ^ bits));
    }

    private static void Copy(string source, string destination)
    {
        foreach (string path in Directory.EnumerateFiles(source, "*", SearchOption.AllDirectories))
        {
            string copy = Path.Combine(destination, Path.GetRelativePath(source, path));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(path, copy);
        }
    }

    /// <summary>A backup in several packs, with big and small files, holes and shared blocks.</summary>
    public sealed class OneBackup : IAsyncLifetime
    {
        public BackupLab Lab { get; private set; } = null!;

        public BackupInfo Info { get; private set; } = null!;

        public async Task InitializeAsync()
        {
            Lab = await BackupLab.StartAsync();
            await Lab.Server.ExecuteAsync(
                """
                CREATE TABLE big AS SELECT i, md5(i::text) AS b FROM generate_series(1, 150000) i;
                CREATE TABLE small AS SELECT generate_series(1, 100) AS i;
                """);
            Info = await Lab.BackupAsync(new BaseBackupOptions { PackSize = 3 << 20 });
            await Lab.ArchiveAllAsync();
            NpgsqlConnection.ClearAllPools();
        }

        public async Task DisposeAsync() => await Lab.DisposeAsync();
    }
}
