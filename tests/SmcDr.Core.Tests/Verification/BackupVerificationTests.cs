using System.Collections.Concurrent;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Verification;
using static SmcDr.Core.Tests.Retention.RetentionWorld;

namespace SmcDr.Core.Tests.Verification;

public sealed class BackupVerificationTests
{
    private static readonly BackupVerificationOptions s_deep = new() { Deep = true };

    private readonly MemoryObjectStore _store = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RunAsync_SoundRepository_PassesEveryBackup(bool deep)
    {
        await WriteWorldAsync();
        List<BackupTestResult> results = await RunAsync(_store, new BackupVerificationOptions { Deep = deep });
        Assert.Equal(3, results.Count);
        Assert.All(results, static result => Assert.Equal(("Passed", 0), (result.Outcome, result.Problems.Count)));
        Assert.All(results, result => Assert.Equal(deep, result.CheckedBytes > 0));
        BackupTestResult database = results.Single(static result => result.Component == "Database");
        Assert.Equal(
            ["FOUND 000000010000000000000002 to 000000010000000000000003", "UPLOADING 000000010000000000000004"],
            database.Wal.Select(static state => state.ToString()));
    }

    /// <summary>Whatever is changed, cut short, made longer or put in another's place, in any object at all.</summary>
    [Theory]
    [InlineData(true, 5_000)]
    [InlineData(false, 2_500)]
    public async Task RunAsync_Deep_AnySingleByteOfAnyObject_IsFound(bool files, int atLeast)
    {
        // Two small worlds: what is not changed need not be read each time.
        if (files)
        {
            await WriteFilesAsync(await Repository.OpenOrCreateAsync(_store, default));
        }
        else
        {
            await WriteDatabaseAsync(await Repository.OpenOrCreateAsync(_store, default));
        }

        IReadOnlyDictionary<string, byte[]> world = _store.Keys.ToDictionary(static key => key, key => _store[key]);
        ConcurrentBag<string> unseen = [];
        IEnumerable<(string Key, byte[] Wrong, string What)> changes = world.SelectMany(static entry => Wrongs(entry.Value)
            .Select(wrong => (entry.Key, wrong.Bytes, wrong.What)));
        IEnumerable<(string Key, byte[] Wrong, string What)> swaps = world.Keys.SelectMany(key => world.Keys
            .Where(other => other != key && other[(other.LastIndexOf('/') + 1)..^1] == key[(key.LastIndexOf('/') + 1)..^1])
            .Where(other => !world[other].AsSpan().SequenceEqual(world[key]))
            .Select(other => (key, world[other], $"replaced by {other}")));
        int count = 0;
        await Parallel.ForEachAsync(changes.Concat(swaps), async (change, token) =>
        {
            Interlocked.Increment(ref count);
            MemoryObjectStore store = new();
            foreach ((string key, byte[] content) in world)
            {
                store[key] = key == change.Key ? change.Wrong : content;
            }

            try
            {
                if ((await RunAsync(store, s_deep)).All(static result => result.Outcome == "Passed"))
                {
                    unseen.Add($"{change.Key} {change.What}");
                }
            }
            catch (SmcException e) when (change.Key == "repository" && e.Code is SmcErrorCode.ChecksumMismatch or SmcErrorCode.ManifestInvalid
                or SmcErrorCode.RepositoryFormatUnknown)
            {
                // Without its root nothing in it is believed.
            }
        });
        Assert.True(count > atLeast, $"Only {count} changes were tried.");
        Assert.Empty(unseen);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RunAsync_PackOfAnEarlierBackupMissing_FailsWhoeverNeedsIt(bool deep)
    {
        (_, string full, string increment) = await WriteWorldAsync();
        string pack = RepositoryKeys.Pack(Component.FileStore, full, 1);
        await _store.DeleteAsync(pack, default);
        List<BackupTestResult> results = await RunAsync(_store, new BackupVerificationOptions { Deep = deep });
        Assert.Equal([full, increment], results.Where(static result => result.Outcome == "Failed").Select(static result => result.Id).Order());
        Assert.All(results.SelectMany(static result => result.Problems), problem =>
        {
            Assert.Equal(pack, problem.Target);
            Assert.Equal("SmcObjectNotFound", problem.Code);
        });
    }

    [Fact]
    public async Task RunAsync_Deep_ReadsEachPackOnce()
    {
        await WriteWorldAsync();
        ConcurrentDictionary<string, long> read = new();
        _store.BeforeRead = (key, _, length) => read.AddOrUpdate(key, length ?? 0, (_, sum) => sum + (length ?? 0));
        await RunAsync(_store, s_deep);
        string[] packs = [.. _store.Keys.Where(static key => key.Contains("/pack-", StringComparison.Ordinal))];
        Assert.All(packs, pack => Assert.True(read[pack] >= _store[pack].Length, pack));

        // Blocks that only the increment has in a pack are none, so nothing was read again but files that share its blocks.
        Assert.All(packs, pack => Assert.True(read[pack] <= 2 * _store[pack].Length, pack));
    }

    [Fact]
    public async Task RunAsync_VerifiedWithin_SkipsWhatAnInterruptedRunHasRead()
    {
        await WriteWorldAsync();
        await using (IAsyncEnumerator<BackupTestResult> stopped = Open(_store, s_deep).RunAsync(default).GetAsyncEnumerator())
        {
            Assert.True(await stopped.MoveNextAsync());
        }

        Assert.Contains(_store.Keys, static key => key.StartsWith("verifications/", StringComparison.Ordinal));
        await RunAsync(_store, s_deep);
        ConcurrentBag<string> read = [];
        _store.BeforeRead = (key, _, _) => read.Add(key);
        List<BackupTestResult> results = await RunAsync(_store, s_deep with { VerifiedWithin = TimeSpan.FromHours(1) });
        Assert.All(results, static result => Assert.Equal("Passed", result.Outcome));
        Assert.DoesNotContain(read, static key => key.Contains("/pack-", StringComparison.Ordinal));

        // Even then what is missing is missed.
        await _store.DeleteAsync(_store.Keys.First(static key => key.Contains("/pack-", StringComparison.Ordinal)), default);
        results = await RunAsync(_store, s_deep with { VerifiedWithin = TimeSpan.FromHours(1) });
        Assert.Contains(results, static result => result.Outcome == "Failed");
    }

    [Fact]
    public async Task RunAsync_NoteThatCannotBeWritten_StopsNothingAndIsWrittenLater()
    {
        await WriteWorldAsync();
        // Each pack takes a minute, so that a note is due after each.
        ManualClock clock = new();
        _store.BeforeRead = (_, _, _) => clock.Advance(TimeSpan.FromMinutes(1));
        int notes = 0;
        bool isReadOnly = true;
        HookedObjectStore store = new(_store, (operation, key) =>
        {
            if (operation is not ("put" or "create") || !key.StartsWith("verifications/", StringComparison.Ordinal))
            {
                return Task.CompletedTask;
            }

            return isReadOnly || Interlocked.Increment(ref notes) == 1
                ? throw new SmcException(SmcErrorCode.StorageAccessDenied, "For reading only.")
                : Task.CompletedTask;
        });
        RecordingObserver observer = new();
        List<BackupTestResult> results = [];
        await foreach (BackupTestResult result in new BackupVerification(
            await Repository.OpenAsync(store, default), s_deep with { Time = clock }, observer).RunAsync(default))
        {
            results.Add(result);
        }

        Assert.Equal(3, results.Count);
        Assert.All(results, static result => Assert.Equal("Passed", result.Outcome));
        Assert.Contains(observer.Warnings, static warning => warning.StartsWith("What was verified could not be noted", StringComparison.Ordinal));

        // What one note could not hold is in the next.
        isReadOnly = false;
        await RunAsync(store, s_deep with { Time = clock });
        Assert.True(notes > 1);
        ConcurrentBag<string> read = [];
        _store.BeforeRead = (key, _, _) => read.Add(key);
        await RunAsync(_store, s_deep with { VerifiedWithin = TimeSpan.FromHours(1) });
        Assert.DoesNotContain(read, static key => key.Contains("/pack-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task RunAsync_OldNoteThatCannotBeRemoved_StopsNothing()
    {
        await WriteWorldAsync();
        await RunAsync(_store, s_deep);
        _store.BeforeDelete = (key, _) => throw new SmcException(SmcErrorCode.StorageAccessDenied, "Not to be removed.", target: key);
        List<BackupTestResult> results = await RunAsync(
            _store, s_deep with { VerifiedWithin = TimeSpan.FromHours(1), Time = new FarAhead() });
        Assert.All(results, static result => Assert.Equal("Passed", result.Outcome));
    }

    [Fact]
    public async Task RunAsync_UnknownOrIncompleteBackup_FailsByName()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        await using BackupWriter running = await BeginAsync(repository, null);
        List<BackupTestResult> results = [];
        await foreach (BackupTestResult result in Open(_store, s_deep).RunAsync(
            [(Component.FileStore, running.Id), (Component.Database, "20200101T000000Z-full")], default))
        {
            results.Add(result);
        }

        Assert.Equal(["SmcBackupIncomplete", "SmcBackupNotFound"], results.SelectMany(static r => r.Problems).Select(static p => p.Code).Order());
    }

    [Theory]
    [InlineData(SmcErrorCode.StorageUnavailable)]
    [InlineData(SmcErrorCode.ProgramNotFound)]
    public async Task RunAsync_StorageThatCannotBeAskedOrLibraryThatIsMissing_IsAnErrorAndNoVerdict(SmcErrorCode code)
    {
        await WriteWorldAsync();
        HookedObjectStore broken = new(_store, (_, key) => key.Contains("pack-", StringComparison.Ordinal)
            ? throw new SmcException(code, "Away.")
            : Task.CompletedTask);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => RunAsync(broken, s_deep));
        Assert.Equal(code, error.Code);
    }

    [Fact]
    public async Task CheckAgeAsync_ComponentWithoutOrWithOldBackup_FailsByName()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        await WriteAsync(repository, "config", null, 1);
        await Retention.RetentionWorld.WriteDatabaseAsync(repository, 2, DateTimeOffset.UtcNow.AddHours(-30));
        IReadOnlyList<BackupTestResult> results = await Open(_store, new BackupVerificationOptions()).CheckAgeAsync(
            [
                new ExpectedBackup(Component.Database, null),
                new ExpectedBackup(Component.FileStore, "config"),
                new ExpectedBackup(Component.FileStore, "uploads"),
            ],
            TimeSpan.FromHours(26),
            default);
        Assert.Equal(["Failed", "Passed", "Failed"], results.Select(static result => result.Outcome));
        Assert.Equal("SmcBackupOutdated", results[0].Problems[0].Code);
        Assert.Equal("There is no complete backup of FileStore uploads.", results[2].Problems[0].Message);
    }

    [Fact]
    public async Task CheckAgeAsync_BackupOfAClockThatWasAhead_DoesNotPassForANewOne()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        string ahead = await Retention.RetentionWorld.WriteDatabaseAsync(repository, 2, DateTimeOffset.UtcNow.AddDays(300));
        BackupTestResult alone = await CheckAsync();
        Assert.Equal("Failed", alone.Outcome);
        Assert.Equal((ahead, "SmcBackupOutdated"), (alone.Problems[0].Target, alone.Problems[0].Code));
        Assert.Contains("in the future", alone.Problems[0].Message, StringComparison.Ordinal);

        string old = await Retention.RetentionWorld.WriteDatabaseAsync(repository, 3, DateTimeOffset.UtcNow.AddHours(-30));
        BackupTestResult outdated = await CheckAsync();
        Assert.Equal(("Failed", old), (outdated.Outcome, outdated.Id));

        string fresh = await Retention.RetentionWorld.WriteDatabaseAsync(repository, 4);
        Assert.Equal(("Passed", fresh), ((await CheckAsync()) is { } passed ? (passed.Outcome, passed.Id) : default));

        async Task<BackupTestResult> CheckAsync() => Assert.Single(await Open(_store, new BackupVerificationOptions())
            .CheckAgeAsync([new ExpectedBackup(Component.Database, null)], TimeSpan.FromHours(26), default));
    }

    [Fact]
    public async Task CheckAgeAsync_FreshDumpBesideAnOldBaseBackup_DoesNotCount()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        await WriteLogicalAsync(repository);
        await WriteLogicalAsync(repository, kind: BackupKinds.Emergency);
        BackupTestResult none = await CheckAsync();
        Assert.Equal(("Failed", ""), (none.Outcome, none.Id));
        Assert.Equal("There is no complete physical backup of Database.", none.Problems[0].Message);

        string old = await Retention.RetentionWorld.WriteDatabaseAsync(repository, 2, DateTimeOffset.UtcNow.AddHours(-30));
        BackupTestResult outdated = await CheckAsync();
        Assert.Equal(("Failed", old), (outdated.Outcome, outdated.Id));
        Assert.Equal("SmcBackupOutdated", outdated.Problems[0].Code);

        string fresh = await Retention.RetentionWorld.WriteDatabaseAsync(repository, 3);
        Assert.Equal(("Passed", fresh), ((await CheckAsync()) is { } passed ? (passed.Outcome, passed.Id) : default));

        async Task<BackupTestResult> CheckAsync() => Assert.Single(await Open(_store, new BackupVerificationOptions())
            .CheckAgeAsync([new ExpectedBackup(Component.Database, null)], TimeSpan.FromHours(26), default));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task RunAsync_LogicalBackup_NeedsNoWal(bool deep)
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        string id = await WriteLogicalAsync(repository);
        BackupTestResult result = Assert.Single(await RunAsync(_store, new BackupVerificationOptions { Deep = deep }));
        Assert.Equal(("Passed", $"{SystemId}"), (result.Outcome, result.Subject));
        Assert.Empty(result.Problems);
        Assert.Empty(result.Wal);

        string pack = RepositoryKeys.Pack(Component.Database, id, 1);
        byte[] content = _store[pack];
        _store[pack] = deep ? [.. content.Select((b, i) => i == content.Length - 20 ? (byte)(b ^ 1) : b)] : content[..^1];
        result = Assert.Single(await RunAsync(_store, new BackupVerificationOptions { Deep = deep }));
        Assert.Equal("Failed", result.Outcome);
    }

    [Fact]
    public async Task RunAsync_EmergencyBackupWithoutATable_IsPartialAndNamesIt()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        await WriteLogicalAsync(repository, kind: BackupKinds.Emergency, excludedTables: ["\"public\".\"trades\""]);
        BackupTestResult result = Assert.Single(await RunAsync(_store, s_deep));
        Assert.Equal("Partial", result.Outcome);
        Assert.Contains("\"public\".\"trades\" in the database 'orders'", Assert.Single(result.Problems).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task InspectAsync_SegmentMissingInTheMiddle_IsLost()
    {
        Repository repository = await WalAsync(2, 3, 5, 6);
        await PutPieceAsync(repository, 7, 0, 100);
        Assert.Equal(
            [
                "FOUND 000000010000000000000002 to 000000010000000000000003",
                "LOST 000000010000000000000004",
                "FOUND 000000010000000000000005 to 000000010000000000000006",
                "UPLOADING 000000010000000000000007",
            ],
            await InspectAsync(repository, 2, TimeSpan.FromMinutes(5)));
        BackupTestResult result = Assert.Single(await RunAsync(_store, new BackupVerificationOptions()));
        Assert.Equal("Partial", result.Outcome);
        Assert.Equal(("000000010000000000000004", "SmcWalGap"), (result.Problems[0].Target, result.Problems[0].Code));
    }

    [Fact]
    public async Task InspectAsync_PiecesWithAHoleInTheMiddle_AreLost()
    {
        Repository repository = await WalAsync(2, 4);
        await PutPieceAsync(repository, 3, 0, 100);
        await PutPieceAsync(repository, 3, 200, 100);
        Assert.Equal(
            ["FOUND 000000010000000000000002", "LOST 000000010000000000000003", "FOUND 000000010000000000000004"],
            await InspectAsync(repository, 2, TimeSpan.FromMinutes(5)));
    }

    [Theory]
    [InlineData(5, "DELAYED")]
    [InlineData(0, "LOST")]
    public async Task InspectAsync_NewestNeededSegmentMissing_IsDelayedOnlyWhileYoung(int minutes, string state)
    {
        Repository repository = await WalAsync(2);
        Assert.Equal(
            ["FOUND 000000010000000000000002", $"{state} 000000010000000000000003 to 000000010000000000000004"],
            await InspectAsync(repository, 5, TimeSpan.FromMinutes(minutes)));
    }

    [Fact]
    public async Task RunAsync_WalOfTheBackupMissing_Fails()
    {
        await WalAsync(3, 4);
        BackupTestResult result = Assert.Single(await RunAsync(_store, new BackupVerificationOptions()));
        Assert.Equal("Failed", result.Outcome);
        Assert.Equal("SmcWalInvalid", Assert.Single(result.Problems).Code);
        Assert.Equal("LOST 000000010000000000000002", result.Wal[0].ToString());
    }

    private static async Task<List<string>> InspectAsync(Repository repository, int needed, TimeSpan delay)
    {
        Lsn start = WalSegmentName.FromNumber(1, 2, SegmentSize).StartLsn(SegmentSize) + 0x28;
        IReadOnlyList<WalState> states = await WalInspection.InspectAsync(
            new WalArchive(repository, SystemId),
            1,
            start,
            WalSegmentName.FromNumber(1, (ulong)needed, SegmentSize).StartLsn(SegmentSize),
            delay,
            DateTimeOffset.UtcNow,
            default);
        return [.. states.Select(static state => state.ToString())];
    }

    private async Task<Repository> WalAsync(params int[] segments)
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        foreach (int number in segments)
        {
            await PutSegmentAsync(repository, number);
        }

        await Retention.RetentionWorld.WriteDatabaseAsync(repository, 2);
        return repository;
    }

    private async Task<(Repository Repository, string Full, string Increment)> WriteWorldAsync()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        (string full, string increment) = await WriteFilesAsync(repository);
        await WriteDatabaseAsync(repository);
        return (repository, full, increment);
    }

    private static async Task<(string Full, string Increment)> WriteFilesAsync(Repository repository)
    {
        string full = await Retention.RetentionWorld.WriteAsync(repository, "s", null, 1);
        string increment = await Retention.RetentionWorld.WriteAsync(repository, "s", full, 2);
        await new BackupProtections(repository).HoldAsync(Component.FileStore, full, "audit", default);
        return (full, increment);
    }

    private static async Task WriteDatabaseAsync(Repository repository)
    {
        await PutSegmentAsync(repository, 2);
        await PutSegmentAsync(repository, 3);
        await PutPieceAsync(repository, 4, 0, 100);
        await PutPieceAsync(repository, 4, 100, 50);
        await Retention.RetentionWorld.WriteDatabaseAsync(repository, 2);
    }

    private static BackupVerification Open(IObjectStore store, BackupVerificationOptions options) =>
        new(Repository.OpenAsync(store, default).GetAwaiter().GetResult(), options, NullObserver.Instance);

    private static async Task<List<BackupTestResult>> RunAsync(IObjectStore store, BackupVerificationOptions options)
    {
        Repository repository = await Repository.OpenAsync(store, default);
        List<BackupTestResult> results = [];
        await foreach (BackupTestResult result in new BackupVerification(repository, options, NullObserver.Instance).RunAsync(default))
        {
            results.Add(result);
        }

        return results;
    }

    private sealed class FarAhead : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UtcNow.AddDays(100);
    }

    private static IEnumerable<(byte[] Bytes, string What)> Wrongs(byte[] right)
    {
        for (int at = 0; at < right.Length; at++)
        {
            byte[] wrong = [.. right];
            wrong[at] ^= (byte)(at % 2 == 0 ? 0x01 : 0x80);
            yield return (wrong, $"changed at {at}");
        }

        yield return (right[..^1], "cut short");
        yield return ([], "emptied");
        yield return ([.. right, 0], "lengthened");
    }
}
