using SmcDr.Core.FileStores;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Tests.FileStores;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Retention;
using SmcDr.Core.Verification;
using Xunit.Abstractions;

namespace SmcDr.Core.Tests.Copies;

/// <summary>
/// Whatever a store does at whatever call, an operation either succeeds and what it made is byte-identical, or it fails with an error
/// that was foreseen; and what was there before can be restored.
/// </summary>
public sealed class StoreFaultTests(ITestOutputHelper output) : IDisposable
{
    private const int MostCalls = 60;

    private readonly FileStoreSandbox _sandbox = new();
    private readonly TemporaryDirectory _directory = new();

    public static TheoryData<StoreFault> Faults => new(Enum.GetValues<StoreFault>());

    public void Dispose()
    {
        _sandbox.Dispose();
        _directory.Dispose();
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Backup_FaultAtEachCall_IsWholeOrFailsCleanly(StoreFault fault)
    {
        (BackupHeader earlier, string before) = await PrepareAsync();
        _sandbox.Write("changed", "now it is another content");
        string after = FileStoreSandbox.Describe(_sandbox.Source);
        int run = 0;
        DirectoryObjectStore behind = null!;
        await AtEachCallAsync(
            fault,
            () =>
            {
                string path = Path.Combine(_directory.Path, $"repository{++run}");
                FileStoreSandbox.Shell("cp -a \"$1\" \"$2\"", _sandbox.RepositoryPath, path);
                behind = new DirectoryObjectStore(path);
                return new FaultyObjectStore(behind);
            },
            async store => await FileStoreBackup.RunAsync(
                "store",
                _sandbox.Source,
                await Repository.OpenOrCreateAsync(store, CancellationToken.None),
                FileStoreSandbox.Options,
                NullObserver.Instance,
                CancellationToken.None),
            async backup =>
            {
                await AssertRestoredAsync(behind, earlier.Id, before);
                Repository repository = await Repository.OpenAsync(behind, CancellationToken.None);
                Assert.True(backup is null || (await repository.TryFindAsync(Component.FileStore, backup.Id, CancellationToken.None))!.IsComplete);

                // Nothing is listed as complete that is not.
                await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.FileStore, CancellationToken.None))
                {
                    if (entry.IsComplete && entry.Id != earlier.Id)
                    {
                        await AssertRestoredAsync(behind, entry.Id, after);
                    }
                }
            });
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Restore_FaultAtEachCall_IsWholeOrFailsCleanly(StoreFault fault)
    {
        (BackupHeader backup, string expected) = await PrepareAsync();
        await AtEachCallAsync(
            fault,
            new FaultyObjectStore(new DirectoryObjectStore(_sandbox.RepositoryPath)),
            async store =>
            {
                Repository repository = await Repository.OpenAsync(store, CancellationToken.None);
                string target = _sandbox.NewTarget();
                FileStoreRestoreResult result = await FileStoreRestore.RunAsync(
                    await repository.OpenBackupAsync(Component.FileStore, backup.Id, CancellationToken.None),
                    new FileStoreRestoreOptions { TargetPath = target },
                    NullObserver.Instance,
                    CancellationToken.None);
                return result.State == "Complete" ? target : throw new SmcException(SmcErrorCode.VerificationFailed, "It says that it is not whole.");
            },
            target =>
            {
                if (target is not null)
                {
                    Assert.Equal(expected, FileStoreSandbox.Describe(target));
                }

                return Task.CompletedTask;
            });
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Copy_FaultAtEachCallOfTheSource_IsWholeOrFailsCleanly(StoreFault fault) => await CopyAsync(
        fault, new DirectoryObjectStore(_sandbox.RepositoryPath), (faulty, copy) => (faulty, copy));

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Copy_FaultAtEachCallOfTheDestination_IsWholeOrFailsCleanly(StoreFault fault) => await CopyAsync(
        fault, null, (faulty, _) => (new DirectoryObjectStore(_sandbox.RepositoryPath), faulty));

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Verify_FaultAtEachCall_NeverPassesWhatIsDamaged(StoreFault fault)
    {
        await PrepareAsync();
        string damaged = Path.Combine(_directory.Path, "damaged");
        FileStoreSandbox.Shell("cp -a \"$1\" \"$2\"", _sandbox.RepositoryPath, damaged);
        CopyLab.Flip(damaged, Path.GetRelativePath(damaged, Directory.GetFiles(damaged, "pack-*", SearchOption.AllDirectories)[0]));
        foreach ((string path, bool isDamaged) in new[] { (_sandbox.RepositoryPath, false), (damaged, true) })
        {
            await AtEachCallAsync(
                fault,
                new FaultyObjectStore(new DirectoryObjectStore(path)),
                async store =>
                {
                    BackupVerification verification = new(
                        await Repository.OpenAsync(store, CancellationToken.None),
                        new BackupVerificationOptions { Deep = true },
                        NullObserver.Instance);
                    List<BackupTestResult> results = [];
                    await foreach (BackupTestResult result in verification.RunAsync(CancellationToken.None))
                    {
                        results.Add(result);
                    }

                    return results;
                },
                results =>
                {
                    // A backup that a stale list does not show is not told of at all; the age of the newest one tells that.
                    Assert.True(results is null || !isDamaged || results.All(static result => result.Outcome == "Failed"));
                    Assert.True(results is null || isDamaged || results.All(static result => result.Outcome == "Passed" || result.Problems.Count > 0));
                    return Task.CompletedTask;
                });
        }
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Retention_FaultAtEachCall_RemovesNothingThatIsNeededAndTheNextRunFinishes(StoreFault fault)
    {
        (BackupHeader earlier, string before) = await PrepareAsync();
        _sandbox.Write("changed", "now it is another content");
        BackupHeader later = await _sandbox.BackUpAsync();
        Assert.Equal(earlier.Id, later.Parent);
        string after = FileStoreSandbox.Describe(_sandbox.Source);
        string done = Path.Combine(_directory.Path, "done");
        FileStoreSandbox.Shell("cp -a \"$1\" \"$2\"", _sandbox.RepositoryPath, done);
        await RetainAsync(new DirectoryObjectStore(done));
        List<string> kept = await new DirectoryObjectStore(done).KeysAsync();
        int run = 0;
        DirectoryObjectStore behind = null!;
        await AtEachCallAsync(
            fault,
            () =>
            {
                string path = Path.Combine(_directory.Path, $"retained{++run}");
                FileStoreSandbox.Shell("cp -a \"$1\" \"$2\"", _sandbox.RepositoryPath, path);
                behind = new DirectoryObjectStore(path);
                return new FaultyObjectStore(behind);
            },
            RetainAsync,
            async results =>
            {
                await AssertRestoredAsync(behind, later.Id, after);
                Repository repository = await Repository.OpenAsync(behind, CancellationToken.None);
                if (await repository.TryFindAsync(Component.FileStore, earlier.Id, CancellationToken.None) is { IsComplete: true })
                {
                    await AssertRestoredAsync(behind, earlier.Id, before);
                }

                await RetainAsync(behind);
                await AssertRestoredAsync(behind, later.Id, after);
                List<string> keys = await behind.KeysAsync();
                Assert.Empty(keys.Except(kept));
                // Where a list did not show the marker, the claim was taken back; nothing else is missing.
                Assert.All(kept.Except(keys), static key => Assert.EndsWith("/started", key, StringComparison.Ordinal));
            });
    }

    [Fact]
    public async Task BackupCopyAndRestore_ManyFaultsAtRandom_NeverGiveOtherBytes()
    {
        (BackupHeader _, string expected) = await PrepareAsync();
        string repositoryPath = Path.Combine(_directory.Path, "random");
        int succeeded = 0;
        int failed = 0;
        for (int seed = 1; seed <= 20; seed++)
        {
            FaultyObjectStore source = new(new DirectoryObjectStore(repositoryPath));
            FaultyObjectStore copy = new(new DirectoryObjectStore(repositoryPath + "-copy"));
            source.PlanRandom(seed, 500, 0.04);
            copy.PlanRandom(seed + 1000, 500, 0.04);
            try
            {
                BackupInfo backup = await FileStoreBackup.RunAsync(
                    "store",
                    _sandbox.Source,
                    await Repository.OpenOrCreateAsync(source, CancellationToken.None),
                    FileStoreSandbox.Options,
                    NullObserver.Instance,
                    CancellationToken.None);
                BackupCopyResult result = await (await CopyLab.OpenAsync(source, copy))
                    .CopyBackupAsync(Component.FileStore, backup.Id, CancellationToken.None);
                if (result.State == "Complete")
                {
                    await AssertRestoredAsync(new DirectoryObjectStore(repositoryPath + "-copy"), backup.Id, expected);
                }

                succeeded++;
            }
            catch (SmcException e)
            {
                output.WriteLine($"Seed {seed}: {e.Code}: {e.Message}");
                failed++;
            }

            foreach (string path in new[] { repositoryPath, repositoryPath + "-copy" })
            {
                DirectoryObjectStore store = new(path);
                if (await Repository.TryReadIdAsync(store, CancellationToken.None) is not null)
                {
                    Repository repository = await Repository.OpenAsync(store, CancellationToken.None);
                    await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.FileStore, CancellationToken.None))
                    {
                        if (entry.IsComplete && entry.Header!.StartTime > DateTimeOffset.UtcNow.AddSeconds(-1))
                        {
                            await AssertRestoredAsync(store, entry.Id, expected);
                        }
                    }
                }
            }
        }

        Assert.True(succeeded > 1 && failed > 1, $"{succeeded} succeeded and {failed} failed.");
    }

    private async Task CopyAsync(
        StoreFault fault,
        IObjectStore? behind,
        Func<FaultyObjectStore, IObjectStore, (IObjectStore Source, IObjectStore Destination)> wire)
    {
        (BackupHeader backup, string expected) = await PrepareAsync();
        int run = 0;
        string copyPath = "";
        FaultyObjectStore? faulty = behind is null ? null : new FaultyObjectStore(behind);
        await AtEachCallAsync(
            fault,
            () =>
            {
                copyPath = Path.Combine(_directory.Path, $"copy{++run}");
                return faulty ?? new FaultyObjectStore(new DirectoryObjectStore(copyPath));
            },
            async store =>
            {
                (IObjectStore source, IObjectStore destination) = wire(store, new DirectoryObjectStore(copyPath));
                BackupCopyResult result = await (await CopyLab.OpenAsync(source, destination))
                    .CopyBackupAsync(Component.FileStore, backup.Id, CancellationToken.None);
                return result.State == "Complete" ? result : throw new SmcException(SmcErrorCode.CopyIncomplete, result.Problems[0]);
            },
            async result =>
            {
                DirectoryObjectStore copy = new(copyPath);
                Repository? repository = await Repository.TryReadIdAsync(copy, CancellationToken.None) is null
                    ? null
                    : await Repository.OpenAsync(copy, CancellationToken.None);
                BackupEntry? entry = repository is null
                    ? null
                    : await repository.TryFindAsync(Component.FileStore, backup.Id, CancellationToken.None);
                Assert.True(result is null || entry is { IsComplete: true });

                // Whatever has a marker is whole; and the next run, without faults, makes it so.
                if (entry is { IsComplete: true })
                {
                    await AssertRestoredAsync(copy, backup.Id, expected);
                }

                await CopyLab.CopyAllAsync(new DirectoryObjectStore(_sandbox.RepositoryPath), copy);
                await CopyLab.AssertSameObjectsAsync(new DirectoryObjectStore(_sandbox.RepositoryPath), copy);
            });
    }

    private Task AtEachCallAsync<T>(
        StoreFault fault, FaultyObjectStore store, Func<FaultyObjectStore, Task<T>> operation, Func<T?, Task> check)
        where T : class => AtEachCallAsync(fault, () => store, operation, check);

    /// <summary>Runs an operation again and again, with the fault at its first call, its second, and so on until it makes no more.</summary>
    private async Task AtEachCallAsync<T>(
        StoreFault fault, Func<FaultyObjectStore> open, Func<FaultyObjectStore, Task<T>> operation, Func<T?, Task> check)
        where T : class
    {
        int failed = 0;
        int injected = 0;
        for (int call = 1; ; call++)
        {
            FaultyObjectStore store = open();
            store.Plan(call, fault, seed: call);
            T? result = null;
            try
            {
                result = await operation(store);
            }
            catch (SmcException e)
            {
                failed++;
                Assert.NotEqual(SmcErrorCode.InternalError, e.Code);
            }

            injected += store.Injected;
            bool isLast = store.Calls < call || call > MostCalls;
            await check(result);
            if (isLast)
            {
                output.WriteLine($"{call - 1} calls, {injected} faults, {failed} failures.");
                Assert.InRange(call, 6, MostCalls);
                Assert.True(injected > 0 || fault is StoreFault.StaleListShows or StoreFault.StaleListLacks or
                    StoreFault.Cut or StoreFault.SilentTruncation or StoreFault.SuccessWithError or StoreFault.Duplicate);
                return;
            }
        }
    }

    private static async Task<IReadOnlyList<RetentionResult>> RetainAsync(IObjectStore store)
    {
        BackupRetention retention = new(
            await Repository.OpenAsync(store, CancellationToken.None),
            new RetentionOptions { Time = RetentionWorld.Later, Parallelism = 3 },
            NullObserver.Instance);
        return await retention.ExecuteAsync(
            await retention.PlanAsync(new RetentionPolicy { Last = 1 }, CancellationToken.None), CancellationToken.None);
    }

    private async Task AssertRestoredAsync(IObjectStore store, string id, string expected)
    {
        string target = _sandbox.NewTarget();
        Repository repository = await Repository.OpenAsync(store, CancellationToken.None);
        FileStoreRestoreResult result = await FileStoreRestore.RunAsync(
            await repository.OpenBackupAsync(Component.FileStore, id, CancellationToken.None),
            new FileStoreRestoreOptions { TargetPath = target },
            NullObserver.Instance,
            CancellationToken.None);
        Assert.Equal("Complete", result.State);
        Assert.Equal(expected, FileStoreSandbox.Describe(target));
    }

    private async Task<(BackupHeader Backup, string Content)> PrepareAsync()
    {
        Random random = new(1);
        byte[] noise = new byte[200_000];
        random.NextBytes(noise);
        _sandbox.Write("noise", noise);
        _sandbox.Write("folder/small", "small");
        _sandbox.Write("changed", "first content");
        return (await _sandbox.BackUpAsync(), FileStoreSandbox.Describe(_sandbox.Source));
    }
}
