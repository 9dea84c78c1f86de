using System.Text;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Sites;

public sealed class SiteChecksTests : IClassFixture<PostgresServerFixture>, IAsyncDisposable
{
    private readonly MemoryObjectStore _store = new();
    private readonly PostgresServer _server;

    public SiteChecksTests(PostgresServerFixture fixture) => _server = fixture.Server;

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task RunAsync_SoundSite_FailsNothingAndLeavesNothingBehind()
    {
        Dictionary<string, CheckResult> results = await RunAsync(_server, $"dataDirectory: {_server.DataDirectory}");

        Assert.DoesNotContain(results.Values, static r => r.Outcome is CheckOutcomes.Failed or CheckOutcomes.Skipped);
        Assert.Equal(
            ["RepositoryEncryption", "ReplicationSlot", "SlotRetention"],
            results.Values.Where(static r => r.Outcome == CheckOutcomes.Warning).Select(static r => r.Name));
        Assert.Equal(20, results.Count);
        Assert.All(results.Values, static r => Assert.EndsWith(".", r.Message));
        Assert.All(results.Values, static r => Assert.Equal(r.Outcome == CheckOutcomes.Passed, r.Recommendation is null));
        Assert.Empty(_store.Objects);
        Assert.True(_store.IsDisposed);
        Assert.Equal(0L, await _server.ScalarAsync<long>("SELECT count(*) FROM pg_replication_slots"));
    }

    [Fact]
    public async Task RunAsync_DirectoryRepository_IsCleanAfterwards()
    {
        string directory = Directory.CreateTempSubdirectory("smcdr-test-").FullName;
        try
        {
            Dictionary<string, CheckResult> results = await CollectAsync(
                SiteOf("connection: Host=localhost"), _ => ObjectStoreFactory.Open(directory), 2);

            Assert.Equal(CheckOutcomes.Passed, results["RepositoryAccess"].Outcome);
            Assert.Equal(CheckOutcomes.Passed, results["RepositoryCapabilities"].Outcome);
            Assert.Empty(Directory.EnumerateFiles(directory, "*", SearchOption.AllDirectories));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Theory]
    [InlineData(false, false, CheckOutcomes.Passed)]
    [InlineData(true, false, CheckOutcomes.Warning)]
    [InlineData(false, true, CheckOutcomes.Warning)]
    public async Task RunAsync_Copy_IsCheckedLikeTheRepository(bool hasRepository, bool hasCopy, string expected) =>
        Assert.Equal(expected, await CheckCopyAsync(hasRepository, hasCopy, isCopy: false));

    [Theory]
    [InlineData(true, CheckOutcomes.Passed)]
    [InlineData(false, CheckOutcomes.Failed)]
    public async Task RunAsync_Copy_MustBeOfTheSameRepository(bool isCopy, string expected) =>
        Assert.Equal(expected, await CheckCopyAsync(true, true, isCopy));

    private static async Task<string> CheckCopyAsync(bool hasRepository, bool hasCopy, bool isCopy)
    {
        using Fixtures.TemporaryDirectory directory = new();
        string first = Path.Combine(directory.Path, "first");
        string second = Path.Combine(directory.Path, "second");
        if (hasRepository)
        {
            await Core.Repositories.Repository.OpenOrCreateAsync(new DirectoryObjectStore(first), CancellationToken.None);
        }

        if (hasCopy && isCopy)
        {
            await Copies.CopyLab.OpenAsync(new DirectoryObjectStore(first), new DirectoryObjectStore(second));
        }
        else if (hasCopy)
        {
            await Core.Repositories.Repository.OpenOrCreateAsync(new DirectoryObjectStore(second), CancellationToken.None);
        }

        Site site = SiteOf("connection: Host=localhost");
        site = site with { Repository = site.Repository with { Location = first, Copies = [second] } };
        List<CheckResult> results = [];
        await foreach (CheckResult result in new SiteChecks(site, new SecretResolver(), ObjectStoreFactory.Open).RunAsync(CancellationToken.None))
        {
            results.Add(result);
        }

        Assert.Equal([first, second], results.Where(static r => r.Name == "RepositoryAccess").Select(static r => r.Target));
        return Assert.Single(results, static r => r.Name == "RepositoryCopy").Outcome;
    }

    [Fact]
    public async Task RunAsync_Notifications_AreLookedAtAndNobodyIsTold()
    {
        using Fixtures.TemporaryDirectory directory = new();
        string good = Path.Combine(directory.Path, "good");
        string bad = Path.Combine(directory.Path, "bad");
        await File.WriteAllTextAsync(good, "https://hooks.invalid/hunter2\n");
        await File.WriteAllTextAsync(bad, "http://hooks.invalid/hunter3\n");
        File.SetUnixFileMode(good, UnixFileMode.UserRead);
        File.SetUnixFileMode(bad, UnixFileMode.UserRead);
        Site site = SiteOf("connection: Host=localhost");
        site = site with
        {
            Notifications =
            [
                new NotificationSettings { Slack = SecretReference.Parse($"file:{good}") },
                new NotificationSettings { Webhook = SecretReference.Parse($"file:{bad}") },
            ],
            Alerts = new AlertSettings { HeartbeatUrl = SecretReference.Parse("env:SMCDR_TEST_NO_SUCH") },
        };

        List<CheckResult> results = [];
        await foreach (CheckResult each in new SiteChecks(site, new SecretResolver(), _ => _store).RunAsync(CancellationToken.None))
        {
            if (each.Name == "Notification")
            {
                results.Add(each);
            }
        }

        Assert.Equal(
            [("slack", CheckOutcomes.Passed), ("webhook", CheckOutcomes.Failed), ("heartbeat", CheckOutcomes.Failed)],
            results.Select(static result => (result.Target, result.Outcome)));
        Assert.All(results, static result => Assert.DoesNotContain("hunter", result.Message, StringComparison.Ordinal));
        Assert.Contains("SMCDR_TEST_NO_SUCH", results[2].Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_EncryptionKey_ProvesThatItOpensTheRepository()
    {
        Fixtures.MemoryObjectStore store = new();
        string[] secrets = ["correct horse battery staple", "another long passphrase"];
        using TemporarySecret right = new(secrets[0]);
        using TemporarySecret wrong = new(secrets[1]);
        Site site = SiteOf("connection: Host=localhost");

        async Task<CheckResult> CheckAsync(string? key)
        {
            Site with = site with
            {
                Repository = site.Repository with { EncryptionKey = key is null ? null : KeyReference.Parse(key) },
            };
            await foreach (CheckResult each in new SiteChecks(with, new SecretResolver(), _ => store).RunAsync(CancellationToken.None))
            {
                if (each.Name == "RepositoryEncryption")
                {
                    return each;
                }
            }

            throw new InvalidOperationException("It was not checked.");
        }

        Assert.Equal(CheckOutcomes.Warning, (await CheckAsync(null)).Outcome);
        CheckResult before = await CheckAsync($"{right.Reference}");
        Assert.Equal(CheckOutcomes.Passed, before.Outcome);
        Assert.Contains("first backup", before.Message, StringComparison.Ordinal);

        using RepositoryKeySource key = RepositoryKeySource.FromSecret(secrets[0]);
        await Repository.OpenOrCreateAsync(store, key, CancellationToken.None);
        Assert.Contains("one recipient, 'passphrase-", (await CheckAsync($"{right.Reference}")).Message, StringComparison.Ordinal);
        using RepositoryKeySource other = RepositoryKeySource.FromSecret("a third long passphrase");
        await RepositoryRecipients.AddAsync(store, key, other, "safe", CancellationToken.None);
        CheckResult after = await CheckAsync($"{right.Reference}");
        Assert.Equal(CheckOutcomes.Passed, after.Outcome);
        Assert.Contains("2 recipients", after.Message, StringComparison.Ordinal);
        Assert.Contains("'safe' (Passphrase)", after.Message, StringComparison.Ordinal);
        Assert.Null(after.Recommendation);

        foreach ((string? reference, string words) in new (string?, string)[]
            { ($"{wrong.Reference}", "does not open"), ("file:/nowhere/key", "not available"), (null, "no key is given") })
        {
            CheckResult failed = await CheckAsync(reference);
            Assert.Equal(CheckOutcomes.Failed, failed.Outcome);
            Assert.Contains(words, failed.Message, StringComparison.Ordinal);
            Assert.NotNull(failed.Recommendation);
            Assert.All(secrets, secret => Assert.DoesNotContain(secret, failed.Message, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task RunAsync_Repository_ReportsWhatIsWrongWithIt()
    {
        async Task<CheckResult> CheckAsync(MemoryObjectStore store, string name) =>
            (await CollectAsync(SiteOf("connection: Host=localhost"), _ => store, 3))[name];

        Assert.Equal(CheckOutcomes.Failed, (await CheckAsync(new() { IsReadOnly = true }, "RepositoryAccess")).Outcome);
        Assert.Equal(CheckOutcomes.Skipped, (await CheckAsync(new() { IsReadOnly = true }, "RepositoryCapabilities")).Outcome);
        Assert.Contains("did not come back", (await CheckAsync(new() { Damages = true }, "RepositoryAccess")).Message, StringComparison.Ordinal);
        Assert.Contains("listing", (await CheckAsync(new() { HidesInListings = true }, "RepositoryAccess")).Message, StringComparison.Ordinal);
        Assert.Equal(
            CheckOutcomes.Warning,
            (await CheckAsync(new() { Capabilities = new(false, false, false) }, "RepositoryCapabilities")).Outcome);
    }

    [Theory]
    [InlineData(false, CheckOutcomes.Failed)]
    [InlineData(true, CheckOutcomes.Passed)]
    public async Task RunAsync_LocksAskedForOfStorage_PassWhereItCanLock(bool canLock, string outcome)
    {
        Site site = SiteOf("connection: Host=localhost");
        site = site with { Repository = site.Repository with { Retention = new RetentionSettings { Lock = TimeSpan.FromDays(30) } } };
        MemoryObjectStore store = new() { Capabilities = new(true, true, canLock) };
        Assert.Equal(outcome, (await CollectAsync(site, _ => store, 3))["RepositoryCapabilities"].Outcome);
    }

    [Fact]
    public async Task RunAsync_RepositoryDoesNotOpen_FailsAndGoesOn()
    {
        Dictionary<string, CheckResult> results = await CollectAsync(
            SiteOf(Database(_server)), static l => throw new SmcException(SmcErrorCode.LocationInvalid, $"'{l}' is no location."));

        Assert.Equal(CheckOutcomes.Failed, results["RepositoryAccess"].Outcome);
        Assert.Equal(CheckOutcomes.Passed, results["DatabaseConnection"].Outcome);
    }

    [Fact]
    public async Task RunAsync_NobodyListens_FailsTheConnectionAndSkipsTheRest()
    {
        Dictionary<string, CheckResult> results = await CollectAsync(
            SiteOf($"connection: Host=127.0.0.1;Username=postgres;Port={PostgresServer.FreePort()}"), _ => _store);

        Assert.Equal(CheckOutcomes.Failed, results["DatabaseConnection"].Outcome);
        Assert.Equal(CheckOutcomes.Skipped, results["DatabaseAuthentication"].Outcome);
        Assert.Equal(CheckOutcomes.Skipped, results["WalLevel"].Outcome);
        Assert.Contains("There is no connection", results["WalLevel"].Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_WrongPassword_FailsTheAuthenticationAlone()
    {
        using TemporarySecret wrong = new("wrong");

        Dictionary<string, CheckResult> results = await CollectAsync(
            SiteOf($"connection: \"{_server.ConnectionString}\", password: {wrong.Reference}"), _ => _store);

        Assert.Equal(CheckOutcomes.Passed, results["DatabaseConnection"].Outcome);
        Assert.Equal(CheckOutcomes.Failed, results["DatabaseAuthentication"].Outcome);
        Assert.Contains("pg_hba.conf", results["DatabaseAuthentication"].Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_SecretMissing_NamesTheReference()
    {
        Dictionary<string, CheckResult> results = await CollectAsync(
            SiteOf($"connection: \"{_server.ConnectionString}\", password: file:/nowhere/password"), _ => _store);

        Assert.Equal(CheckOutcomes.Skipped, results["DatabaseConnection"].Outcome);
        Assert.Contains("file:/nowhere/password", results["DatabaseAuthentication"].Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_OrdinaryUser_NamesEachPrivilegeAndTheGrantsThatHelp()
    {
        using TemporarySecret secret = new("of ordinary");
        await _server.ExecuteAsync($"CREATE ROLE \"or\"\"dinary\" LOGIN PASSWORD '{secret.Value}'");
        string database = $"connection: 'Host=127.0.0.1;Port={_server.Port};Username=or\"dinary;Database=postgres;SSL Mode=Disable', password: {secret.Reference}";

        Dictionary<string, CheckResult> before = await CollectAsync(SiteOf(database), _ => _store);
        CheckResult privileges = before["BackupPrivileges"];
        Assert.Equal(CheckOutcomes.Failed, privileges.Outcome);
        Assert.EndsWith("lacks pg_backup_start, pg_backup_stop, pg_ls_dir, pg_stat_file, pg_read_binary_file, pg_read_all_settings, REPLICATION.", privileges.Message);
        Assert.Equal(CheckOutcomes.Failed, before["ReplicationConnection"].Outcome);

        // What it recommends is what helps.
        string grants = privileges.Recommendation![privileges.Recommendation!.IndexOf("GRANT", StringComparison.Ordinal)..];
        await _server.ExecuteAsync(grants);
        Dictionary<string, CheckResult> after = await CollectAsync(SiteOf(database), _ => _store);
        Assert.Equal(CheckOutcomes.Passed, after["BackupPrivileges"].Outcome);
        Assert.Equal(CheckOutcomes.Passed, after["ReplicationConnection"].Outcome);
    }

    [Fact]
    public async Task RunAsync_SettingsOfASpeedFreak_AreReported_Trap41()
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            DataChecksums = false,
            Fsync = false,
            Settings = new Dictionary<string, string>
            {
                ["wal_level"] = "minimal",
                ["max_wal_senders"] = "0",
                ["full_page_writes"] = "off",
                ["max_slot_wal_keep_size"] = "1GB",
            },
        });

        Dictionary<string, CheckResult> results = await RunAsync(server);

        Assert.Equal(CheckOutcomes.Failed, results["WalLevel"].Outcome);
        Assert.Equal(CheckOutcomes.Failed, results["WalSenders"].Outcome);
        Assert.Equal(CheckOutcomes.Failed, results["ReplicationConnection"].Outcome);
        Assert.Equal(CheckOutcomes.Failed, results["Fsync"].Outcome);
        Assert.Equal(CheckOutcomes.Warning, results["FullPageWrites"].Outcome);
        Assert.Equal(CheckOutcomes.Warning, results["DataChecksums"].Outcome);
        Assert.Equal(CheckOutcomes.Passed, results["SlotRetention"].Outcome);
    }

    [Fact]
    public async Task RunAsync_ServerThatArchivesInVain_IsToldOfTheDiskThatFills_Trap30()
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            Fsync = false,
            Settings = new Dictionary<string, string> { ["archive_mode"] = "on", ["archive_command"] = "", ["archive_library"] = "" },
        });
        CheckResult neither = (await RunAsync(server))["WalArchiving"];
        Assert.Equal(CheckOutcomes.Warning, neither.Outcome);
        Assert.Contains("neither archive_command nor archive_library", neither.Message, StringComparison.Ordinal);

        await server.ExecuteAsync("ALTER SYSTEM SET archive_command = 'false'");
        await server.ExecuteAsync("SELECT pg_reload_conf()");
        string segment = await server.ScalarAsync<string>("SELECT pg_walfile_name(pg_current_wal_insert_lsn())");
        await server.ExecuteAsync("CREATE TABLE archived_never (id int); SELECT pg_switch_wal()");
        while (await server.ScalarAsync<long>("SELECT failed_count FROM pg_stat_archiver") == 0)
        {
            await Task.Delay(20);
        }

        CheckResult failing = (await RunAsync(server))["WalArchiving"];
        Assert.Equal(CheckOutcomes.Warning, failing.Outcome);
        Assert.Contains($"'{segment}'", failing.Message, StringComparison.Ordinal);

        await server.ExecuteAsync("ALTER SYSTEM SET archive_command = 'true'");
        await server.ExecuteAsync("SELECT pg_reload_conf()");
        await server.ExecuteAsync("CREATE TABLE archived_at_last (id int); SELECT pg_switch_wal()");
        while (await server.ScalarAsync<long>("SELECT archived_count FROM pg_stat_archiver") == 0)
        {
            await Task.Delay(20);
        }

        Assert.Equal(CheckOutcomes.Passed, (await RunAsync(server))["WalArchiving"].Outcome);

        await server.ExecuteAsync("ALTER SYSTEM SET archive_library = 'basic_archive'");
        await server.ExecuteAsync("SELECT pg_reload_conf()");
        while (await server.ScalarAsync<string>("SHOW archive_library") == "")
        {
            await Task.Delay(20);
        }

        CheckResult both = (await RunAsync(server))["WalArchiving"];
        Assert.Equal(CheckOutcomes.Warning, both.Outcome);
        Assert.Contains("are both set", both.Message, StringComparison.Ordinal);
        Assert.Contains("restart", both.Recommendation, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_SlotThatLostItsWal_Fails_Trap39()
    {
        await using PostgresServer server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            WalSegmentMegabytes = 1,
            Settings = new Dictionary<string, string>
            {
                ["max_slot_wal_keep_size"] = "1MB",
                ["max_wal_size"] = "2MB",
                ["min_wal_size"] = "2MB",
            },
        });
        await server.ExecuteAsync("SELECT pg_create_physical_replication_slot('smcdr_orders', true)");
        Assert.Contains("Nobody streams", (await RunAsync(server))["ReplicationSlot"].Message, StringComparison.Ordinal);

        await server.ExecuteAsync("CREATE TABLE t (x text)");
        for (int i = 0; i < 6; i++)
        {
            await server.ExecuteAsync("INSERT INTO t VALUES ('x')");
            await server.ExecuteAsync("SELECT pg_switch_wal()");
        }

        await server.ExecuteAsync("CHECKPOINT");

        CheckResult slot = (await RunAsync(server))["ReplicationSlot"];
        Assert.Equal(CheckOutcomes.Failed, slot.Outcome);
        Assert.Contains("is lost", slot.Message, StringComparison.Ordinal);
        Assert.Contains("base backup at once", slot.Recommendation, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-3, CheckOutcomes.Warning, "ahead of")]
    [InlineData(3, CheckOutcomes.Warning, "behind")]
    [InlineData(1, CheckOutcomes.Passed, "behind")]
    public async Task RunAsync_ClocksApart_IsMeasured_Trap41(int seconds, string outcome, string direction)
    {
        SiteChecks checks = new(SiteOf(Database(_server)), new SecretResolver(), _ => _store, new ShiftedClock(TimeSpan.FromSeconds(seconds)));

        CheckResult clock = (await CollectAsync(checks))["ClockSkew"];

        Assert.Equal(outcome, clock.Outcome);
        Assert.Contains(direction, clock.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_WrongDirectories_AreReported()
    {
        string directory = Directory.CreateTempSubdirectory("smcdr-test-").FullName;
        try
        {
            await File.WriteAllTextAsync(Path.Combine(directory, "PG_VERSION"), "9\n");

            Dictionary<string, CheckResult> results = await RunAsync(_server, $"dataDirectory: {directory}, binDirectory: {directory}");
            Assert.Contains("two servers", results["DataDirectory"].Recommendation, StringComparison.Ordinal);
            Assert.Contains("There is no postgres", results["ServerPrograms"].Message, StringComparison.Ordinal);

            foreach (string program in new[] { "postgres", "pg_ctl" })
            {
                string path = Path.Combine(directory, program);
                await File.WriteAllTextAsync(path, "#!/bin/sh\necho 'postgres (PostgreSQL) 12.22'\n", Encoding.ASCII);
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
            }

            results = await RunAsync(_server, $"dataDirectory: {directory}/none, binDirectory: {directory}");
            Assert.Contains("are of PostgreSQL 12", results["ServerPrograms"].Message, StringComparison.Ordinal);
            Assert.Equal(CheckOutcomes.Warning, results["DataDirectory"].Outcome);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public async Task RunAsync_NoSpillDirectory_ChecksNone() =>
        Assert.DoesNotContain("SpillDirectory", (await RunAsync(_server)).Keys);

    [Fact]
    public async Task RunAsync_SpillDirectory_SaysWhetherAStreamCouldUseIt()
    {
        using TemporaryDirectory directory = new();
        string spill = Path.Combine(directory.Path, "spill");

        // Not there yet, and still not afterwards.
        Assert.Equal(CheckOutcomes.Passed, (await SpillAsync(spill)).Outcome);
        Assert.False(Directory.Exists(spill));

        Directory.CreateDirectory(spill);
        CheckResult result = await SpillAsync(spill);
        Assert.Equal(CheckOutcomes.Passed, result.Outcome);
        Assert.Contains("64.0 MiB may be", result.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(spill));

        // More than there is room for.
        result = await SpillAsync(spill, "900TiB");
        Assert.Equal(CheckOutcomes.Warning, result.Outcome);
        Assert.Contains("there is room for", result.Message, StringComparison.Ordinal);

        // Somebody else's file.
        await File.WriteAllTextAsync(Path.Combine(spill, "notes.txt"), "mine");
        result = await SpillAsync(spill);
        Assert.Equal(CheckOutcomes.Failed, result.Outcome);
        Assert.Contains("notes.txt", result.Message, StringComparison.Ordinal);
        File.Delete(Path.Combine(spill, "notes.txt"));

        // WAL that waits.
        await File.WriteAllBytesAsync(Path.Combine(spill, "000000000007-000000010000000000000003"), new byte[5000]);
        result = await SpillAsync(spill);
        Assert.Equal(CheckOutcomes.Warning, result.Outcome);
        Assert.Contains("on this host only since", result.Message, StringComparison.Ordinal);
        Assert.Contains("start one on this host", result.Recommendation, StringComparison.Ordinal);

        // A file, and a place below a file.
        string file = Path.Combine(directory.Path, "file");
        await File.WriteAllTextAsync(file, "");
        Assert.Equal(CheckOutcomes.Failed, (await SpillAsync(file)).Outcome);
    }

    [Fact]
    public async Task RunAsync_SpillOnTheFileSystemOfRepositoryOrDatabase_IsAWarning()
    {
        using TemporaryDirectory directory = new();
        Site site = SpillSite(Path.Combine(directory.Path, "spill"), "64MiB", Path.Combine(directory.Path, "repository"));
        CheckResult result = (await CollectAsync(site, _ => _store))["SpillDirectory"];
        Assert.Equal(CheckOutcomes.Warning, result.Outcome);
        Assert.Contains("file system of the repository", result.Message, StringComparison.Ordinal);

        site = SpillSite(Path.Combine(directory.Path, "spill"), "64MiB", "s3://bucket", $", dataDirectory: {directory.Path}/data");
        result = (await CollectAsync(site, _ => _store))["SpillDirectory"];
        Assert.Equal(CheckOutcomes.Warning, result.Outcome);
        Assert.Contains("file system of the database", result.Message, StringComparison.Ordinal);
    }

    [RootFact]
    public async Task RunAsync_SpillOnAReadOnlyFileSystem_Fails()
    {
        using SmallFileSystem disk = new();
        string spill = Path.Combine(disk.Path, "spill");
        Directory.CreateDirectory(spill);
        disk.MakeReadOnly();
        Assert.Equal(CheckOutcomes.Failed, (await SpillAsync(spill)).Outcome);
        Assert.Equal(CheckOutcomes.Failed, (await SpillAsync(Path.Combine(disk.Path, "other"))).Outcome);
    }

    [OrdinaryUserFact]
    public async Task RunAsync_SpillOfAnotherAccount_Fails()
    {
        CheckResult result = await SpillAsync("/usr");
        Assert.Equal(CheckOutcomes.Failed, result.Outcome);
        Assert.Contains("'root'", result.Message, StringComparison.Ordinal);
        Assert.Equal(CheckOutcomes.Failed, (await SpillAsync("/usr/spill")).Outcome);
    }

    private async Task<CheckResult> SpillAsync(string spill, string limit = "64MiB") =>
        (await CollectAsync(SpillSite(spill, limit, "s3://bucket"), _ => _store))["SpillDirectory"];

    private static Site SpillSite(string spill, string limit, string repository, string? more = null) => SiteFile.Parse(
        $"name: orders\nrepository: {{ location: \"{repository}\" }}\nwalStream: {{ spillDirectory: {spill}, spillLimit: {limit} }}\nregions:\n  here:\n    " +
            $"role: primary\n    database: {{ connection: \"Host=127.0.0.1;Port=1;Username=nobody\"{more} }}\n",
        "/srv/site/smcdr.yaml");

    [Fact]
    public async Task RunAsync_StoppedInTheMiddle_StopsTheWork()
    {
        using CancellationTokenSource stop = new();
        SiteChecks checks = new(SiteOf(Database(_server)), new SecretResolver(), _ => _store);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (CheckResult result in checks.RunAsync(stop.Token))
            {
                if (result.Name == "ServerVersion")
                {
                    await stop.CancelAsync();
                }
            }
        });
    }

    private Task<Dictionary<string, CheckResult>> RunAsync(PostgresServer server, string? more = null) =>
        CollectAsync(SiteOf(more is null ? Database(server) : $"{Database(server)}, {more}"), _ => _store);

    private static async Task<Dictionary<string, CheckResult>> CollectAsync(
        Site site, Func<string, IObjectStore> open, int most = int.MaxValue) =>
        await CollectAsync(new SiteChecks(site, new SecretResolver(), open), most);

    private static async Task<Dictionary<string, CheckResult>> CollectAsync(SiteChecks checks, int most = int.MaxValue)
    {
        Dictionary<string, CheckResult> results = [];
        await foreach (CheckResult result in checks.RunAsync(CancellationToken.None))
        {
            results.Add(result.Name, result);
            if (results.Count == most)
            {
                break;
            }
        }

        return results;
    }

    private static string Database(PostgresServer server)
    {
        string file = Path.Combine(server.RootDirectory, "password.secret");
        File.WriteAllText(file, server.Password);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return $"connection: \"{server.ConnectionString}\", password: file:{file}";
    }

    private static Site SiteOf(string database) => SiteFile.Parse(
        $"name: orders\nrepository: {{ location: /b }}\nregions:\n  here:\n    role: primary\n    database: {{ {database} }}\n",
        "/srv/site/smcdr.yaml");

    private sealed class TemporarySecret : IDisposable
    {
        private readonly string _path = Path.GetTempFileName();

        public TemporarySecret(string value)
        {
            Value = value;
            File.WriteAllText(_path, value);
        }

        public string Value { get; }

        public string Reference => $"file:{_path}";

        public void Dispose() => File.Delete(_path);
    }

    private sealed class ShiftedClock(TimeSpan shift) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + shift;
    }
}
