using System.Globalization;
using System.Security.Cryptography;
using Npgsql;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.BaseBackups;

/// <summary>Restores into a data directory that is there: afterwards it is as after a restore into an empty one, and no more was written than was wrong.</summary>
public sealed class DeltaRestoreTests(DeltaRestoreTests.TwoBackups fixture) : IClassFixture<DeltaRestoreTests.TwoBackups>
{
    private const int PageSize = 8192;

    private readonly BackupLab _lab = fixture.Lab;

    [Theory]
    [InlineData("Full")]
    [InlineData("Incremental")]
    public async Task RestoreFilesAsync_Delta_WritesThePagesThatDifferAndNothingElse(string kind)
    {
        string id = kind == "Full" ? fixture.Full.Id : fixture.Incremental.Id;
        Place place = await NewPlaceAsync(id);
        string expected = place.Fingerprint();
        string big = Path.Combine(place.Data, fixture.BigPath);
        long pages = new FileInfo(big).Length / PageSize;
        Assert.True(pages > 1200);
        DateTime time = File.GetLastWriteTimeUtc(big);
        long[] changed = [0, 1, 500, 1023, pages - 1];
        foreach (long page in changed)
        {
            Flip(big, (page * PageSize) + 4000);
        }

        // Neither its length nor its time tells.
        File.SetLastWriteTimeUtc(big, time);
        BaseRestoreResult result = await RestoreAsync(id, place);

        Assert.Equal(expected, place.Fingerprint());
        (_, Manifest manifest) = await _lab.OpenAsync(id);
        Assert.Equal(changed.Length * (long)PageSize, result.FetchedBytes);
        Assert.Equal(0, result.RemovedFileCount);
        Assert.True(result.KeptBytes > manifest.Header.SizeBytes - (1 << 20));
    }

    [Fact]
    public async Task RestoreFilesAsync_Delta_PagesOfABlockThatAreNotThoseOfItsHashes_AreRefused()
    {
        string id = fixture.Full.Id;
        Place place = await NewPlaceAsync(id);
        string big = Path.Combine(place.Data, fixture.BigPath);
        (BackupReader reader, Manifest manifest) = await _lab.OpenAsync(id);
        List<(BlockReference Block, long At)> blocks = [];
        long at = 0;
        foreach (FileExtent extent in manifest.Entries.Single(entry => entry.Path == fixture.BigPath).Extents)
        {
            if (extent is { Block.PageHashes: not null, Start: 0 } && extent.Length == extent.Block.Length)
            {
                blocks.Add((extent.Block, at));
            }

            at += extent.Length;
        }

        // Each of two blocks gets the other's hashes, and the file has at each one's place what these hashes say, but for one page. That page's
        // block is whole by its own digest; what it holds there is not what the hashes say, and only they are looked at for so little.
        IGrouping<int, (BlockReference Block, long At)> alike = blocks.GroupBy(static block => block.Block.Length).First(static group => group.Count() > 1);
        (BlockReference first, long firstAt) = alike.ElementAt(0);
        (BlockReference second, long secondAt) = alike.ElementAt(1);
        (first.PageHashes, second.PageHashes) = (second.PageHashes, first.PageHashes);
        byte[] content = await File.ReadAllBytesAsync(big);
        byte[] kept = content.AsSpan((int)firstAt, first.Length).ToArray();
        content.AsSpan((int)secondAt, first.Length).CopyTo(content.AsSpan((int)firstAt));
        kept.CopyTo(content.AsSpan((int)secondAt));
        content[firstAt + (3 * PageSize) + 4000] ^= 0x10;
        using (FileStream stream = new(big, FileMode.Open, FileAccess.Write))
        {
            stream.Write(content);
        }

        SmcException e = await Assert.ThrowsAsync<SmcException>(
            () => BaseRestore.RestoreFilesAsync(reader, manifest, place.Target(_lab), NullObserver.Instance, default));

        Assert.Equal(SmcErrorCode.ChecksumMismatch, e.Code);
        Assert.Equal(first.Pack.Key, e.Target);
        Assert.False(File.Exists(Path.Combine(place.Data, ControlFile.RelativePath)));
        await RestoreAsync(id, place);
        Assert.Equal(fixture.Fingerprints[id], place.Fingerprint());
    }

    [Fact]
    public async Task RestoreFilesAsync_Delta_MakesEveryKindOfDifferenceGood()
    {
        string id = fixture.Incremental.Id;
        Place place = await NewPlaceAsync(id);
        string expected = place.Fingerprint();
        string big = Path.Combine(place.Data, fixture.BigPath);
        string spaced = Directory.GetFiles(place.Tablespace, "*", SearchOption.AllDirectories).MaxBy(static f => new FileInfo(f).Length)!;
        using (FileStream file = new(big, FileMode.Open))
        {
            // Not at a page's end.
            file.SetLength((file.Length / 2) + 100);
        }

        using (FileStream file = new(spaced, FileMode.Append))
        {
            file.Write(new byte[3 * PageSize]);
        }

        File.Delete(Path.Combine(place.Data, "PG_VERSION"));
        File.WriteAllText(Path.Combine(place.Data, "PG_VERSION"), "99\n");
        File.Delete(Path.Combine(place.Data, "pg_hba.conf"));
        await File.AppendAllTextAsync(Path.Combine(place.Data, "postgresql.conf"), "archive_mode = off\n");
        File.SetUnixFileMode(Path.Combine(place.Data, "pg_ident.conf"), UnixFileMode.OtherRead);
        File.SetUnixFileMode(Path.Combine(place.Data, "global"), (UnixFileMode)0x1ED);

        // What a server leaves, and what nobody knows: six files and a link.
        File.WriteAllText(Path.Combine(place.Data, "postmaster.pid"), "999999999\n");
        File.WriteAllText(Path.Combine(place.Data, "standby.signal"), "");
        File.WriteAllText(Path.Combine(place.Data, "pg_wal", "000000010000000000000009"), "wal");
        Directory.CreateDirectory(Path.Combine(place.Data, "base", "99999", "deeper"));
        File.WriteAllText(Path.Combine(place.Data, "base", "99999", "1"), "x");
        File.WriteAllText(Path.Combine(place.Data, "base", "99999", "deeper", "2"), "x");
        File.WriteAllText(spaced + "_fsm2", "x");
        File.WriteAllText(Path.Combine(place.Root, "outside"), "precious");
        File.CreateSymbolicLink(Path.Combine(place.Data, "base", "stray"), Path.Combine(place.Root, "outside"));
        // Another version's part of the tablespace is not this cluster's.
        string other = Path.Combine(place.Tablespace, "PG_99_209901011");
        Directory.CreateDirectory(other);
        File.WriteAllText(Path.Combine(other, "kept"), "x");

        BaseRestoreResult result = await RestoreAsync(id, place);

        Assert.True(File.Exists(Path.Combine(other, "kept")));
        Directory.Delete(other, recursive: true);
        Assert.Equal(expected, place.Fingerprint());
        Assert.Equal(7, result.RemovedFileCount);
        Assert.Equal("precious", await File.ReadAllTextAsync(Path.Combine(place.Root, "outside")));
        Assert.False(File.Exists(Path.Combine(place.Data, RestoreJournal.FileName)));
    }

    [Fact]
    public async Task RestoreFilesAsync_Delta_TablespaceGoesElsewhere_IsLinkedThere()
    {
        string id = fixture.Full.Id;
        Place place = await NewPlaceAsync(id);
        Directory.Move(place.Tablespace, place.Tablespace + "-old");
        string link = Path.Combine(place.Data, "pg_tblspc", fixture.TablespaceOid.ToString(CultureInfo.InvariantCulture));
        File.Delete(link);
        File.CreateSymbolicLink(link, place.Tablespace + "-old");

        await RestoreAsync(id, place);

        Assert.Equal(place.Tablespace, new FileInfo(link).LinkTarget);
        Assert.Equal(fixture.Fingerprints[id], place.Fingerprint());
        Assert.True(Directory.Exists(place.Tablespace + "-old"));
    }

    [Fact]
    public async Task RestoreFilesAsync_Delta_AfterAServerWroteThere_BringsTheBackupBack()
    {
        string id = fixture.Full.Id;
        Place place = await NewPlaceAsync(id);
        string expected = place.Fingerprint();
        await using (PostgresServer server = await _lab.RecoverAsync(place.Data))
        {
            await BackupLab.UntilAsync(async () => !await server.ScalarAsync<bool>("SELECT pg_is_in_recovery()"));
            await server.ExecuteAsync("UPDATE big SET b = 'later' WHERE i % 50 = 0");
            await server.ExecuteAsync("CREATE TABLE later AS SELECT generate_series(1, 1000) AS i");
            await server.ExecuteAsync("CREATE DATABASE later");
            await server.ExecuteAsync("CHECKPOINT");
            SmcException running = await Assert.ThrowsAsync<SmcException>(() => RestoreAsync(id, place));
            Assert.Equal(SmcErrorCode.TargetInUse, running.Code);
            await server.KillAsync();
        }

        BaseRestoreResult result = await RestoreAsync(id, place);

        Assert.Equal(expected, place.Fingerprint());
        Assert.True(result.KeptBytes > result.FetchedBytes);
        Assert.True(result.RemovedFileCount > 0);
        await using PostgresServer recovered = await _lab.RecoverAsync(place.Data);
        Assert.Equal(
            await _lab.Server.ScalarAsync<string>("SELECT sum(hashtextextended(t::text, 0))::text FROM big t"),
            await recovered.ScalarAsync<string>("SELECT sum(hashtextextended(t::text, 0))::text FROM big t"));
        await recovered.StopAsync();
        await PostgresPrograms.RunAsync("pg_checksums", ["--check", "-D", place.Data]);
    }

    [Fact]
    public async Task RestoreFilesAsync_DeltaInterrupted_NeverStarts_AndIsFinishedByAnotherRun()
    {
        string id = fixture.Incremental.Id;
        int interrupted = 0;
        for (int last = 1; last < 40; last += 3)
        {
            Place place = await NewPlaceAsync(fixture.Full.Id);
            File.WriteAllText(Path.Combine(place.Data, "surplus"), "x");
            int reads = int.MinValue;
            Repository repository = await Repository.OpenAsync(
                new HookedObjectStore(
                    new DirectoryObjectStore(_lab.RepositoryDirectory),
                    (operation, _) => operation == "read" && Interlocked.Increment(ref reads) >= last
                        ? throw new SmcException(SmcErrorCode.StorageUnavailable, "Gone.")
                        : Task.CompletedTask),
                default);
            BackupReader reader = await repository.OpenBackupAsync(Component.Database, id, default);
            Manifest manifest = await reader.ReadManifestAsync(default);
            reads = 0;
            try
            {
                await BaseRestore.RestoreFilesAsync(reader, manifest, place.Target(_lab), NullObserver.Instance, default);
                break;
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.StorageUnavailable)
            {
                if (!File.Exists(Path.Combine(place.Data, RestoreJournal.FileName)))
                {
                    // Nothing was begun yet: it is the cluster that it was.
                    Assert.True(File.Exists(Path.Combine(place.Data, ControlFile.RelativePath)));
                    continue;
                }
            }

            interrupted++;
            Assert.False(File.Exists(Path.Combine(place.Data, ControlFile.RelativePath)));
            (int exitCode, _, string error) = await PostgresPrograms.TryRunAsync("postgres", ["--single", "-D", place.Data, "postgres"]);
            Assert.NotEqual(0, exitCode);
            Assert.Contains("pg_control", error, StringComparison.Ordinal);

            // Without asking for it again, and to another backup, too.
            string next = interrupted % 2 == 0 ? fixture.Full.Id : id;
            await _lab.RestoreAsync(next, place.Target(_lab) with { Delta = next != id });
            Assert.Equal(fixture.Fingerprints[next], place.Fingerprint());
        }

        Assert.True(interrupted > 1, $"Only {interrupted} runs were interrupted.");
    }

    [Fact]
    public async Task RestoreFilesAsync_Delta_OtherDirectories_AreRefusedAndUntouched()
    {
        string id = fixture.Full.Id;
        Place place = await NewPlaceAsync(id);

        // No data directory at all, and nothing forces that.
        string other = _lab.NewServerDirectory();
        await File.WriteAllTextAsync(Path.Combine(other, "precious"), "x");
        SmcException e = await Assert.ThrowsAsync<SmcException>(() => _lab.RestoreAsync(
            id, place.Target(_lab) with { DataDirectory = other, Force = true }));
        Assert.Equal(SmcErrorCode.TargetUnsuitable, e.Code);
        Assert.Single(Directory.GetFileSystemEntries(other));

        // Another cluster's.
        string control = Path.Combine(place.Data, ControlFile.RelativePath);
        byte[] right = await File.ReadAllBytesAsync(control);
        await using (PostgresServer stranger = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false }))
        {
            await stranger.StopAsync();
            await File.WriteAllBytesAsync(control, await File.ReadAllBytesAsync(Path.Combine(stranger.DataDirectory, ControlFile.RelativePath)));
        }

        string before = place.Fingerprint();
        e = await Assert.ThrowsAsync<SmcException>(() => RestoreAsync(id, place));
        Assert.Equal(SmcErrorCode.SystemIdMismatch, e.Code);
        Assert.Equal(before, place.Fingerprint());

        // One that cannot be told.
        await File.WriteAllBytesAsync(control, new byte[100]);
        before = place.Fingerprint();
        e = await Assert.ThrowsAsync<SmcException>(() => RestoreAsync(id, place));
        Assert.Equal(SmcErrorCode.TargetUnsuitable, e.Code);
        Assert.Equal(before, place.Fingerprint());

        // WAL kept elsewhere through a link.
        await File.WriteAllBytesAsync(control, right);
        string wal = Path.Combine(place.Root, "wal");
        Directory.Move(Path.Combine(place.Data, "pg_wal"), wal);
        Directory.CreateSymbolicLink(Path.Combine(place.Data, "pg_wal"), wal);
        before = place.Fingerprint();
        e = await Assert.ThrowsAsync<SmcException>(() => RestoreAsync(id, place));
        Assert.Equal(SmcErrorCode.TargetUnsuitable, e.Code);
        Assert.Equal(before, place.Fingerprint());
        File.Delete(Path.Combine(place.Data, "pg_wal"));
        Directory.Move(wal, Path.Combine(place.Data, "pg_wal"));

        // A place for a tablespace in which something else lies.
        (_, Manifest manifest) = await _lab.OpenAsync(id);
        before = place.Fingerprint();
        e = await Assert.ThrowsAsync<SmcException>(() => _lab.RestoreAsync(id, place.Target(_lab) with
        {
            Tablespaces = new Dictionary<uint, string> { [manifest.Header.Database!.Tablespaces[0].Oid] = other },
        }));
        Assert.Equal(SmcErrorCode.TargetNotEmpty, e.Code);
        Assert.Equal(before, place.Fingerprint());

        // And another cluster's where it is forced.
        await File.WriteAllBytesAsync(control, new byte[100]);
        await _lab.RestoreAsync(id, place.Target(_lab) with { Force = true });
        Assert.Equal(fixture.Fingerprints[id], place.Fingerprint());
    }

    private async Task<Place> NewPlaceAsync(string id)
    {
        Place place = new(_lab, fixture.TablespaceOid);
        await _lab.RestoreAsync(id, place.Target(_lab) with { Delta = false });
        return place;
    }

    private Task<BaseRestoreResult> RestoreAsync(string id, Place place) => _lab.RestoreAsync(id, place.Target(_lab));

    private static void Flip(string path, long position)
    {
        using FileStream stream = new(path, FileMode.Open, FileAccess.ReadWrite);
        stream.Position = position;
        int value = stream.ReadByte();
        stream.Position = position;
        stream.WriteByte((byte)(value ^ 0x10));
    }

    /// <summary>Where one test restores to.</summary>
    internal sealed class Place(BackupLab lab, uint tablespace)
    {
        public string Root { get; } = lab.NewServerDirectory();

        public string Data => Path.Combine(Root, "data");

        public string Tablespace => Path.Combine(Root, "space");

        public BaseRestoreTarget Target(BackupLab lab) => lab.Owned(new BaseRestoreTarget
        {
            DataDirectory = Data,
            Tablespaces = new Dictionary<uint, string> { [tablespace] = Tablespace },
            Delta = true,
        });

        /// <summary>Names, kinds, modes, owners, links and contents of all that is there, but for where it is.</summary>
        public string Fingerprint()
        {
            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            foreach (string top in (string[])[Data, Tablespace])
            {
                EnumerationOptions all = new() { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.None };
                foreach (FileSystemInfo info in new DirectoryInfo(top).EnumerateFileSystemInfos("*", all).OrderBy(static i => i.FullName, StringComparer.Ordinal))
                {
                    string name = Path.GetRelativePath(Root, info.FullName);
                    string facts = info.LinkTarget is { } link
                        ? $"-> {Path.GetRelativePath(Root, link)}"
                        : string.Create(CultureInfo.InvariantCulture, $"{info is DirectoryInfo} {(int)info.UnixFileMode} {SmcDr.Core.Platform.Posix.GetOwner(info.FullName)}");
                    // In the map of tablespaces their places are written out.
                    byte[] content = info is FileInfo { LinkTarget: null } && info.Name != "tablespace_map" ? File.ReadAllBytes(info.FullName) : [];
                    hash.AppendData(System.Text.Encoding.UTF8.GetBytes($"{name}\0{facts}\0"));
                    hash.AppendData(content);
                }
            }

            return Convert.ToHexString(hash.GetHashAndReset());
        }
    }

    /// <summary>A full backup and an incremental one on it, of a cluster with a tablespace.</summary>
    public sealed class TwoBackups : IAsyncLifetime
    {
        public BackupLab Lab { get; private set; } = null!;

        public BackupInfo Full { get; private set; } = null!;

        public BackupInfo Incremental { get; private set; } = null!;

        public string BigPath { get; private set; } = null!;

        public uint TablespaceOid { get; private set; }

        /// <summary>What a restore of each to an empty place makes.</summary>
        public Dictionary<string, string> Fingerprints { get; } = [];

        public async Task InitializeAsync()
        {
            Lab = await BackupLab.StartAsync();
            await Lab.Server.ExecuteAsync($"CREATE TABLESPACE space LOCATION '{Lab.NewServerDirectory()}'");
            await Lab.Server.ExecuteAsync(
                """
                CREATE TABLE big AS SELECT i, md5(i::text) AS b FROM generate_series(1, 150000) i;
                CREATE TABLE spaced TABLESPACE space AS SELECT i, md5(i::text) AS b FROM generate_series(1, 20000) i;
                """);
            await Lab.Server.ExecuteAsync("VACUUM");
            BigPath = await Lab.Server.ScalarAsync<string>("SELECT pg_relation_filepath('big')");
            TablespaceOid = await Lab.Server.ScalarAsync<uint>("SELECT oid FROM pg_tablespace WHERE spcname = 'space'");
            Full = await Lab.BackupAsync(new BaseBackupOptions { PackSize = 3 << 20 });
            await Lab.Server.ExecuteAsync("UPDATE big SET b = 'two' WHERE i % 4000 = 7");
            await Lab.Server.ExecuteAsync("CHECKPOINT");
            Incremental = await Lab.BackupAsync(new BaseBackupOptions { PackSize = 3 << 20 });
            Assert.Equal("Incremental", Incremental.Kind);
            await Lab.ArchiveAllAsync();
            NpgsqlConnection.ClearAllPools();
            foreach (string id in (string[])[Full.Id, Incremental.Id])
            {
                Place place = new(Lab, TablespaceOid);
                await Lab.RestoreAsync(id, place.Target(Lab));
                Fingerprints.Add(id, place.Fingerprint());
            }
        }

        public async Task DisposeAsync() => await Lab.DisposeAsync();
    }
}
