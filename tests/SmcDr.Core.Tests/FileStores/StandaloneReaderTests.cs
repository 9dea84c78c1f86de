using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Tests.Repositories;

namespace SmcDr.Core.Tests.FileStores;

/// <summary>
/// The reader that was written from docs/repository-format.md: what it restores proves the page. It needs the programs python3 and zstd
/// (Debian: apt-get install python3 zstd).
/// </summary>
public sealed class StandaloneReaderTests : IDisposable
{
    private readonly FileStoreSandbox _sandbox = new();

    public void Dispose() => _sandbox.Dispose();

    [Theory]
    [InlineData(BlockCodec.Zstd)]
    [InlineData(BlockCodec.Gzip)]
    public async Task Extract_FileStore_RestoresEverything(BlockCodec codec)
    {
        _sandbox.Write("directory/large", RandomNumberGenerator.GetBytes((2 << 20) + 77));
        for (int i = 0; i < 60; i++)
        {
            _sandbox.Write($"small/{i}", $"{i} {new string('x', i * 50)}");
        }

        FileStoreSandbox.Shell(
            """
            cd "$1"
            printf x > "$(printf 'caf\351%%')"; printf y > 'back\slash'; : > empty
            ln -s "$(printf 'caf\351%%')" link; ln small/1 hard; ln small/1 a; mkfifo pipe
            truncate -s 3M sparse; printf data | dd of=sparse bs=1 seek=2000000 conv=notrunc status=none
            python3 -c 'import os; os.setxattr("empty", "user.a", b"\0\377"); os.setxattr("directory", "user.b", b"")'
            chmod 4711 small/3; chmod 0500 directory; touch -d '1969-12-31 23:59:58.123456789Z' small/4; touch -h -d @5.5 link
            [ "$(id -u)" != 0 ] || { chown 12345:54321 small/5; chown -h 1:1 link; }
            touch -d '2002-02-02 02:02:02.000000002Z' directory .
            """,
            _sandbox.Source);
        BackupHeader header = await _sandbox.BackUpAsync(FileStoreSandbox.Options with
        {
            Writer = new BackupWriterOptions { Codec = codec, PackSize = 1_000_000, SharedBlockSize = 20_000 },
        });
        string target = _sandbox.NewTarget();
        Run(0, "extract", _sandbox.RepositoryPath, header.Id, target);
        Assert.Equal(FileStoreSandbox.Describe(_sandbox.Source), FileStoreSandbox.Describe(target));
        Assert.InRange(long.Parse(FileStoreSandbox.Shell("stat -c %b \"$1/sparse\"", target), null), 1, 64);

        Assert.Equal(
            "b'\\x00\\xff' b''\n",
            FileStoreSandbox.Shell(
                "cd \"$1\"; python3 -c 'import os; print(os.getxattr(\"empty\", \"user.a\"), os.getxattr(\"directory\", \"user.b\"))'", target));

        Run(0, "verify", _sandbox.RepositoryPath, "filestore/" + header.Id);
        Assert.Contains($"filestore/{header.Id}\tcomplete", Run(0, "list", _sandbox.RepositoryPath), StringComparison.Ordinal);
        Assert.Contains("caf%E9%25", Run(0, "show", _sandbox.RepositoryPath, header.Id), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Extract_IncrementAndPatterns_RestoreWhatMatches()
    {
        _sandbox.Write("a/one", "1");
        _sandbox.Write("a/two", "2");
        await _sandbox.BackUpAsync();
        _sandbox.Write("b/one", "3");
        FileStoreSandbox.Shell("cd \"$1\"; ln a/two b/two", _sandbox.Source);
        BackupHeader header = await _sandbox.BackUpAsync();
        string target = _sandbox.NewTarget();
        Run(0, "extract", _sandbox.RepositoryPath, header.Id, target, "one", "/b");
        Assert.Equal(
            "a\na/one\nb\nb/one\nb/two\n",
            FileStoreSandbox.Shell("cd \"$1\"; find . -mindepth 1 -printf '%P\\n' | LC_ALL=C sort", target));
        Assert.Equal("2", await File.ReadAllTextAsync(Path.Combine(target, "b/two")));

        Assert.Contains("not empty", Run(1, "extract", _sandbox.RepositoryPath, header.Id, target), StringComparison.Ordinal);
    }

    /// <summary>Entries without nodes, as those of databases are; blocks that are not compressed; zeros.</summary>
    [Theory]
    [InlineData(BlockCodec.None)]
    [InlineData(BlockCodec.Zstd)]
    public async Task Extract_BackupOfPlainFiles_RestoresTheirContent(BlockCodec codec)
    {
        Repository repository = await _sandbox.OpenAsync();
        SortedDictionary<string, byte[]> files = SampleBackup.Files(5);
        BackupHeader header = await SampleBackup.WriteAsync(repository, files, SampleBackup.SmallPacks with { Codec = codec });
        string target = _sandbox.NewTarget();
        Run(0, "extract", _sandbox.RepositoryPath, header.Id, target);
        foreach ((string path, byte[] content) in files)
        {
            Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(target, path)));
        }
    }

    [Fact]
    public async Task Verify_OneByteChangedAnywhere_IsFound()
    {
        _sandbox.Write("file", RandomNumberGenerator.GetBytes(3_000));
        _sandbox.Write("text", new string('x', 3_000));
        BackupHeader header = await _sandbox.BackUpAsync();
        foreach (string name in new[] { "complete", "manifest", "pack-000001" })
        {
            string path = Directory.EnumerateFiles(Path.Combine(_sandbox.RepositoryPath, "filestore", header.Id), name[..4] + "*").First();
            byte[] right = await File.ReadAllBytesAsync(path);
            foreach (int at in new[] { 0, right.Length / 3, right.Length / 2, right.Length - 1 })
            {
                byte[] wrong = [.. right];
                wrong[at] ^= 1;
                await File.WriteAllBytesAsync(path, wrong);
                Run(1, "verify", _sandbox.RepositoryPath, header.Id);
            }

            await File.WriteAllBytesAsync(path, right[..^1]);
            Run(1, "verify", _sandbox.RepositoryPath, header.Id);
            await File.WriteAllBytesAsync(path, [.. right, 0]);
            Run(1, "verify", _sandbox.RepositoryPath, header.Id);
            await File.WriteAllBytesAsync(path, right);
        }

        Run(0, "verify", _sandbox.RepositoryPath, header.Id);
    }

    [Theory]
    [InlineData("a/%2E%2E/b")]
    [InlineData("%2Fetc")]
    [InlineData("%41")]
    public async Task Extract_NamesInDisguise_AreRefusedBeforeAnythingIsMade(string path)
    {
        Repository repository = await _sandbox.OpenAsync();
        await using BackupWriter writer = await repository.BeginBackupAsync(
            Component.FileStore, "Full", null, null, null, null, CancellationToken.None);
        writer.Add(new ManifestEntry { Kind = ManifestEntryKind.File, Path = path, Mode = 0x180 });
        BackupHeader header = await writer.CompleteAsync("Full", static header => header, CancellationToken.None);
        string target = _sandbox.NewTarget();
        Run(1, "extract", _sandbox.RepositoryPath, header.Id, target);
        Assert.False(Directory.Exists(target));
    }

    [Fact]
    public async Task Extract_FileBelowALink_WritesNothingThere()
    {
        string outside = _sandbox.NewTarget();
        Directory.CreateDirectory(outside);
        Repository repository = await _sandbox.OpenAsync();
        await using BackupWriter writer = await repository.BeginBackupAsync(
            Component.FileStore, "Full", null, null, null, null, CancellationToken.None);
        writer.Add(new ManifestEntry { Kind = ManifestEntryKind.Link, Path = "a", LinkTarget = outside });
        writer.Add(new ManifestEntry { Kind = ManifestEntryKind.File, Path = "a/file", Mode = 0x180 });
        BackupHeader header = await writer.CompleteAsync("Full", static header => header, CancellationToken.None);
        Run(1, "extract", _sandbox.RepositoryPath, header.Id, _sandbox.NewTarget());
        Assert.Empty(Directory.EnumerateFileSystemEntries(outside));
    }

    [Fact]
    public async Task Wal_WholeSegmentAndPieces_GiveTheSegment()
    {
        const int Size = 1 << 20;
        Repository repository = await _sandbox.OpenAsync();
        byte[] wal = new byte[Size];
        Random.Shared.NextBytes(wal.AsSpan(0, Size / 2));
        await PutWalAsync(repository, "000000020000000100000003", wal, 0, Size, whole: true);
        await PutWalAsync(repository, "000000020000000100000004", wal, 0, 5_000, whole: false);
        await PutWalAsync(repository, "000000020000000100000004", wal, 4_000, 9_000, whole: false);
        await PutWalAsync(repository, "000000020000000100000004", wal, 9_500, 10_000, whole: false);

        string output = _sandbox.NewTarget();
        Run(0, "wal", _sandbox.RepositoryPath, "7234567890123456789", "000000020000000100000003", output);
        Assert.Equal(wal, await File.ReadAllBytesAsync(output));

        output = _sandbox.NewTarget();
        Run(0, "wal", _sandbox.RepositoryPath, "7234567890123456789", "000000020000000100000004", output);
        Assert.Equal((byte[])[.. wal[..9_000], .. new byte[Size - 9_000]], await File.ReadAllBytesAsync(output));

        string path = Path.Combine(_sandbox.RepositoryPath, "wal/7234567890123456789/00000002/000000020000000100000003");
        byte[] damaged = await File.ReadAllBytesAsync(path);
        damaged[^100] ^= 1;
        await File.WriteAllBytesAsync(path, damaged);
        Run(1, "wal", _sandbox.RepositoryPath, "7234567890123456789", "000000020000000100000003", _sandbox.NewTarget());

        // An object under another's name.
        File.Move(
            Path.Combine(Path.GetDirectoryName(path)!, "000000020000000100000004.00000000-00001388"),
            Path.Combine(Path.GetDirectoryName(path)!, "000000020000000100000005.00000000-00001388"));
        Run(1, "wal", _sandbox.RepositoryPath, "7234567890123456789", "000000020000000100000005", _sandbox.NewTarget());
    }

    /// <summary>A base backup and its WAL, restored by the stand-alone reader alone, start a server that has everything.</summary>
    [Fact]
    public async Task ExtractAndWal_BaseBackup_StartsAsTheServerItWas()
    {
        await using BackupLab lab = await BackupLab.StartAsync();
        await lab.Server.ExecuteAsync("CREATE TABLE t AS SELECT i, md5(i::text) AS b FROM generate_series(1, 20000) i");
        BackupInfo info = await BaseBackup.RunAsync(
            lab.Server.CreateConnector(), lab.Repository, new BaseBackupOptions(), NullObserver.Instance, CancellationToken.None);

        // An increment is restored like a full one: its manifest says where everything is.
        await lab.Server.ExecuteAsync("UPDATE t SET b = md5(i::text) WHERE i % 100 = 0");
        info = await BaseBackup.RunAsync(
            lab.Server.CreateConnector(), lab.Repository, new BaseBackupOptions(), NullObserver.Instance, CancellationToken.None);
        Assert.Equal("Incremental", info.Kind);
        Assert.Matches("with [1-9][0-9]* hashes of pages", Run(0, "verify", lab.RepositoryDirectory, info.Id));

        string target = lab.NewPath();
        Run(0, "extract", lab.RepositoryDirectory, info.Id, target);
        string archive = lab.NewServerDirectory();
        string folder = Path.Combine(lab.RepositoryDirectory, "wal", info.SystemId!);
        foreach (string segment in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Select(static path => Path.GetFileName(path)[..24]).Distinct())
        {
            Run(0, "wal", lab.RepositoryDirectory, info.SystemId!, segment, Path.Combine(archive, segment));
        }

        if (PostgresPrograms.OsUser is { } user)
        {
            FileStoreSandbox.Shell("chown -R \"$1\" \"$2\" \"$3\"", user, target, archive);
        }

        await using PostgresServer restored = await lab.RecoverAsync(target, archive);
        Assert.Equal(20000L, await restored.ScalarAsync<long>("SELECT count(*) FROM t WHERE b = md5(i::text)"));
    }

    private static Task PutWalAsync(Repository repository, string segment, byte[] wal, uint start, uint end, bool whole)
    {
        WalSegmentName name = WalSegmentName.Parse(segment);
        Lsn begin = name.StartLsn(wal.Length);
        WalKey key = whole ? WalKey.Whole(name) : WalKey.Piece(name, start, end);
        WalObjectHead head = new()
        {
            RepositoryId = repository.Id,
            Name = segment,
            SystemId = "7234567890123456789",
            Timeline = name.Timeline,
            Start = begin + start,
            End = begin + end,
            WalSegmentSize = wal.Length,
            Length = 0,
            Sha256 = default,
            Codec = "",
            Stored = 0,
            Crc32C = 0,
        };
        ReadOnlyMemory<byte> bytes = wal.AsMemory((int)start, (int)(end - start));

        // As a stream makes a whole one: of several frames.
        WalFrames frames = new();
        frames.Add(0, bytes[..(bytes.Length / 2)]);
        frames.Add(bytes.Length / 2, bytes[(bytes.Length / 2)..]);
        byte[] content = whole && frames.End == bytes.Length ? WalObject.Seal(head, bytes, frames.All) : WalObject.Seal(head, bytes);
        return repository.Store.PutAsync(key.ToKey(7234567890123456789), content, CancellationToken.None);
    }

    private static string Run(int expectedExitCode, params string[] arguments)
    {
        foreach (string program in new[] { "python3", "zstd" })
        {
            bool found = Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(folder => File.Exists(Path.Combine(folder, program)));
            Assert.True(found, $"The program '{program}' is missing on this machine, and the stand-alone reader needs it: apt-get install {program}.");
        }

        ProcessStartInfo start = new("python3") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add("-B");
        start.ArgumentList.Add(ReaderPath());
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["PYTHONIOENCODING"] = "utf-8";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        string error = errors.GetAwaiter().GetResult();
        Assert.True(process.ExitCode == expectedExitCode, $"{process.ExitCode}: {output}\n{error}");
        Assert.DoesNotContain("Traceback", error, StringComparison.Ordinal);
        return output + error;
    }

    private static string ReaderPath([CallerFilePath] string source = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(source)!, "../../../docs/reader/smcdr-read.py"));
}
