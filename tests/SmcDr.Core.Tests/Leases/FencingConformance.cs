using SmcDr.Core.Leases;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using static SmcDr.Core.Tests.Retention.RetentionWorld;

namespace SmcDr.Core.Tests.Leases;

/// <summary>Fencing epochs on real stores. One class for each store inherits it.</summary>
public abstract class FencingConformance : IAsyncLifetime
{
    private IObjectStore _store = null!;
    private Repository _repository = null!;
    private FencingEpochs _epochs = null!;

    public async Task InitializeAsync()
    {
        _store = await OpenAsync();
        _repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);
        _epochs = new FencingEpochs(_repository, "orders");
    }

    public virtual async Task DisposeAsync()
    {
        if (_store is not null)
        {
            await _store.DisposeAsync();
        }
    }

    protected abstract Task<IObjectStore> OpenAsync();

    [ConformanceFact]
    public async Task ReadAsync_NoneWasBegun_KeepsNobodyOut()
    {
        Assert.Null(await _epochs.ReadAsync(CancellationToken.None));
        Fence fence = await _epochs.EnterAsync("east", CancellationToken.None);
        Assert.Equal(0, fence.Epoch);
        await fence.CheckAsync(CancellationToken.None);
    }

    [ConformanceFact]
    public async Task AdvanceAsync_TheFormerRegion_IsKeptOutAndToldByWhom()
    {
        Fence east = await _epochs.EnterAsync("east", CancellationToken.None);
        FencingEpoch epoch = await _epochs.AdvanceAsync(0, "west", "the primary is gone", CancellationToken.None);
        Assert.Equal((1, "west"), (epoch.Number, epoch.Region));

        SmcException error = await SmcErrorCode.Fenced.ThrowsAsync(() => east.CheckAsync(CancellationToken.None));
        Assert.Contains("'east'", error.Message, StringComparison.Ordinal);
        Assert.Contains("'west'", error.Message, StringComparison.Ordinal);
        Assert.Contains("the primary is gone", error.Message, StringComparison.Ordinal);
        Assert.Contains(Environment.MachineName, error.Message, StringComparison.Ordinal);
        Assert.True(east.IsClosed);
        await SmcErrorCode.Fenced.ThrowsAsync(() => _epochs.EnterAsync("east", CancellationToken.None));

        Fence west = await _epochs.EnterAsync("west", CancellationToken.None);
        await west.CheckAsync(CancellationToken.None);
        Assert.Equal(epoch, await _epochs.ReadAsync(CancellationToken.None));
    }

    [ConformanceFact]
    public async Task AdvanceAsync_ManyAtOnce_OneAloneBeginsEachEpoch()
    {
        for (long number = 0; number < 5; number++)
        {
            long after = number;
            Task<FencingEpoch>[] tries =
            [
                .. Enumerable.Range(0, 6).Select(i => Task.Run(() => _epochs.AdvanceAsync(after, $"region{i}", null, CancellationToken.None))),
            ];
            await ((Task)Task.WhenAll(tries)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            FencingEpoch winner = await Assert.Single(tries, static task => task.IsCompletedSuccessfully);
            Assert.All(tries.Where(static task => task.IsFaulted), static task =>
                Assert.Equal(SmcErrorCode.Fenced, Assert.IsType<SmcException>(task.Exception!.InnerException).Code));
            Assert.Equal(winner, await _epochs.ReadAsync(CancellationToken.None));
        }
    }

    [ConformanceFact]
    public async Task AdvanceAsync_OtherSiteOfTheSameRepository_IsNotConcerned()
    {
        await _epochs.AdvanceAsync(0, "west", null, CancellationToken.None);
        Fence other = await new FencingEpochs(_repository, "payments").EnterAsync("east", CancellationToken.None);
        await other.CheckAsync(CancellationToken.None);
    }

    [ConformanceFact]
    public async Task AdvanceAsync_BehindAnEpochThatThereIsNot_IsRefused()
    {
        await Assert.ThrowsAsync<SmcException>(() => _epochs.AdvanceAsync(4, "west", null, CancellationToken.None));
        Assert.Null(await _epochs.ReadAsync(CancellationToken.None));
    }

    [ConformanceFact]
    public async Task PutSegment_NextEpochBeginsAtAnyCall_WhatWasAcknowledgedIsSeenByWhoBeganIt()
    {
        // The claim of FencingEpochs: at whatever call of the writer the next epoch begins, either the write is refused, or the object is there
        // for whoever lists from then on.
        for (int call = 1; ; call++)
        {
            string site = $"site{call}";
            FencingEpochs epochs = new(_repository, site);
            List<string>? seen = null;
            int calls = int.MinValue;
            HookedObjectStore hooked = new(_store, async (_, _) =>
            {
                if (Interlocked.Increment(ref calls) == call)
                {
                    await epochs.AdvanceAsync(0, "west", null, CancellationToken.None);
                    seen = await KeysAsync(_store, RepositoryKeys.Wal(SystemId + (ulong)call));
                }
            });
            Repository repository = await Repository.OpenAsync(_store, CancellationToken.None);
            Fence fence = await new FencingEpochs(repository.Over(hooked), site).EnterAsync("east", CancellationToken.None);
            calls = 0;
            WalArchive archive = new(repository.Over(hooked), SystemId + (ulong)call) { Guard = new FenceGuard(fence) };
            bool acknowledged = false;
            try
            {
                await archive.PutHistoryAsync(2, "1\t0/3000000\tno reason\n"u8.ToArray(), CancellationToken.None);
                acknowledged = true;
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.Fenced)
            {
                // Not acknowledged: that it may be there all the same is said to nobody.
            }

            if (seen is null)
            {
                Assert.True(acknowledged);
                Assert.Equal(4, call);
                return;
            }

            Assert.True(!acknowledged || seen.Count == 1, $"Call {call}: acknowledged, and not seen.");
            await SmcErrorCode.Fenced.ThrowsAsync(() => archive.PutHistoryAsync(3, "1\t0/3000000\tno reason\n"u8.ToArray(), CancellationToken.None));
            Assert.DoesNotContain(
                await KeysAsync(_store, RepositoryKeys.Wal(SystemId + (ulong)call)), static key => key.EndsWith("/00000003.history", StringComparison.Ordinal));
        }
    }
}
