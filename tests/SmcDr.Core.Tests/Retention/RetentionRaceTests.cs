using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Tests.Fixtures;
using static SmcDr.Core.Tests.Retention.RetentionWorld;

namespace SmcDr.Core.Tests.Retention;

/// <summary>
/// Removing beside running backups, at every meeting point: one side runs, and at its n-th call to the store the other side does its
/// part. Whatever the order, a backup that counts as complete afterwards can be read to its last byte.
/// </summary>
public sealed class RetentionRaceTests
{
    private static readonly RetentionPolicy s_one = new() { Last = 1 };

    [Fact]
    public async Task Retention_BackupBeginsAtAnyCallAndCompletesAtAnyLaterOne_StaysReadable()
    {
        (IReadOnlyDictionary<string, byte[]> world, string parent) = await WorldAsync();
        int calls = await CountAsync(world);
        int refused = 0;
        int completed = 0;
        for (int begin = 1; begin <= calls; begin++)
        {
            for (int end = begin; end <= calls + 1; end += end == begin ? 1 : 4)
            {
                MemoryObjectStore store = Clone(world);
                Repository repository = await Repository.OpenAsync(store, default);
                BackupWriter? running = null;
                HookedObjectStore? hooked = null;
                hooked = new HookedObjectStore(store, async (_, _) =>
                {
                    if (hooked!.Calls == begin)
                    {
                        try
                        {
                            running = await BeginAsync(repository, parent);
                            await FillAsync(repository, running, parent, 50);
                        }
                        catch (SmcException e) when (e.Code is SmcErrorCode.BackupRemoved or SmcErrorCode.BackupNotFound or SmcErrorCode.ObjectNotFound
                            or SmcErrorCode.BackupIncomplete)
                        {
                            // Its parent's marker or manifest was gone already.
                            refused++;
                            if (running is not null)
                            {
                                await running.DisposeAsync();
                                running = null;
                            }
                        }
                    }

                    if (hooked.Calls == end)
                    {
                        await EndAsync();
                    }
                });
                await RunSequentiallyAsync(hooked, s_one);
                await EndAsync();

                List<string> readable = await ReadAllAsync(store);

                // Whatever is left is found by the next run, and nothing that is needed goes then either.
                await RunSequentiallyAsync(new HookedObjectStore(store, static (_, _) => Task.CompletedTask), new RetentionPolicy { Last = 9 });
                Assert.Equal(readable, await ReadAllAsync(store));

                async Task EndAsync()
                {
                    if (running is not null)
                    {
                        BackupWriter writer = running;
                        running = null;
                        await CompleteAsync(writer, "s");
                        completed++;
                    }
                }
            }
        }

        Assert.True(refused > 0 && completed > 0, $"{refused} were refused and {completed} completed.");
    }

    [Fact]
    public async Task Backup_RetentionAtAnyCallOfIt_IsReadableOrFails()
    {
        (IReadOnlyDictionary<string, byte[]> world, string parent) = await WorldAsync();
        await AtAnyCallAsync(world, TimeProvider.System, async (repository, _) =>
        {
            await using BackupWriter writer = await BeginAsync(repository, parent);
            await FillAsync(repository, writer, parent, 60);
            await CompleteAsync(writer, "s");
        });
    }

    [Fact]
    public async Task BackupThatIsTakenForDead_SweptAtAnyCallOfIt_IsReadableOrFails()
    {
        (IReadOnlyDictionary<string, byte[]> world, string parent) = await WorldAsync();
        await AtAnyCallAsync(world, Later, async (repository, _) =>
        {
            await using BackupWriter writer = await BeginAsync(repository, parent);
            await FillAsync(repository, writer, parent, 60);
            await CompleteAsync(writer, "s");
        });
    }

    [Fact]
    public async Task BackupOnOneThatIsTakenForDead_SweptAtAnyCallOfBoth_IsReadableOrFails()
    {
        (IReadOnlyDictionary<string, byte[]> world, _) = await WorldAsync();
        await AtAnyCallAsync(world, Later, async (repository, store) =>
        {
            // A second backup begins to build on the first in the moment in which the first has its marker.
            BackupWriter? second = null;
            string? first = null;
            store.AfterPut = async key =>
            {
                if (second is null && first is not null && key == RepositoryKeys.Complete(Component.FileStore, first))
                {
                    second = await BeginAsync(repository, first);
                    await FillAsync(repository, second, first, 71);
                }
            };
            await using BackupWriter writer = await BeginAsync(repository, null);
            first = writer.Id;
            await FillAsync(repository, writer, null, 70);
            try
            {
                await CompleteAsync(writer, "s");
            }
            finally
            {
                if (second is not null)
                {
                    await using (second)
                    {
                        await CompleteAsync(second, "s");
                    }
                }
            }
        });
    }

    [Fact]
    public async Task TwoRetentionsAtOnce_AtAnyCall_EndLikeOne()
    {
        (IReadOnlyDictionary<string, byte[]> world, _) = await WorldAsync();
        MemoryObjectStore alone = Clone(world);
        await RunSequentiallyAsync(alone, s_one, Later);
        int calls = await CountAsync(world);
        for (int call = 1; call <= calls; call++)
        {
            MemoryObjectStore store = Clone(world);
            int at = call;
            HookedObjectStore? hooked = null;
            hooked = new HookedObjectStore(
                store, (_, _) => hooked!.Calls == at ? RunSequentiallyAsync(store, s_one, Later) : Task.CompletedTask);
            await RunSequentiallyAsync(hooked, s_one, Later);
            Assert.Equal(alone.Keys, store.Keys);
        }
    }

    /// <summary>Runs retention once at each call of the other side.</summary>
    private static async Task AtAnyCallAsync(
        IReadOnlyDictionary<string, byte[]> world, TimeProvider time, Func<Repository, MemoryObjectStore, Task> other)
    {
        int failed = 0;
        int succeeded = 0;
        for (int call = 1; ; call++)
        {
            MemoryObjectStore store = Clone(world);
            int at = call;
            HookedObjectStore? hooked = null;
            hooked = new HookedObjectStore(
                store, (_, _) => hooked!.Calls == at ? RunSequentiallyAsync(store, s_one, time) : Task.CompletedTask);
            Repository repository = await Repository.OpenAsync(hooked, default);
            int before = hooked.Calls;
            try
            {
                await other(repository, store);
                succeeded++;
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.BackupRemoved or SmcErrorCode.BackupNotFound or SmcErrorCode.ObjectNotFound
                or SmcErrorCode.BackupIncomplete)
            {
                failed++;
            }

            store.AfterPut = null;
            _ = await ReadAllAsync(store);
            Assert.True(at < 1000, "It does not end.");
            if (hooked.Calls < at && hooked.Calls >= before)
            {
                break;
            }
        }

        Assert.True(succeeded > 0, $"{failed} failed and {succeeded} succeeded.");
    }

    private static async Task RunSequentiallyAsync(
        SmcDr.Core.ObjectStores.IObjectStore store, RetentionPolicy policy, TimeProvider? time = null)
    {
        Repository repository = await Repository.OpenAsync(store, default);
        BackupRetention retention = new(
            repository, new RetentionOptions { Time = time ?? TimeProvider.System, Parallelism = 1 }, NullObserver.Instance);
        await retention.ExecuteAsync(await retention.PlanAsync(policy, default), default);
    }

    private static async Task<int> CountAsync(IReadOnlyDictionary<string, byte[]> world)
    {
        HookedObjectStore counting = new(Clone(world), static (_, _) => Task.CompletedTask);
        await RunSequentiallyAsync(counting, s_one);
        return counting.Calls;
    }

    /// <summary>Three backups, each on the one before, and one that is complete and newer. The middle one is who others build on.</summary>
    private static async Task<(IReadOnlyDictionary<string, byte[]> World, string Parent)> WorldAsync()
    {
        MemoryObjectStore store = new();
        Repository repository = await Repository.OpenOrCreateAsync(store, default);
        string first = await WriteAsync(repository, "s", null, 1);
        string parent = await WriteAsync(repository, "s", first, 2);
        await WriteAsync(repository, "s", null, 3);
        return (store.Keys.ToDictionary(static key => key, key => store[key]), parent);
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
