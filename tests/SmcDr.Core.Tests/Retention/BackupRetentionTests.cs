using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Tests.Repositories;
using static SmcDr.Core.Tests.Retention.RetentionWorld;

namespace SmcDr.Core.Tests.Retention;

public sealed class BackupRetentionTests : IDisposable
{
    private static readonly RetentionPolicy s_one = new() { Last = 1 };

    private readonly string _root = Directory.CreateTempSubdirectory("smcdr-retention-").FullName;
    private readonly MemoryObjectStore _store = new();

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task ExecuteAsync_RemovedBackupWhosePacksAreUsed_KeepsThosePacksOnly()
    {
        (Repository repository, string full, string middle, string newest) = await ChainAsync(_store);
        PackUse[] uses = [.. (await repository.TryFindAsync(Component.FileStore, newest, default))!.Header!.Uses!];
        Assert.Equal([full, middle], uses.Select(static use => use.Backup));

        IReadOnlyList<RetentionResult> removed = await RunAsync(_store, s_one);
        Assert.Equal([full, middle], removed.Where(static r => r.Kind == "Backup").Select(static r => r.Id));
        Assert.All(removed.Where(static r => r.Kind == "Backup"), static r => Assert.True(r.SharedBytes > 0 && r.FreedBytes > 0));
        Assert.Equal([newest], await ReadAllAsync(_store));
        IEnumerable<string> expected = uses.SelectMany(
            static use => use.Numbers().Select(number => RepositoryKeys.Pack(Component.FileStore, use.Backup, number)));
        Assert.Equal(expected, _store.Keys.Where(key =>
            key.StartsWith($"filestore/{full}/", StringComparison.Ordinal) || key.StartsWith($"filestore/{middle}/", StringComparison.Ordinal)));

        // Nothing is left to do, and what was left of them is not a backup.
        Assert.Empty(await RunAsync(_store, s_one));
    }

    [Fact]
    public async Task PlanAsync_Always_ChangesNothingAndSumsUpWhatGoes()
    {
        _ = await ChainAsync(_store);
        IReadOnlyList<string> before = _store.Keys;
        long size = before.Sum(key => (long)_store[key].Length);
        Repository repository = await Repository.OpenAsync(_store, default);
        RetentionPlan plan = await Open(repository).PlanAsync(s_one, default);
        Assert.Equal(before, _store.Keys);

        await Open(repository).ExecuteAsync(plan, default);
        Assert.Equal(size - plan.Removals.Sum(static r => r.FreedBytes), _store.Keys.Sum(key => (long)_store[key].Length));
        Assert.Equal(before.Count - plan.Removals.Sum(static r => r.ObjectCount), _store.Keys.Count);
    }

    [Fact]
    public async Task ExecuteAsync_FileStoresOfTwoSitesWithOneName_ReplaceOnlyTheirOwn()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        string old = await WriteAsync(repository, "config", null, 1, "shop");
        string shop = await WriteAsync(repository, "config", null, 2, "shop");
        string bank = await WriteAsync(repository, "config", null, 3, "bank");

        IReadOnlyList<RetentionResult> removed = await RunAsync(_store, s_one);

        Assert.Equal(old, Assert.Single(removed, static r => r.Kind == "Backup").Id);
        Assert.NotNull(await repository.TryFindAsync(Component.FileStore, shop, default));
        Assert.NotNull(await repository.TryFindAsync(Component.FileStore, bank, default));
    }

    [Fact]
    public async Task ExecuteAsync_ObjectsThatNobodyKnows_AreLeftAlone()
    {
        (_, string full, _, _) = await ChainAsync(_store);
        string[] foreign = [$"filestore/{full}/notes.txt", $"filestore/{full}/pack-1", "filestore/other/x", "lost.found", "wal/x/y"];
        foreach (string key in foreign)
        {
            await _store.PutAsync(key, new byte[] { 1 }, default);
        }

        await RunAsync(_store, s_one);
        Assert.Superset(foreign.ToHashSet(), _store.Keys.ToHashSet());
    }

    [Fact]
    public async Task ExecuteAsync_NoPolicy_KeepsEveryBackup()
    {
        (_, string full, string middle, string newest) = await ChainAsync(_store);
        IReadOnlyList<string> before = _store.Keys;
        Assert.Empty(await RunAsync(_store, null));
        Assert.Equal(before, _store.Keys);
        Assert.Equal([full, middle, newest], await ReadAllAsync(_store));
    }

    [Fact]
    public async Task ExecuteAsync_BackupThatIsHeldOrProtectedMeanwhile_Stays()
    {
        (Repository repository, string full, string middle, string newest) = await ChainAsync(_store);
        BackupProtections protections = new(repository);
        await protections.HoldAsync(Component.FileStore, full, "audit", default);
        BackupRetention retention = Open(repository);
        RetentionPlan plan = await retention.PlanAsync(s_one, default);
        Assert.Contains(plan.Items, item => item.Id == full && item.Action == "Keep" && item.Reasons.Any(
            static reason => reason.StartsWith("held: audit", StringComparison.Ordinal)));

        await protections.HoldAsync(Component.FileStore, middle, "found something", default);
        Assert.Empty(await retention.ExecuteAsync(plan, default));
        Assert.Equal([full, middle, newest], await ReadAllAsync(_store));

        Assert.Equal(1, await protections.ReleaseAsync(Component.FileStore, full, default));
        Assert.Equal([full], (await RunAsync(_store, s_one)).Select(static r => r.Id));
        Assert.Equal([middle, newest], await ReadAllAsync(_store));
    }

    [Fact]
    public async Task ExecuteAsync_ProtectionThatIsDamaged_CountsAsAHold()
    {
        (Repository repository, string full, _, _) = await ChainAsync(_store);
        await new BackupProtections(repository).HoldAsync(Component.FileStore, full, "audit", default);
        string key = Assert.Single(_store.Keys, static key => key.StartsWith("protections/", StringComparison.Ordinal));
        _store[key] = [.. _store[key].Select((b, i) => i == 100 ? (byte)(b ^ 1) : b)];
        await RunAsync(_store, s_one);
        Assert.Contains(full, await ReadAllAsync(_store));
    }

    [Fact]
    public async Task PlanAsync_DeadIncompleteBackup_GoesOnlyAfterTheGraceTime()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        BackupWriter writer = await BeginAsync(repository, null);
        await FillAsync(repository, writer, null, 1);

        Assert.Empty(await RunAsync(_store, s_one, TimeProvider.System));
        RetentionResult swept = Assert.Single(await RunAsync(_store, s_one));
        Assert.Equal(("Incomplete", writer.Id), (swept.Kind, swept.Id));
        Assert.Equal(["repository"], _store.Keys);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => CompleteAsync(writer, "s"));
        Assert.Equal(SmcErrorCode.BackupRemoved, error.Code);
    }

    [Fact]
    public async Task PlanAsync_DamagedMarker_RemovesNoPacksThatItMayUse()
    {
        (_, string full, string middle, string newest) = await ChainAsync(_store);
        string marker = RepositoryKeys.Complete(Component.FileStore, newest);
        byte[] right = _store[marker];
        _store[marker] = [.. right.Select((b, i) => i == 200 ? (byte)(b ^ 1) : b)];
        await RunAsync(_store, s_one);
        _store[marker] = right;
        Assert.Equal([middle, newest], await ReadAllAsync(_store));
        Assert.Contains(RepositoryKeys.Pack(Component.FileStore, full, 1), _store.Keys);
    }

    [Fact]
    public async Task ExecuteAsync_DamagedBackups_AreNamedWithWhatToDo_AndGoneTheyBlockNothing()
    {
        (Repository repository, string full, string middle, string newest) = await ChainAsync(_store);
        string other = await WriteAsync(repository, "other", null, 7);
        foreach (string id in new[] { newest, other })
        {
            // Of these neither the marker nor the claim can be believed.
            _store[RepositoryKeys.Complete(Component.FileStore, id)] = [1];
            _store[RepositoryKeys.Started(Component.FileStore, id)] = [1];
        }

        RecordingObserver observer = new();
        BackupRetention retention = Open(repository, observer: observer);
        await retention.ExecuteAsync(await retention.PlanAsync(s_one, default), default);

        Assert.Contains(RepositoryKeys.Pack(Component.FileStore, full, 1), _store.Keys);
        Assert.NotEmpty(observer.Warnings);
        Assert.All(observer.Warnings, warning =>
        {
            Assert.Contains($"Remove-SmcBackup {newest} -Force", warning, StringComparison.Ordinal);
            Assert.Contains($"Remove-SmcBackup {other} -Force", warning, StringComparison.Ordinal);
            Assert.Contains("copy", warning, StringComparison.Ordinal);
        });

        // The advice holds.
        foreach (string id in new[] { newest, other })
        {
            await retention.ExecuteAsync(await retention.PlanRemovalAsync(Component.FileStore, id, true, default), default);
        }

        RecordingObserver quiet = new();
        await Open(repository, observer: quiet).PlanAsync(s_one, default);
        Assert.Empty(quiet.Warnings);
        Assert.Equal([middle], await ReadAllAsync(_store));
    }

    [Fact]
    public async Task ExecuteAsync_BackupOfANewerFormat_LosesNothingAndIsNotRemovedByForce()
    {
        Repository repository = await WalWorldAsync();
        (_, string full, string middle, string newest) = await ChainAsync(_store);
        string database = await WriteDatabaseAsync(repository, 11);
        string markerOfFiles = RepositoryKeys.Complete(Component.FileStore, newest);
        string markerOfDatabase = RepositoryKeys.Complete(Component.Database, database);
        foreach (string marker in new[] { markerOfFiles, markerOfDatabase })
        {
            _store[marker] = SampleBackup.OfNewerFormat(_store[marker]);
        }

        string[] before = [.. _store.Keys.Where(key => key.Contains("/pack-", StringComparison.Ordinal) || key.StartsWith("wal/", StringComparison.Ordinal)
            || key.Contains(newest, StringComparison.Ordinal) || key.Contains(database, StringComparison.Ordinal))];
        RecordingObserver observer = new();
        BackupRetention retention = Open(repository, observer: observer);

        IReadOnlyList<RetentionResult> removed = await retention.ExecuteAsync(await retention.PlanAsync(s_one, default), default);

        Assert.Contains(removed, result => result.Id == full);
        Assert.Superset(before.ToHashSet(), _store.Keys.ToHashSet());
        Assert.Contains(observer.Warnings, warning => warning.Contains(newest, StringComparison.Ordinal));
        SmcException refused = await Assert.ThrowsAsync<SmcException>(
            () => retention.PlanRemovalAsync(Component.FileStore, newest, true, default));
        Assert.Equal(SmcErrorCode.RepositoryFormatUnknown, refused.Code);
        Assert.Equal([middle], await ReadAllAsync(_store));
    }

    [Fact]
    public async Task ExecuteAsync_TimelineThatLeftBeforeTheLastBackupAheadOfTheWindow_CanBeRecovered()
    {
        // Segments 1 to 11 and base backups in 2, 5 and 8; from 4 on, what was recovered to: timeline 2, with a backup of its own in the window.
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        for (int number = 1; number <= 11; number++)
        {
            await PutSegmentAsync(repository, number);
        }

        string none = await WriteDatabaseAsync(repository, 1, Later.GetUtcNow().AddDays(-30));
        string before = await WriteDatabaseAsync(repository, 2, Later.GetUtcNow().AddDays(-20));
        string left = await WriteDatabaseAsync(repository, 8, Later.GetUtcNow().AddDays(-12));
        WalArchive archive = new(repository, SystemId);
        Lsn switched = WalSegmentName.FromNumber(1, 4, SegmentSize).StartLsn(SegmentSize) + 1000;
        await archive.PutHistoryAsync(2, TimelineHistory.Format([new TimelineBranch(1, switched, "before the accident")]), default);
        for (int number = 4; number <= 7; number++)
        {
            await PutSegmentAsync(repository, number, 2);
        }

        string inWindow = await WriteDatabaseAsync(repository, 6, Later.GetUtcNow().AddDays(-3), 2);
        string[] wal = await KeysOfTimelineAsync();

        await RunAsync(_store, new RetentionPolicy { RecoveryWindow = TimeSpan.FromDays(10) });

        List<string> kept = [];
        await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.Database, default))
        {
            kept.Add(entry.Id);
        }

        Assert.Equal([before, left, inWindow], kept);
        Assert.DoesNotContain(none, kept);
        Assert.Equal(wal, await KeysOfTimelineAsync());
        Lsn start = WalSegmentName.FromNumber(1, 2, SegmentSize).StartLsn(SegmentSize) + 0x28;
        WalCoverage coverage = await archive.GetCoverageAsync(1, start, 2, default);
        Assert.Null(coverage.Gap);
        Assert.Equal(WalSegmentName.FromNumber(2, 7, SegmentSize).EndLsn(SegmentSize), coverage.EndLsn);

        // Nobody knows where the timeline comes from: then every backup may be the one.
        string history = WalKey.History(2).ToKey(SystemId);
        _store[history] = [1];
        RecordingObserver observer = new();
        BackupRetention retention = Open(repository, observer: observer);
        RetentionPlan plan = await retention.PlanAsync(new RetentionPolicy { RecoveryWindow = TimeSpan.FromDays(2.5) }, default);
        Assert.DoesNotContain(plan.Removals, static result => result.Kind == "Backup");
        Assert.Contains(observer.Warnings, warning => warning.Contains(history, StringComparison.Ordinal));

        async Task<string[]> KeysOfTimelineAsync() => [.. await KeysAsync(_store, RepositoryKeys.Wal(SystemId, 2))];
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task PlanRemovalAsync_NewestBackup_NeedsForce(bool force)
    {
        (Repository repository, string full, string middle, string newest) = await ChainAsync(_store);
        BackupRetention retention = Open(repository);
        if (force)
        {
            await retention.ExecuteAsync(await retention.PlanRemovalAsync(Component.FileStore, newest, true, default), default);
            Assert.Equal([full, middle], await ReadAllAsync(_store));
            return;
        }

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => retention.PlanRemovalAsync(Component.FileStore, newest, false, default));
        Assert.Equal(SmcErrorCode.BackupProtected, error.Code);
    }

    [Fact]
    public async Task PlanRemovalAsync_HeldBackup_IsRefusedEvenWithForce()
    {
        (Repository repository, string full, _, _) = await ChainAsync(_store);
        await new BackupProtections(repository).HoldAsync(Component.FileStore, full, "audit", default);
        SmcException error = await Assert.ThrowsAsync<SmcException>(
            () => Open(repository).PlanRemovalAsync(Component.FileStore, full, true, default));
        Assert.Equal(SmcErrorCode.BackupProtected, error.Code);
        Assert.Contains("audit", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PlanRemovalAsync_ParentOfARunningBackup_IsRefused()
    {
        (Repository repository, _, string middle, _) = await ChainAsync(_store);
        await using BackupWriter running = await BeginAsync(repository, middle);
        SmcException error = await Assert.ThrowsAsync<SmcException>(
            () => Open(repository, TimeProvider.System).PlanRemovalAsync(Component.FileStore, middle, true, default));
        Assert.Equal(SmcErrorCode.OperationInProgress, error.Code);
    }

    [Fact]
    public async Task ExecuteAsync_Wal_KeepsFromTheOldestBackupOn()
    {
        Repository repository = await WalWorldAsync();
        Assert.Contains(await RunAsync(_store, new RetentionPolicy { Last = 2 }), static r => r.Kind == "Wal");
        Assert.Equal([5, 6, 7, 8, 9, 10, 11], await SegmentsAsync(repository));
        Assert.Empty(await RunAsync(_store, new RetentionPolicy { Last = 2 }));
    }

    [Fact]
    public async Task ExecuteAsync_WalWithRecoveryWindow_OlderBackupsKeepWhatTheyCannotDoWithout()
    {
        Repository repository = await WalWorldAsync();
        await RunAsync(_store, new RetentionPolicy { Last = 3, RecoveryWindow = TimeSpan.FromDays(7) });
        Assert.Equal([2, 5, 8, 9, 10, 11], await SegmentsAsync(repository));
    }

    [Fact]
    public async Task ExecuteAsync_YoungWal_Stays()
    {
        Repository repository = await WalWorldAsync();
        await RunAsync(_store, s_one, TimeProvider.System);
        Assert.Equal(Enumerable.Range(1, 11), await SegmentsAsync(repository));
    }

    [Fact]
    public async Task ExecuteAsync_WalAfterTheStartOfARunningBackup_Stays()
    {
        Repository repository = await WalWorldAsync();
        // It runs for longer than the grace time, and has just stored something.
        BackupWriter running = await repository.BeginBackupAsync(Component.Database, "Full", null, null, null, null, default);
        string claim = RepositoryKeys.Started(Component.Database, running.Id);
        HookedObjectStore hooked = new(new AgedObjectStore(_store, key => key != claim), static (_, _) => Task.CompletedTask);
        await RunAsync(hooked, s_one, TimeProvider.System);
        Assert.Equal([8, 9, 10, 11], await SegmentsAsync(repository));

        // Stored before its start: those may go. Whatever was stored since stays, however old the next backups make it.
        AgedObjectStore none = new(_store, static _ => false);
        await WriteDatabaseAsync(repository, 11);
        await RunAsync(none, s_one, TimeProvider.System);
        Assert.Equal([8, 9, 10, 11], await SegmentsAsync(repository));
    }

    [Fact]
    public async Task ExecuteAsync_LogicalBackups_NeedNoWalAndReplaceNoPhysicalOne()
    {
        Repository repository = await WalWorldAsync();
        string oldest = await WriteLogicalAsync(repository, Later.GetUtcNow().AddDays(-30));
        string newest = await WriteLogicalAsync(repository, Later.GetUtcNow().AddDays(-1));
        string one = await WriteLogicalAsync(repository, Later.GetUtcNow().AddDays(-20), selected: ["orders"]);
        string emergency = await WriteLogicalAsync(repository, Later.GetUtcNow().AddDays(-900), BackupKinds.Emergency, ["orders"], ["public.t"]);
        string physical = (await Open(repository).PlanAsync(s_one, default)).Items
            .Single(static item => item is { Kind: "Backup", Action: "Keep" } && item.Id.EndsWith("-full", StringComparison.Ordinal)).Id;

        IReadOnlyList<RetentionResult> removed = await RunAsync(_store, s_one);
        Assert.Equal([oldest], removed.Where(static r => r.Kind == "Backup" && r.Id.EndsWith("-logical", StringComparison.Ordinal)).Select(static r => r.Id));
        Assert.Equal(2, removed.Count(static r => r.Kind == "Backup" && r.Id.EndsWith("-full", StringComparison.Ordinal)));

        // As if there were no logical backups: the newest physical one begins in 8.
        Assert.Equal([8, 9, 10, 11], await SegmentsAsync(repository));
        Assert.Equal(
            new[] { newest, one, emergency, physical }.Order(StringComparer.Ordinal),
            (await RetainedAsync()).Order(StringComparer.Ordinal));
        Assert.Contains(
            (await Open(repository).PlanAsync(s_one, default)).Items,
            item => item.Id == emergency && item.Reasons.SequenceEqual([RetentionRules.Emergency]));

        async Task<List<string>> RetainedAsync()
        {
            List<string> ids = [];
            await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.Database, default))
            {
                ids.Add(entry.Id);
            }

            return ids;
        }
    }

    [Fact]
    public async Task PlanRemovalAsync_NewestPhysicalBackupBehindADump_NeedsForce()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        string physical = await WriteDatabaseAsync(repository, 2, DateTimeOffset.UtcNow.AddHours(-8));
        string earlier = await WriteLogicalAsync(repository, DateTimeOffset.UtcNow.AddHours(-4));
        string logical = await WriteLogicalAsync(repository, DateTimeOffset.UtcNow.AddHours(-2));
        foreach (string newest in new[] { physical, logical })
        {
            SmcException error = await Assert.ThrowsAsync<SmcException>(
                () => Open(repository).PlanRemovalAsync(Component.Database, newest, false, default));
            Assert.Equal(SmcErrorCode.BackupProtected, error.Code);
        }

        Assert.Contains((await Open(repository).PlanRemovalAsync(Component.Database, earlier, false, default)).Removals, r => r.Id == earlier);
    }

    [Fact]
    public async Task PlanRemovalAsync_OnlyEmergencyBackup_IsRemovedWithoutForceUnlessItIsHeld()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        string id = await WriteLogicalAsync(repository, kind: BackupKinds.Emergency);
        BackupProtections protections = new(repository);
        await protections.HoldAsync(Component.Database, id, "audit", default);
        await Assert.ThrowsAsync<SmcException>(() => Open(repository).PlanRemovalAsync(Component.Database, id, false, default));
        await protections.ReleaseAsync(Component.Database, id, default);

        BackupRetention retention = Open(repository);
        await retention.ExecuteAsync(await retention.PlanRemovalAsync(Component.Database, id, false, default), default);
        Assert.Equal(["repository"], _store.Keys);
    }

    [Fact]
    public async Task ExecuteAsync_PiecesOfWholeSegments_GoAfterTheGraceTime()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        await WriteDatabaseAsync(repository, 3);
        await PutPieceAsync(repository, 3, 0, 100);
        await PutSegmentAsync(repository, 3);
        await PutPieceAsync(repository, 4, 0, 100);
        await PutPieceAsync(repository, 4, 100, 100);
        Assert.Empty(await RunAsync(_store, s_one, TimeProvider.System));
        RetentionResult result = Assert.Single(await RunAsync(_store, s_one));
        Assert.Equal(("WalPieces", 1), (result.Kind, result.ObjectCount));
        Assert.Equal(3, _store.Keys.Count(static key => key.StartsWith("wal/", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task ExecuteAsync_KilledAtAnyCall_KeepsWhatIsKeptAndARerunFinishes()
    {
        IReadOnlyDictionary<string, byte[]> world = await FullWorldAsync();
        MemoryObjectStore whole = Clone(world);
        HookedObjectStore counting = new(whole, static (_, _) => Task.CompletedTask);
        await RunAsync(counting, s_one);
        List<string> kept = await ReadAllAsync(whole);
        Assert.True(counting.Calls > 60, "The world is too small to be killed in.");
        Assert.True(whole.Keys.Count < world.Count - 20);

        for (int call = 1; call <= counting.Calls; call++)
        {
            MemoryObjectStore store = Clone(world);
            await Assert.ThrowsAsync<SmcException>(() => RunAsync(HookedObjectStore.DyingAt(store, call), s_one));
            Assert.Superset(kept.ToHashSet(), (await ReadAllAsync(store)).ToHashSet());
            await RunAsync(store, s_one);
            Assert.Equal(whole.Keys, store.Keys);
        }
    }

    [Fact]
    public async Task ExecuteAsync_KilledInADirectory_ARerunFinishes()
    {
        IReadOnlyDictionary<string, byte[]> world = await FullWorldAsync();
        MemoryObjectStore whole = Clone(world);
        HookedObjectStore counting = new(whole, static (_, _) => Task.CompletedTask);
        await RunAsync(counting, s_one);
        for (int call = 3; call <= counting.Calls; call += 11)
        {
            DirectoryObjectStore store = new(Path.Combine(_root, $"{call}"));
            foreach ((string key, byte[] content) in world)
            {
                await store.PutAsync(key, content, default);
            }

            await Assert.ThrowsAsync<SmcException>(() => RunAsync(HookedObjectStore.DyingAt(store, call), s_one));
            await RunAsync(store, s_one);
            Assert.Equal(whole.Keys, await KeysAsync(store));
            Assert.Equal(2, (await ReadAllAsync(store)).Count);
        }
    }

    private static async Task<(Repository Repository, string Full, string Middle, string Newest)> ChainAsync(IObjectStore store)
    {
        Repository repository = await Repository.OpenOrCreateAsync(store, default);
        string full = await WriteAsync(repository, "s", null, 1);
        string middle = await WriteAsync(repository, "s", full, 2);
        string newest = await WriteAsync(repository, "s", middle, 3);
        return (repository, full, middle, newest);
    }

    /// <summary>Segments 1 to 11, and base backups that begin in 2, 5 and 8: 20, 10 and 5 days old to the later clock.</summary>
    private async Task<Repository> WalWorldAsync()
    {
        Repository repository = await Repository.OpenOrCreateAsync(_store, default);
        for (int number = 1; number <= 11; number++)
        {
            await PutSegmentAsync(repository, number);
        }

        await WriteDatabaseAsync(repository, 2, Later.GetUtcNow().AddDays(-20));
        await WriteDatabaseAsync(repository, 5, Later.GetUtcNow().AddDays(-10));
        await WriteDatabaseAsync(repository, 8, Later.GetUtcNow().AddDays(-7.5));
        return repository;
    }

    private static async Task<List<int>> SegmentsAsync(Repository repository)
    {
        List<int> numbers = [];
        await foreach (ObjectInfo info in repository.Store.ListAsync("wal/", default))
        {
            numbers.Add(Convert.ToInt32(info.Key[^8..], 16));
        }

        return numbers;
    }

    private async Task<IReadOnlyDictionary<string, byte[]>> FullWorldAsync()
    {
        (Repository repository, string full, _, _) = await ChainAsync(_store);
        await WriteAsync(repository, "other", null, 7);
        await WriteAsync(repository, "other", null, 8);
        BackupWriter dead = await BeginAsync(repository, full);
        await FillAsync(repository, dead, full, 9);
        BackupWriter remnant = await BeginAsync(repository, null);
        await FillAsync(repository, remnant, null, 10);
        await _store.DeleteAsync(RepositoryKeys.Started(Component.FileStore, remnant.Id), default);
        await WriteDatabaseAsync(repository, 2);
        await WriteDatabaseAsync(repository, 4);
        for (int number = 1; number <= 5; number++)
        {
            await PutPieceAsync(repository, number, 0, 50);
            await PutSegmentAsync(repository, number);
        }

        return _store.Keys.ToDictionary(static key => key, key => _store[key]);
    }

    private static MemoryObjectStore Clone(IReadOnlyDictionary<string, byte[]> world)
    {
        MemoryObjectStore store = new();
        foreach ((string key, byte[] content) in world)
        {
            store[key] = content;
        }

        return store;
    }
}
