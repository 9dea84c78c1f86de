using SmcDr.Core.Leases;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;

namespace SmcDr.Core.Tests.Leases;

/// <summary>Fencing on a store of which single calls go wrong.</summary>
public sealed class FencingFaultTests
{
    [Fact]
    public async Task AdvanceAsync_AnswerIsLost_KnowsItsOwnEpoch()
    {
        // As a store retries by itself: it was stored, and the second attempt finds the key taken.
        MemoryObjectStore memory = new();
        Repository repository = await Repository.OpenOrCreateAsync(memory, CancellationToken.None);
        memory.AfterPut = key => key.StartsWith("fencing/", StringComparison.Ordinal)
            ? throw new SmcException(SmcErrorCode.ObjectExists, "The answer to the first attempt was lost.")
            : Task.CompletedTask;
        FencingEpoch epoch = await new FencingEpochs(repository, "orders").AdvanceAsync(0, "west", null, CancellationToken.None);
        Assert.Equal(1, epoch.Number);
    }

    [Fact]
    public async Task EnterAndCheck_EveryCallGoesWrongInEveryWay_NeverLetAFencedRegionWrite()
    {
        foreach (StoreFault fault in Enum.GetValues<StoreFault>())
        {
            for (int call = 1; call <= 8; call++)
            {
                FaultyObjectStore store = new(new MemoryObjectStore());
                Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
                FencingEpochs epochs = new(repository, "orders");
                Fence first = await epochs.EnterAsync("east", CancellationToken.None);
                await epochs.AdvanceAsync(0, "east", null, CancellationToken.None);
                await epochs.AdvanceAsync(1, "west", null, CancellationToken.None);

                store.Plan(call, fault);
                bool passed = await PassesAsync(() => first.CheckAsync(CancellationToken.None)) | await PassesAsync(async () =>
                {
                    Fence fence = await epochs.EnterAsync("east", CancellationToken.None);
                    await fence.CheckAsync(CancellationToken.None);
                });
                Assert.False(passed, $"{fault} at call {call}");
            }
        }
    }

    [Fact]
    public async Task EnterAsync_EpochThatCannotBeRead_LetsNobodyIn()
    {
        MemoryObjectStore store = new();
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        FencingEpochs epochs = new(repository, "orders");
        Fence fence = await epochs.EnterAsync("east", CancellationToken.None);
        await store.PutAsync("fencing/orders/0000000001", "damaged"u8.ToArray(), CancellationToken.None);

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => epochs.EnterAsync("east", CancellationToken.None));
        Assert.True(SmcErrors.IsDamage(error.Code));
        await SmcErrorCode.Fenced.ThrowsAsync(() => fence.CheckAsync(CancellationToken.None));
    }

    [Fact]
    public async Task EnterAsync_EpochOfAnotherSiteInItsPlace_IsNotBelieved()
    {
        MemoryObjectStore store = new();
        Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
        await new FencingEpochs(repository, "payments").AdvanceAsync(0, "west", null, CancellationToken.None);
        await store.PutAsync("fencing/orders/0000000001", await store.ReadAsync("fencing/payments/0000000001"), CancellationToken.None);
        await SmcErrorCode.ManifestInvalid.ThrowsAsync(() => new FencingEpochs(repository, "orders").ReadAsync(CancellationToken.None));
    }

    private static async Task<bool> PassesAsync(Func<Task> check)
    {
        try
        {
            await check();
            return true;
        }
        catch (SmcException)
        {
            return false;
        }
    }
}
