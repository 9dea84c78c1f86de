using SmcDr.Core.Certification;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using TestPrograms = SmcDr.Core.Tests.Fixtures.PostgresPrograms;

namespace SmcDr.Core.Tests.Certification;

/// <summary>Tests of recovery: what is right is certified, and what is wrong is found and named.</summary>
public sealed class RecoveryTestTests(RecoveryTestTests.Shop shop) : IClassFixture<RecoveryTestTests.Shop>
{
    private static readonly SqlCheck s_trades = new() { Query = "select count(*) from trades", Expect = "> 0" };

    [Fact]
    public async Task RunAsync_AllIsWell_IsPassedCertifiedAndLeavesNothing()
    {
        await using Place place = await shop.NewPlaceAsync();
        BackupInfo backup = await place.BackupAsync();

        RecoveryTestResult result = await place.TestAsync();

        Assert.True(result.Outcome == "Passed", Describe(result));
        Assert.Equal(["Window", "Recovery", "Databases", "Integrity", "Rows", "Sql", "Objective"], result.Checks.Select(static check => check.Name));
        Assert.Equal((backup.Id, "Latest", null), (result.BackupId, result.TargetKind, result.Target));
        Assert.True(result.RecoverySeconds > 0 && result.CheckSeconds > 0 && result.DurationSeconds >= result.RecoverySeconds);
        Assert.Equal(3600, result.ObjectiveSeconds);
        Assert.Contains(new TableRowCount("postgres", "public", "trades", Shop.Rows), result.Tables);
        Assert.Empty(Directory.GetFileSystemEntries(place.Work));
        RecoveryTestResult kept = Assert.Single(await place.ListAsync());
        Assert.Equal(result.TestId, kept.TestId);
        Assert.Equal(result.Checks, kept.Checks);
        Assert.Equal(result.Tables, kept.Tables);
        // What was measured is what the objectives are measured by.
        Assert.Single(Directory.GetFiles(Path.Combine(place.RepositoryPath, "recoveries", "shop")));
    }

    [Fact]
    public async Task RunAsync_TableWasEmptiedBeforeTheBackup_IsFoundByTheQueryAndByTheLastTest()
    {
        await using Place place = await shop.NewPlaceAsync();
        await place.BackupAsync();
        RecoveryTestResult first = await place.TestAsync();
        await using (await shop.EmptyTradesAsync())
        {
            await place.BackupAsync();
        }

        RecoveryTestResult second = await place.TestAsync();

        Assert.Equal("Failed", second.Outcome);
        Assert.Single(Directory.GetFiles(Path.Combine(place.RepositoryPath, "recoveries", "shop")));
        CheckResult query = second.Checks.Single(static check => check.Name == "Sql");
        Assert.Equal(("Failed", "select count(*) from trades gives 0, which is not > 0."), (query.Outcome, query.Message));
        CheckResult rows = second.Checks.Single(static check => check.Name == "Rows");
        Assert.Equal("Failed", rows.Outcome);
        Assert.Contains($"public.trades is empty, and had {Shop.Rows:N0} rows", rows.Message, StringComparison.Ordinal);
        Assert.Contains(first.TestId, rows.Message, StringComparison.Ordinal);
        // A test that failed sets no measure: the next one compares with the first again.
        RecoveryTestResult third = await place.TestAsync();
        Assert.Contains(first.TestId, third.Checks.Single(static check => check.Name == "Rows").Message, StringComparison.Ordinal);
        Assert.Equal(
            new[] { first.TestId, second.TestId, third.TestId }.Order(StringComparer.Ordinal),
            (await place.ListAsync()).Select(static test => test.TestId).Reverse());
    }

    [Fact]
    public async Task RunAsync_PackIsDamaged_IsNamed()
    {
        await using Place place = await shop.NewPlaceAsync();
        BackupInfo backup = await place.BackupAsync();
        string pack = Directory.GetFiles(Path.Combine(place.RepositoryPath, "database", backup.Id), "pack-*").MaxBy(static path => new FileInfo(path).Length)!;
        using (FileStream stream = new(pack, FileMode.Open))
        {
            stream.Position = stream.Length / 2;
            int value = stream.ReadByte();
            stream.Position--;
            stream.WriteByte((byte)(value ^ 0x40));
        }

        RecoveryTestResult result = await place.TestAsync();

        AssertFailedAt("Recovery", result);
        string message = result.Checks[^1].Message;
        Assert.Contains("SmcChecksumMismatch", message, StringComparison.Ordinal);
        Assert.Contains(Path.GetFileName(pack), message, StringComparison.Ordinal);
        Assert.Equal(backup.Id, result.BackupId);
        Assert.Equal(result.TestId, Assert.Single(await place.ListAsync()).TestId);
        Assert.Empty(Directory.GetFileSystemEntries(place.Work));
    }

    [Fact]
    public async Task RunAsync_SegmentOfTheLogIsMissing_IsNamed()
    {
        await using Place place = await shop.NewPlaceAsync();
        await place.BackupAsync();
        string segment = Directory.GetFiles(Path.Combine(place.RepositoryPath, "wal"), "0000*", SearchOption.AllDirectories)
            .First(static path => Path.GetFileName(path).Length >= 24);
        File.Delete(segment);

        RecoveryTestResult result = await place.TestAsync();

        AssertFailedAt("Window", result);
        Assert.Contains(Path.GetFileName(segment)[..24], Describe(result), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_NewestBackupIsDamaged_IsNews_ThoughAnOlderOneCanBeRecovered()
    {
        await using Place place = await shop.NewPlaceAsync();
        await place.BackupAsync();
        BackupInfo newest = await place.BackupAsync();
        string marker = Path.Combine(place.RepositoryPath, "database", newest.Id, "complete");
        byte[] content = await File.ReadAllBytesAsync(marker);
        content[content.Length / 2] ^= 1;
        await File.WriteAllBytesAsync(marker, content);

        RecoveryTestResult result = await place.TestAsync();

        Assert.Equal("Failed", result.Checks.Single(static check => check.Name == "Window").Outcome);
        Assert.Contains($"The newest base backup '{newest.Id}' cannot be recovered", Describe(result), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunAsync_ServerThatDoesNotStart_IsNamed()
    {
        await using Place place = await shop.NewPlaceAsync();
        BackupInfo backup;
        string added = Path.Combine(shop.Server.DataDirectory, "postgresql.auto.conf");
        string before = await File.ReadAllTextAsync(added);
        await File.AppendAllTextAsync(added, "work_mem = 'much'\n");
        try
        {
            backup = await place.BackupAsync();
        }
        finally
        {
            await File.WriteAllTextAsync(added, before);
        }

        RecoveryTestResult result = await place.TestAsync();

        AssertFailedAt("Recovery", result);
        Assert.Contains("work_mem", result.Checks[^1].Message, StringComparison.Ordinal);
        Assert.Equal(backup.Id, result.BackupId);
        Assert.Empty(Directory.GetFileSystemEntries(place.Work));
    }

    [Fact]
    public async Task RunAsync_NoBackupAtAll_Fails_AndWhatKeepsFromTestingIsAnErrorAndNoCertificate()
    {
        await using Place place = await shop.NewPlaceAsync();

        AssertFailedAt("Recovery", await place.TestAsync());

        Assert.Single(await place.ListAsync());
        await place.BackupAsync();
        foreach (Func<RecoveryTestOptions, RecoveryTestOptions> change in (Func<RecoveryTestOptions, RecoveryTestOptions>[])
        [
            static options => options with { BinDirectory = "/nowhere" },
            static options => options with { BackupId = "20200101T000000Z-full" },
            static options => options with { Target = RecoveryTarget.AtTime(DateTimeOffset.UtcNow.AddDays(1)) },
        ])
        {
            await Assert.ThrowsAsync<SmcException>(async () => Assert.Fail(Describe(await place.TestAsync(change))));
        }

        Assert.Single(await place.ListAsync());
        Assert.Empty(Directory.GetFileSystemEntries(place.Work));
    }

    [Fact]
    public async Task RunAsync_BackupById_IsRecoveredToItsEnd_AndQueriesAloneReadNoTable()
    {
        await using Place place = await shop.NewPlaceAsync();
        BackupInfo first = await place.BackupAsync();
        await place.BackupAsync();

        RecoveryTestResult oldest = await place.TestAsync(options => options with { BackupId = first.Id, IsWhole = false });

        Assert.True(oldest.Outcome == "Passed", Describe(oldest));
        Assert.Equal((first.Id, "Immediate", null), (oldest.BackupId, oldest.TargetKind, oldest.Target));
        Assert.DoesNotContain(oldest.Checks, static check => check.Name is "Integrity" or "Rows");
        Assert.Empty(oldest.Tables);
    }

    [Fact]
    public async Task RunAsync_Cancelled_LeavesNothingAndCertifiesNothing()
    {
        await using Place place = await shop.NewPlaceAsync();
        await place.BackupAsync();
        using CancellationTokenSource stop = new();
        RecordingObserver observer = new() { At = (1, stop.Cancel) };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => RecoveryTest.RunAsync(place.Options, observer, stop.Token));

        Assert.Empty(await place.ListAsync());
        Assert.Empty(Directory.GetFileSystemEntries(place.Work));
    }

    [Fact]
    public async Task ListAsync_CertificateThatWasChangedOrCopied_IsLeftOutAndWarnedOf()
    {
        await using Place place = await shop.NewPlaceAsync();
        string folder = Path.Combine(place.RepositoryPath, "certificates", "shop");
        RecoveryTestResult result = await place.TestAsync();
        string path = Path.Combine(folder, result.TestId);
        string copy = Path.Combine(folder, "20300101T000000Z-01234567");
        File.Copy(path, copy);
        RecordingObserver observer = new();

        Assert.Single(await RecoveryCertificates.ListAsync(place.Options.Repository, "shop", 10, observer, default));

        Assert.Contains(observer.Warnings, static warning => warning.Contains("20300101T000000Z-01234567", StringComparison.Ordinal));
        string text = await File.ReadAllTextAsync(path);
        Assert.Contains("Failed", text, StringComparison.Ordinal);
        await File.WriteAllTextAsync(path, text.Replace("Failed", "Passed", StringComparison.Ordinal));
        Assert.Empty(await RecoveryCertificates.ListAsync(place.Options.Repository, "shop", 10, observer, default));
    }

    private static void AssertFailedAt(string check, RecoveryTestResult result)
    {
        Assert.Equal("Failed", result.Outcome);
        Assert.Equal("Failed", result.Checks.Single(one => one.Name == check).Outcome);
        Assert.Null(result.RecoveredLsn);
    }

    private static string Describe(RecoveryTestResult result) =>
        string.Join('\n', result.Checks.Select(static check => $"{check.Outcome} {check.Name}: {check.Message}"));

    /// <summary>A server with a table that must not be empty.</summary>
    public sealed class Shop : IAsyncLifetime
    {
        public const int Rows = 2000;

        public PostgresServer Server { get; private set; } = null!;

        public async Task InitializeAsync()
        {
            Server = await PostgresServer.StartAsync(new PostgresServerOptions { Fsync = false, WalSegmentMegabytes = 1 });
            await FillAsync();
        }

        public async Task DisposeAsync() => await Server.DisposeAsync();

        internal async Task<Place> NewPlaceAsync()
        {
            string directory = TestPrograms.CreateDirectory();
            string path = Path.Combine(directory, "repository");
            string work = Path.Combine(directory, "work");
            Directory.CreateDirectory(path);
            Directory.CreateDirectory(work);
            TestPrograms.GiveToServer(work);
            return new Place(Server, directory, path, work, await Repository.OpenOrCreateAsync(new DirectoryObjectStore(path), default));
        }

        /// <summary>Empties the table for as long as the result is not disposed of.</summary>
        public async Task<IAsyncDisposable> EmptyTradesAsync()
        {
            await Server.ExecuteAsync("TRUNCATE trades");
            return new Filling(this);
        }

        private Task FillAsync() => Server.ExecuteAsync(
            $"CREATE TABLE IF NOT EXISTS trades (id int PRIMARY KEY, v text); INSERT INTO trades SELECT i, md5(i::text) FROM generate_series(1, {Rows}) AS i");

        private sealed class Filling(Shop shop) : IAsyncDisposable
        {
            public async ValueTask DisposeAsync() => await shop.FillAsync();
        }
    }

    /// <summary>A repository of one test, and where clusters are recovered to.</summary>
    internal sealed class Place(PostgresServer server, string directory, string path, string work, Repository repository) : IAsyncDisposable
    {
        public string RepositoryPath => path;

        public string Work => work;

        public RecoveryTestOptions Options => new()
        {
            Repository = repository,
            Site = "shop",
            WorkDirectory = work,
            BinDirectory = TestPrograms.BinDirectory,
            OsUser = TestPrograms.OsUser,
            Checks = [s_trades],
            Objective = TimeSpan.FromHours(1),
        };

        public Task<BackupInfo> BackupAsync() =>
            BaseBackup.RunAsync(server.CreateConnector(), repository, new BaseBackupOptions { Full = true }, NullObserver.Instance, default);

        public Task<RecoveryTestResult> TestAsync(Func<RecoveryTestOptions, RecoveryTestOptions>? change = null) =>
            RecoveryTest.RunAsync(change is null ? Options : change(Options), NullObserver.Instance, default);

        public Task<IReadOnlyList<RecoveryTestResult>> ListAsync() => RecoveryCertificates.ListAsync(repository, "shop", 10, NullObserver.Instance, default);

        public ValueTask DisposeAsync()
        {
            Directory.Delete(directory, recursive: true);
            return ValueTask.CompletedTask;
        }
    }
}
