using SmcDr.Core.Copies;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Tests.Copies;
using SmcDr.Core.Tests.Fixtures;
using SmcDr.Core.Tests.ObjectStores;
using SmcDr.Core.Tests.Postgres.BaseBackups;
using SmcDr.Core.Verification;
using static SmcDr.Core.Tests.Retention.RetentionWorld;

namespace SmcDr.Core.Tests.Postgres.Wal;

/// <summary>
/// Claims of streams on real stores, which keep time in their own way, and what others that work on the repository meanwhile make of them. One class
/// for each store inherits it.
/// </summary>
public abstract class StreamClaimConformance : IAsyncLifetime
{
    private static readonly TimeSpan s_never = TimeSpan.FromHours(1);
    private IObjectStore _store = null!;
    private Repository _repository = null!;

    public async Task InitializeAsync()
    {
        _store = await OpenAsync();
        _repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);
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
    public async Task TakeAsync_ManyAtOnce_NeverLetsTwoIn()
    {
        for (int round = 0; round < 3; round++)
        {
            Task<StreamClaim>[] takers = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(() => TakeAsync()))];
            List<StreamClaim> holders = [];
            foreach (Task<StreamClaim> taker in takers)
            {
                try
                {
                    holders.Add(await taker);
                }
                catch (SmcException e)
                {
                    Assert.Equal(SmcErrorCode.StreamRunning, e.Code);
                }
            }

            Assert.True(holders.Count <= 1);
            foreach (StreamClaim holder in holders)
            {
                await holder.CheckAsync(CancellationToken.None);
                await holder.DisposeAsync();
            }

            Assert.Empty(await ClaimsAsync());
        }
    }

    [ConformanceFact]
    public async Task TakeAsync_AnotherHoldsIt_IsRefusedUntilItIsGivenBack()
    {
        await using (StreamClaim first = await TakeAsync())
        {
            Assert.Equal(SmcErrorCode.StreamRunning, (await Assert.ThrowsAsync<SmcException>(() => TakeAsync())).Code);
            await first.CheckAsync(CancellationToken.None);
            Assert.Single(await ClaimsAsync());
        }

        await using StreamClaim second = await TakeAsync();
        Assert.False(second.ReplacedAnother);
    }

    [ConformanceFact]
    public async Task TakeAsync_Takeover_EndsAHolderThatRenewsAllTheTime()
    {
        StreamClaim first = await TakeAsync(interval: TimeSpan.FromMilliseconds(5));
        await using StreamClaim second = await TakeAsync(takeover: true);

        await UntilAsync(() => first.Lost.IsCancellationRequested);
        Assert.Equal(SmcErrorCode.StreamTaken, (await Assert.ThrowsAsync<SmcException>(() => first.CheckAsync(CancellationToken.None))).Code);
        await first.DisposeAsync();
        await second.CheckAsync(CancellationToken.None);
        Assert.Equal(SmcErrorCode.StreamRunning, (await Assert.ThrowsAsync<SmcException>(() => TakeAsync())).Code);
    }

    [ConformanceFact]
    public async Task TakeAsync_NoSignOfLife_ExpiresByTheClockOfTheStore()
    {
        // Stores that tell times in whole seconds must not let a claim expire early.
        await using StreamClaim sleeper = await TakeAsync(expiry: TimeSpan.FromMilliseconds(1_500));
        await using StreamClaim next = await UntilTakenAsync();

        Assert.True(next.ReplacedAnother);
        Assert.Equal(SmcErrorCode.StreamTaken, (await Assert.ThrowsAsync<SmcException>(() => sleeper.CheckAsync(CancellationToken.None))).Code);
        await next.CheckAsync(CancellationToken.None);
    }

    [ConformanceFact]
    public async Task TakeAsync_RenewedInTime_OutlivesItsExpiry()
    {
        await using StreamClaim holder = await TakeAsync(interval: TimeSpan.FromMilliseconds(100), expiry: TimeSpan.FromSeconds(5));
        string first = (await ClaimsAsync())[^1];
        DateTimeOffset begin = (await _store.GetInfoAsync(first, CancellationToken.None))!.LastModified;

        while ((await ClaimsAsync()) is var claims && (await _store.GetInfoAsync(claims[^1], CancellationToken.None))?.LastModified < begin.AddSeconds(7))
        {
            await Task.Delay(50);
        }

        Assert.Equal(SmcErrorCode.StreamRunning, (await Assert.ThrowsAsync<SmcException>(() => TakeAsync())).Code);
        await holder.CheckAsync(CancellationToken.None);
    }

    [ConformanceFact]
    public async Task ListSystemsAsync_NothingButAClaim_IsNoClusterOfTheRepository()
    {
        await using StreamClaim claim = await TakeAsync();
        Assert.NotEmpty(await ClaimsAsync());

        await foreach (ulong system in WalArchive.ListSystemsAsync(_repository, CancellationToken.None))
        {
            Assert.Fail($"There is no WAL of {system}.");
        }

        // A stream that was pointed at the wrong server, and killed, keeps no other out.
        await ClusterIdentity.CheckAsync(_repository, SystemId + 1, false, "db:5432", CancellationToken.None);
        await PutSegmentAsync(_repository, 2);
        Assert.Equal(
            SmcErrorCode.SystemIdMismatch,
            (await Assert.ThrowsAsync<SmcException>(
                () => ClusterIdentity.CheckAsync(_repository, SystemId + 1, false, "db:5432", CancellationToken.None))).Code);
    }

    [ConformanceFact]
    public async Task RetentionCopyAndVerification_WhileAStreamHoldsAndRenewsItsClaim_LeaveItAloneAndDoNotComplain()
    {
        for (int number = 1; number <= 6; number++)
        {
            await PutSegmentAsync(_repository, number);
        }

        await PutPieceAsync(_repository, 7, 0, 100);
        string removed = await WriteDatabaseAsync(_repository, 2);
        string kept = await WriteDatabaseAsync(_repository, 5);
        // What a takeover leaves is there as well.
        StreamClaim former = await TakeAsync();
        await using StreamClaim holder = await TakeAsync(interval: TimeSpan.FromMilliseconds(5), takeover: true);
        Assert.Equal(SmcErrorCode.StreamTaken, (await Assert.ThrowsAsync<SmcException>(() => former.CheckAsync(CancellationToken.None))).Code);
        await former.DisposeAsync();
        List<string> ended = [.. (await ClaimsAsync()).Where(static key => key.EndsWith("/ended", StringComparison.Ordinal))];
        Assert.Single(ended);

        RecordingObserver observer = new();
        List<BackupTestResult> tests = await VerifyAsync(observer);
        Assert.Equal([kept, removed], tests.Select(static test => test.Id).OrderDescending(StringComparer.Ordinal));
        Assert.All(tests, static test => Assert.Equal(("Passed", 0), (test.Outcome, test.Problems.Count)));

        using TemporaryDirectory directory = new();
        DirectoryObjectStore destination = new(Path.Combine(directory.Path, "copy"));
        List<BackupCopyResult> copies = await CopyLab.CopyAllAsync(_store, destination, observer);
        Assert.All(copies, static copy => Assert.Equal(("Complete", 0), (copy.State, copy.Problems.Count)));
        Assert.DoesNotContain(await destination.KeysAsync(), static key => key.Contains("/streams/", StringComparison.Ordinal));

        IReadOnlyList<RetentionResult> results = await Core.Tests.Retention.RetentionWorld.RunAsync(_store, new RetentionPolicy { Last = 1 });
        Assert.Contains(results, result => result.Id == removed && result.Action == "Removed");
        Assert.Contains(results, static result => result.Kind == "Wal");
        Assert.DoesNotContain(results, static result => result.Action == "Failed");
        Assert.DoesNotContain(await KeysAsync(_store, RepositoryKeys.Wal(SystemId)), static key => key.EndsWith("000000010000000000000003", StringComparison.Ordinal));

        // The stream goes on: neither lost nor replaced, and its signs of life are its own.
        await holder.CheckAsync(CancellationToken.None);
        Assert.False(holder.Lost.IsCancellationRequested);
        List<string> claims = await ClaimsAsync();
        Assert.Contains(ended[0], claims);
        Assert.Equal(2, claims.Select(static key => key[..key.LastIndexOf('/')]).Distinct().Count());
        Assert.Empty(observer.Warnings);

        // The copy is a repository of its own, in which another stream may begin.
        Repository copied = await Repository.OpenAsync(destination, CancellationToken.None);
        await using StreamClaim second = await StreamClaim.TakeAsync(
            copied, SystemId, StreamHolder.Create("db:5432", "slot_b", s_never), s_never, false, false, NullObserver.Instance, CancellationToken.None);
        Assert.False(second.ReplacedAnother);
    }

    private async Task<List<BackupTestResult>> VerifyAsync(IOperationObserver observer)
    {
        Repository repository = await Repository.OpenAsync(_store, CancellationToken.None);
        List<BackupTestResult> results = [];
        await foreach (BackupTestResult result in new BackupVerification(
            repository, new BackupVerificationOptions { Deep = true }, observer).RunAsync(CancellationToken.None))
        {
            results.Add(result);
        }

        return results;
    }

    private Task<List<string>> ClaimsAsync() => KeysAsync(_store, StreamClaim.Folder(SystemId));

    private Task<StreamClaim> TakeAsync(TimeSpan? interval = null, TimeSpan? expiry = null, bool takeover = false) => StreamClaim.TakeAsync(
        _repository,
        SystemId,
        StreamHolder.Create("db:5432", "slot_a", expiry ?? TimeSpan.FromMinutes(1)),
        interval ?? s_never,
        takeover,
        mayWait: false,
        NullObserver.Instance,
        CancellationToken.None);

    private async Task<StreamClaim> UntilTakenAsync()
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        while (true)
        {
            try
            {
                return await TakeAsync();
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.StreamRunning)
            {
                await Task.Delay(50, limit.Token);
            }
        }
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        while (!condition())
        {
            await Task.Delay(5, limit.Token);
        }
    }
}
