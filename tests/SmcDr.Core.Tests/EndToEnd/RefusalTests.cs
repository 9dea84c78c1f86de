using System.Globalization;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>
/// Bad input and bad luck, as an operator meets them at the command line: each is refused with its own exit code, error id and
/// recommendation, and nothing has changed.
/// </summary>
public sealed class RefusalTests : IClassFixture<RefusalTests.BackedUpServer>
{
    private readonly BackedUpServer _world;
    private readonly string _target;

    public RefusalTests(BackedUpServer world)
    {
        _world = world;
        _target = Path.Combine(world.Server.CreateDirectory(Guid.NewGuid().ToString("N")), "data");
    }

    [Theory]
    [InlineData("2026-11-05T10:00:00")]
    [InlineData("2026-11-05 10:00")]
    [InlineData("10:00")]
    public async Task TargetTime_WithoutZone_IsRefused(string time) =>
        await AssertRestoreRefusedAsync(SmcErrorCode.TargetTimeAmbiguous, "--target-time", time);

    [Theory]
    [InlineData("2001-01-01T00:00:00Z")]
    [InlineData("2099-01-01T00:00:00Z")]
    public async Task TargetTime_OutsideTheWindow_IsRefused(string time) => await AssertRestoreRefusedAsync(
        [SmcErrorCode.TargetOutsideWindow, SmcErrorCode.TargetNotReached], "--target-time", time);

    [Fact]
    public async Task TargetLsn_BehindTheArchive_IsRefused() =>
        await AssertRestoreRefusedAsync(SmcErrorCode.TargetOutsideWindow, "--target-lsn", "FFFF/0");

    [Fact]
    public async Task TargetName_Unknown_IsRefused() =>
        await AssertRestoreRefusedAsync(SmcErrorCode.TargetOutsideWindow, "--target-name", "never made");

    [Fact]
    public async Task TargetLsn_ThatIsNone_IsRefused() =>
        await AssertRestoreRefusedAsync(SmcErrorCode.ArgumentInvalid, "--target-lsn", "yesterday");

    [Fact]
    public async Task Backup_Unknown_IsRefused() =>
        await AssertRestoreRefusedAsync(SmcErrorCode.BackupNotFound, "--backup", "20200101T000000Z-full", "--latest");

    [Fact]
    public async Task Password_Wrong_IsRefused()
    {
        Dictionary<string, string> environment = new() { ["SMCDR_TEST_PASSWORD"] = "certainly-not-it" };
        int before = _world.CountObjects();
        (int exitCode, string output, string error) =
            await SmcdrProcess.RunAsync(environment, "--site", _world.Site, "backup", "database");
        AssertRefusal(SmcErrorCode.AuthenticationFailed, exitCode, error);
        Assert.DoesNotContain("certainly-not-it", output + error, StringComparison.Ordinal);
        Assert.Equal(before, _world.CountObjects());
    }

    [Fact]
    public async Task Password_Missing_IsRefused()
    {
        (int exitCode, _, string error) = await SmcdrProcess.RunAsync(
            new Dictionary<string, string>(), "--site", _world.Site, "backup", "database");
        AssertRefusal(SmcErrorCode.SecretUnavailable, exitCode, error);
    }

    [Theory]
    [InlineData("backup", "database")]
    [InlineData("backup", "list")]
    [InlineData("wal", "stream")]
    public async Task EncryptionKey_ForARepositoryInClear_IsRefused(params string[] arguments)
    {
        string site = await _world.WriteSiteAsync("encrypted.yaml", _world.Server.ConnectionString);
        string text = await File.ReadAllTextAsync(site);
        await File.WriteAllTextAsync(site, text.Replace("regions:", "  encryptionKey: env:SMCDR_TEST_PASSWORD\nregions:", StringComparison.Ordinal));
        int before = _world.CountObjects();
        (int exitCode, _, string error) = await SmcdrProcess.RunAsync(_world.Environment, ["--site", site, .. arguments]);
        AssertRefusal(SmcErrorCode.RepositoryNotEncrypted, exitCode, error);
        Assert.Equal(before, _world.CountObjects());
    }

    [Fact]
    public async Task DataDirectory_InUse_IsRefused()
    {
        string mark = await _world.Server.ScalarAsync<string>("SELECT pg_postmaster_start_time()::text");
        (int exitCode, _, string error) = await RestoreAsync(_world.Server.DataDirectory, "--latest", "--force");
        AssertRefusal(SmcErrorCode.TargetInUse, exitCode, error);
        Assert.Equal(mark, await _world.Server.ScalarAsync<string>("SELECT pg_postmaster_start_time()::text"));
    }

    [Fact]
    public async Task DataDirectory_NotEmpty_IsRefused()
    {
        Directory.CreateDirectory(_target);
        string file = Path.Combine(_target, "precious");
        await File.WriteAllTextAsync(file, "mine");
        (int exitCode, _, string error) = await RestoreAsync(_target, "--latest");
        AssertRefusal(SmcErrorCode.TargetNotEmpty, exitCode, error);
        Assert.Equal("mine", await File.ReadAllTextAsync(file));
        Assert.Equal([file], Directory.GetFileSystemEntries(_target));
    }

    [Fact]
    public async Task SystemId_Foreign_IsRefused()
    {
        // Another cluster behind the same site file: somebody ran initdb again, or changed the address.
        await using PostgresServer other = await PostgresServer.StartAsync(new PostgresServerOptions { Password = _world.Server.Password });
        string site = await _world.WriteSiteAsync("foreign.yaml", other.ConnectionString);
        int before = _world.CountObjects();
        (int exitCode, _, string error) = await SmcdrProcess.RunAsync(_world.Environment, "--site", site, "backup", "database");
        AssertRefusal(SmcErrorCode.SystemIdMismatch, exitCode, error);
        (exitCode, _, error) = await SmcdrProcess.RunAsync(_world.Environment, "--site", site, "wal", "stream");
        AssertRefusal(SmcErrorCode.SystemIdMismatch, exitCode, error);
        Assert.Equal(before, _world.CountObjects());
        Assert.Equal(0L, await other.ScalarAsync<long>("SELECT count(*) FROM pg_replication_slots"));

        (exitCode, _, error) = await SmcdrProcess.RunAsync(_world.Environment, "--site", site, "backup", "database", "--new-cluster");
        Assert.True(exitCode == 0, error);
        await _world.RemoveSystemAsync(other);
    }

    [Fact]
    public async Task Pack_WithOneByteChanged_IsFound()
    {
        string pack = Directory.GetFiles(_world.RepositoryPath, "pack-000001", SearchOption.AllDirectories).Order().First();
        byte[] right = await File.ReadAllBytesAsync(pack);
        byte[] wrong = [.. right];
        wrong[Random.Shared.Next(wrong.Length)] ^= 0x10;
        await _world.ReplaceWhileAsync(pack, wrong, right, async () =>
            await AssertRestoreRefusedAsync(SmcErrorCode.ChecksumMismatch, "--latest"));
    }

    [Fact]
    public async Task Pack_Missing_IsFoundBeforeAnythingIsWritten()
    {
        string pack = Directory.GetFiles(_world.RepositoryPath, "pack-000001", SearchOption.AllDirectories).Order().First();
        byte[] right = await File.ReadAllBytesAsync(pack);
        await _world.ReplaceWhileAsync(pack, null, right, async () =>
            await AssertRestoreRefusedAsync(SmcErrorCode.ObjectNotFound, "--latest"));
        Assert.False(Directory.Exists(_target));
        Assert.False(Directory.Exists(_target + ".smcdr"));
    }

    [RootFact]
    public async Task Disk_Full_IsRefusedBeforeAnythingIsWritten()
    {
        using SmallFileSystem disk = new();
        PostgresPrograms.GiveToServer(disk.Path);
        string data = Path.Combine(disk.Path, "data");
        (int exitCode, _, string error) = await RestoreAsync(data, "--latest");
        AssertRefusal(SmcErrorCode.DiskSpaceInsufficient, exitCode, error);
        Assert.Empty(Directory.GetFileSystemEntries(disk.Path));
    }

    [RootFact]
    public async Task Repository_OnAFullDisk_IsRefusedAndKeepsNothingHalfDone()
    {
        using SmallFileSystem disk = new();
        string repository = Path.Combine(disk.Path, "repository");
        string site = await _world.WriteSiteAsync("full.yaml", _world.Server.ConnectionString, repository);
        (int exitCode, _, string error) = await SmcdrProcess.RunAsync(_world.Environment, "--site", site, "backup", "database");
        AssertRefusal(SmcErrorCode.StorageFull, exitCode, error);
        Assert.Empty(Directory.GetFiles(repository, "complete", SearchOption.AllDirectories));
        Assert.Empty(Directory.GetFiles(repository, "pack-*", SearchOption.AllDirectories));
    }

    private Task AssertRestoreRefusedAsync(SmcErrorCode code, params string[] arguments) => AssertRestoreRefusedAsync([code], arguments);

    private async Task AssertRestoreRefusedAsync(SmcErrorCode[] codes, params string[] arguments)
    {
        (int exitCode, string output, string error) = await RestoreAsync(_target, arguments);
        SmcErrorCode code = codes.FirstOrDefault(code => SmcErrors.Get(code).ExitCode == exitCode, codes[0]);
        AssertRefusal(code, exitCode, error);
        Assert.DoesNotContain(_world.Server.Password, output + error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_target), "The data directory appeared although the restore was refused.");
    }

    private Task<(int ExitCode, string Output, string Error)> RestoreAsync(string data, params string[] arguments) =>
        SmcdrProcess.RunAsync(
            _world.Environment,
            ["--site", _world.Site, "restore", "database", "--data-directory", data, "--no-start", "--yes", .. arguments]);

    private static void AssertRefusal(SmcErrorCode code, int exitCode, string error)
    {
        SmcErrorInfo info = SmcErrors.Get(code);
        Assert.True(exitCode == info.ExitCode, $"Exit code {exitCode.ToString(CultureInfo.InvariantCulture)} instead of {info.ErrorId}: {error}");
        Assert.Contains(info.ErrorId, error, StringComparison.Ordinal);
        Assert.Contains("Next:", error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at SmcDr.", error, StringComparison.Ordinal);
    }

    /// <summary>A server with one backup, which the tests leave as it is.</summary>
    public sealed class BackedUpServer : IAsyncLifetime
    {
        private readonly string _root = Directory.CreateTempSubdirectory("smcdr-refusal-").FullName;

        public PostgresServer Server { get; private set; } = null!;

        public string Site { get; private set; } = "";

        public Dictionary<string, string> Environment { get; private set; } = [];

        public string RepositoryPath => Path.Combine(_root, "repository");

        public async Task InitializeAsync()
        {
            Server = await PostgresServer.StartAsync(new PostgresServerOptions());
            await Server.ExecuteAsync("CREATE TABLE trades AS SELECT i AS id, md5(i::text) AS payload FROM generate_series(1, 50000) i");
            Environment = new Dictionary<string, string> { ["SMCDR_TEST_PASSWORD"] = Server.Password };
            Site = await WriteSiteAsync("smcdr.yaml", Server.ConnectionString);
            (int exitCode, _, string error) = await SmcdrProcess.RunAsync(Environment, "--site", Site, "backup", "database");
            Assert.True(exitCode == 0, error);
        }

        public async Task DisposeAsync()
        {
            await Server.DisposeAsync();
            Directory.Delete(_root, recursive: true);
        }

        public async Task<string> WriteSiteAsync(string name, string connectionString, string? repository = null)
        {
            string path = Path.Combine(_root, name);
            await File.WriteAllTextAsync(
                path,
                $"""
                name: refusal
                repository:
                  location: file://{repository ?? RepositoryPath}
                regions:
                  here:
                    role: primary
                    database:
                      connection: "{connectionString}"
                      password: env:SMCDR_TEST_PASSWORD
                """);
            return path;
        }

        /// <summary>Takes a cluster's WAL and backups out again, so that the other tests find one cluster.</summary>
        public async Task RemoveSystemAsync(PostgresServer server)
        {
            string id = (await server.ScalarAsync<long>("SELECT system_identifier FROM pg_control_system()")).ToString(CultureInfo.InvariantCulture);
            Directory.Delete(Path.Combine(RepositoryPath, "wal", id), recursive: true);
            foreach (string marker in Directory.GetFiles(RepositoryPath, "complete", SearchOption.AllDirectories))
            {
                if ((await File.ReadAllTextAsync(marker)).Contains(id, StringComparison.Ordinal))
                {
                    Directory.Delete(Path.GetDirectoryName(marker)!, recursive: true);
                }
            }
        }

        /// <summary>All but why backups failed, which is noted.</summary>
        public int CountObjects() => Directory.GetFiles(RepositoryPath, "*", SearchOption.AllDirectories)
            .Count(path => !path.StartsWith(Path.Combine(RepositoryPath, "failures"), StringComparison.Ordinal));

        public async Task ReplaceWhileAsync(string path, byte[]? wrong, byte[] right, Func<Task> action)
        {
            File.Delete(path);
            if (wrong is not null)
            {
                await File.WriteAllBytesAsync(path, wrong);
            }

            try
            {
                await action();
            }
            finally
            {
                await File.WriteAllBytesAsync(path, right);
            }
        }
    }
}
