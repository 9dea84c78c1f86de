using System.Diagnostics;
using System.Globalization;
using System.Text;
using Npgsql;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>The whole way through an encrypted repository: base backup, stream, recovery, and the stand-alone reader.</summary>
public sealed class EncryptedRecoveryTests : IDisposable
{
    private const string Marker = "PLANTED-MARKER-OF-THE-TEST";
    private readonly TemporaryDirectory _directory = new();

    private string RepositoryPath => Path.Combine(_directory.Path, "repository");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Recovery_FromEncryptedRepository_BringsBackTheLastCommitAndNothingIsInClear()
    {
        string keyFile = Path.Combine(_directory.Path, "repository.key");
        KeyFile.Create(keyFile);
        using RepositoryKeySource key = RepositoryKeySource.FromSecret(await File.ReadAllTextAsync(keyFile));
        Repository repository = await Repository.OpenOrCreateAsync(new DirectoryObjectStore(RepositoryPath), key, default);
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions());
        PostgresConnector connector = server.CreateConnector();
        await server.ExecuteAsync($"CREATE TABLE orders AS SELECT i AS id, '{Marker}' || i AS payload FROM generate_series(1, 50000) i");

        BackupInfo backup;
        await using (RunningStream stream = RunningStream.Start(connector, repository, "smcdr_encrypted"))
        {
            // Not compressed, so that the marker would show.
            backup = await BaseBackup.RunAsync(
                connector,
                repository,
                new BaseBackupOptions { Slot = "smcdr_encrypted", Codec = BlockCodec.None },
                NullObserver.Instance,
                default);
            await server.ExecuteAsync("INSERT INTO orders VALUES (-1, 'the last')");
            Lsn end = Lsn.Parse(await server.ScalarAsync<string>("SELECT pg_current_wal_flush_lsn()::text"));
            await stream.Receiver.WaitForFlushAsync(end, default);
        }

        Assert.True(backup.Encrypted);
        await server.KillAsync();
        foreach (string path in Directory.EnumerateFiles(RepositoryPath, "*", SearchOption.AllDirectories))
        {
            string content = Encoding.Latin1.GetString(await File.ReadAllBytesAsync(path));
            Assert.DoesNotContain(Marker, content, StringComparison.Ordinal);
            Assert.DoesNotContain("pg_control", content, StringComparison.Ordinal);
        }

        Repository opened = await Repository.OpenAsync(new DirectoryObjectStore(RepositoryPath), key, default);
        string data = Path.Combine(server.CreateDirectory("recovered"), "data");
        RecoveryPlan plan = await DatabaseRecovery.PlanAsync(
            new RecoveryRequest { Repository = opened, DataDirectory = data, KeepRunning = false }, NullObserver.Instance, default);
        await DatabaseRecovery.ExecuteAsync(plan, NullObserver.Instance, default);
        await PostgresServerProof.AssertChecksumsAsync(data);
        await using (PostgresServer recovered = await PostgresServer.StartAsync(
            new PostgresServerOptions { ExistingDataDirectory = data, Password = server.Password }))
        {
            await using NpgsqlConnection connection = await recovered.OpenAsync();
            Assert.Equal(
                ["50001 the last"],
                await DatabaseContent.ColumnAsync(connection, "SELECT count(*) || ' ' || max(payload) FILTER (WHERE id = -1) FROM orders"));
        }

        // With nothing but the page about the format: the files, and the WAL that they need.
        string read = Path.Combine(_directory.Path, "read");
        Read(0, [], "extract", "--key-file", keyFile, RepositoryPath, backup.Id, read);
        Assert.True(File.Exists(Path.Combine(read, "global", "pg_control")));
        Assert.Contains("as they should be", Read(0, [], "verify", "--key-file", keyFile, RepositoryPath, backup.Id), StringComparison.Ordinal);
        string segment = Path.GetFileName(Directory.EnumerateFiles(
            Path.Combine(RepositoryPath, "wal", backup.SystemId!, "00000001")).Order(StringComparer.Ordinal).First())[..24];
        string wal = Path.Combine(_directory.Path, "segment");
        Read(0, [], "wal", "--key-file", keyFile, RepositoryPath, backup.SystemId!, segment, wal);
        Assert.Equal(16 << 20, new FileInfo(wal).Length);
        Assert.Contains("encrypted", Read(1, [], "list", RepositoryPath), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reader_PassphraseRenewedKeyAndDamage_AreHandled()
    {
        const string passphrase = "correct horse battery staple";
        DirectoryObjectStore store = new(RepositoryPath);
        using RepositoryKeySource key = RepositoryKeySource.FromSecret(passphrase);
        Repository repository = await Repository.OpenOrCreateAsync(store, key, default);
        SortedDictionary<string, byte[]> files = Repositories.SampleBackup.Files(1);
        BackupHeader old = await Repositories.SampleBackup.WriteAsync(repository, files);
        await RepositoryRecipients.RenewAsync(store, [key], default);
        BackupHeader renewed = await Repositories.SampleBackup.WriteAsync(await Repository.OpenAsync(store, key, default), files);
        Dictionary<string, string> environment = new() { ["SMCDR_PASSPHRASE"] = passphrase };

        foreach (string id in new[] { old.Id, renewed.Id })
        {
            string target = Path.Combine(_directory.Path, id);
            Read(0, environment, "extract", RepositoryPath, id, target);
            foreach ((string path, byte[] content) in files)
            {
                Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(target, path)));
            }
        }

        // What KMS would have unwrapped.
        string unwrapped = Convert.ToBase64String(((EncryptedObjectStore)repository.Store).Keyring.Current.Bytes.Span);
        Read(0, new() { ["SMCDR_REPOSITORY_KEY"] = unwrapped }, "verify", RepositoryPath, old.Id);
        Assert.Contains("not opened", Read(1, new() { ["SMCDR_REPOSITORY_KEY"] = unwrapped }, "verify", RepositoryPath, renewed.Id), StringComparison.Ordinal);
        Assert.Contains("does not open", Read(1, new() { ["SMCDR_PASSPHRASE"] = "wrong" }, "list", RepositoryPath), StringComparison.Ordinal);
        string pack = Path.Combine(RepositoryPath, "filestore", renewed.Id, "pack-000001");
        byte[] right = await File.ReadAllBytesAsync(pack);
        foreach (byte[] wrong in new[] { [.. right[..^1], (byte)(right[^1] ^ 1)], right[..^1], [.. right, 0], [(byte)0, .. right[1..]] })
        {
            await File.WriteAllBytesAsync(pack, wrong);
            Read(1, environment, "verify", RepositoryPath, renewed.Id);
        }

        await File.WriteAllBytesAsync(pack, await File.ReadAllBytesAsync(pack.Replace(renewed.Id, old.Id, StringComparison.Ordinal)));
        Assert.Contains("in the place of", Read(1, environment, "verify", RepositoryPath, renewed.Id), StringComparison.Ordinal);
    }

    [Fact]
    public async Task CommandLine_KeyFromNewToRenewed_WorksThroughout()
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions());
        await server.ExecuteAsync("CREATE TABLE trades AS SELECT 42 AS id");
        string site = Path.Combine(_directory.Path, "smcdr.yaml");
        await File.WriteAllTextAsync(
            site,
            $"""
            name: encrypted
            repository:
              location: file://{RepositoryPath}
              encryptionKey: file:repository.key
            regions:
              here:
                role: primary
                database:
                  connection: "{server.ConnectionString}"
                  password: env:SMCDR_TEST_PASSWORD
            """);
        Dictionary<string, string> environment = new()
        {
            ["SMCDR_TEST_PASSWORD"] = server.Password,
            ["SMCDR_TEST_PASSPHRASE"] = "correct horse battery staple",
        };

        async Task<string> RunAsync(int expected, params string[] arguments)
        {
            (int exitCode, string output, string error) = await SmcdrProcess.RunAsync(environment, ["--site", site, .. arguments]);
            Assert.True(exitCode == expected, $"{string.Join(' ', arguments)}: {exitCode}, {output} {error}");
            Assert.DoesNotContain(environment["SMCDR_TEST_PASSPHRASE"], output + error, StringComparison.Ordinal);
            return output + error;
        }

        await RunAsync(SmcErrors.Get(SmcErrorCode.SecretUnavailable).ExitCode, "backup", "database");
        Assert.Contains("Fingerprint", await RunAsync(0, "key", "new", Path.Combine(_directory.Path, "repository.key")), StringComparison.Ordinal);
        await RunAsync(0, "backup", "database");
        Assert.Contains("\"encrypted\":true", await RunAsync(0, "backup", "list", "--json"), StringComparison.Ordinal);

        string added = await RunAsync(0, "key", "add", "env:SMCDR_TEST_PASSPHRASE", "--name", "safe", "--json");
        Assert.Contains("\"name\":\"safe\"", added, StringComparison.Ordinal);
        Assert.Contains("2 recipients", await RunAsync(0, "site", "test", "--json"), StringComparison.Ordinal);
        await RunAsync(SmcErrors.Get(SmcErrorCode.KeyMissing).ExitCode, "key", "renew", "--yes");
        await RunAsync(0, "key", "renew", "--yes", "--with", "env:SMCDR_TEST_PASSPHRASE");
        Assert.Contains("safe", await RunAsync(0, "key", "list"), StringComparison.Ordinal);
        await RunAsync(0, "backup", "database");
        await RunAsync(0, "key", "remove", "safe", "--yes");
        Assert.DoesNotContain("safe", await RunAsync(0, "key", "list"), StringComparison.Ordinal);

        string data = Path.Combine(server.CreateDirectory("restored"), "data");
        await RunAsync(0, "restore", "database", "--data-directory", data, "--latest", "--no-start", "--yes");
        Assert.True(Directory.Exists(data));
    }

    private static string Read(int expected, Dictionary<string, string> environment, params string[] arguments)
    {
        ProcessStartInfo start = new("/usr/bin/python3", [Path.Combine(FindRoot(), "docs", "reader", "smcdr-read.py"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + error.GetAwaiter().GetResult();
        process.WaitForExit();
        Assert.True(process.ExitCode == expected, string.Create(CultureInfo.InvariantCulture, $"{process.ExitCode}: {output}"));
        Assert.DoesNotContain("Traceback", output, StringComparison.Ordinal);
        return output;
    }

    private static string FindRoot()
    {
        string directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "SmcDr.sln")))
        {
            directory = Path.GetDirectoryName(directory)!;
        }

        return directory;
    }
}
