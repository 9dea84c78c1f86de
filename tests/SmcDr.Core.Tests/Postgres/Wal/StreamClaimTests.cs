using System.Diagnostics;
using System.Text.Json;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Postgres.Wal;

public sealed class StreamClaimTests : IAsyncLifetime
{
    private const ulong SystemId = 7300000000000000001;
    private static readonly TimeSpan s_never = TimeSpan.FromHours(1);
    private readonly MemoryObjectStore _store = new();
    private Repository _repository = null!;

    public async Task InitializeAsync() => _repository = await Repository.OpenOrCreateAsync(_store, CancellationToken.None);

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task TakeAsync_AnotherStreamHoldsIt_IsRefusedAndSaysWhoAndHowToTakeOver()
    {
        await using StreamClaim first = await TakeAsync();
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => TakeAsync());
        Assert.Equal(SmcErrorCode.StreamRunning, error.Code);
        Assert.Contains(Environment.MachineName, error.Message, StringComparison.Ordinal);
        Assert.Contains($"process {Environment.ProcessId}", error.Message, StringComparison.Ordinal);
        Assert.Contains("since", error.Message, StringComparison.Ordinal);
        Assert.Contains("'slot_a'", error.Message, StringComparison.Ordinal);
        Assert.Contains("--takeover", error.Recommendation, StringComparison.Ordinal);
        Assert.Contains("1 m", error.Recommendation, StringComparison.Ordinal);
        await first.CheckAsync(CancellationToken.None);
        Assert.Single(Claims());
    }

    [Fact]
    public async Task DisposeAsync_LetsTheNextOneIn_AndLeavesNothing()
    {
        StreamClaim first = await TakeAsync();
        await first.DisposeAsync();
        Assert.Empty(Claims());
        await using StreamClaim second = await TakeAsync();
        Assert.False(second.ReplacedAnother);
    }

    [Fact]
    public async Task TakeAsync_HolderGaveNoSignOfLife_TakesOverAndTheSleeperNoticesBeforeItWrites()
    {
        await using StreamClaim sleeper = await TakeAsync(expiry: TimeSpan.FromMilliseconds(200));
        await using StreamClaim next = await UntilTakenAsync();
        Assert.True(next.ReplacedAnother);
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => sleeper.CheckAsync(CancellationToken.None));
        Assert.Equal(SmcErrorCode.StreamTaken, error.Code);
        Assert.True(sleeper.Lost.IsCancellationRequested);
        await next.CheckAsync(CancellationToken.None);
    }

    [Fact]
    public async Task TakeAsync_Takeover_EndsAHolderThatIsAlive_AndItsRenewalsDoNotBringItBack()
    {
        StreamClaim first = await TakeAsync(interval: TimeSpan.FromMilliseconds(5));
        await using StreamClaim second = await TakeAsync(takeover: true);
        await UntilAsync(() => first.Lost.IsCancellationRequested);
        Assert.Equal(SmcErrorCode.StreamTaken, Assert.Throws<SmcException>(first.ThrowIfLost).Code);
        await first.DisposeAsync();
        await second.CheckAsync(CancellationToken.None);
        SmcException refused = await Assert.ThrowsAsync<SmcException>(() => TakeAsync());
        Assert.Equal(SmcErrorCode.StreamRunning, refused.Code);
    }

    [Fact]
    public async Task TakeAsync_PausedBeforeItHolds_NoticesThatAnotherCameIn()
    {
        TaskCompletionSource paused = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskCompletionSource goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int count = 0;
        _store.BeforePut = async (key, _) =>
        {
            if (key.EndsWith("/0000000001", StringComparison.Ordinal) && Interlocked.Increment(ref count) == 1)
            {
                paused.SetResult();
                await goOn.Task;
            }
        };
        Task<StreamClaim> slow = TakeAsync(expiry: TimeSpan.FromMilliseconds(100));
        await paused.Task;
        await using StreamClaim fast = await UntilTakenAsync();
        goOn.SetResult();
        SmcException error = await Assert.ThrowsAsync<SmcException>(() => slow);
        Assert.Equal(SmcErrorCode.StreamTaken, error.Code);
        await fast.CheckAsync(CancellationToken.None);
    }

    [Fact]
    public async Task TakeAsync_DeadProcessOfThisHost_LetsGoAtOnce()
    {
        await PutClaimAsync(StreamHolder.Create("db:5432", "slot_a", s_never) with { ProcessStart = "1" });
        await using StreamClaim claim = await TakeAsync();
        Assert.True(claim.ReplacedAnother);
        Assert.Single(Claims());
    }

    [Fact]
    public async Task TakeAsync_KilledProcess_LetsGoAtOnce()
    {
        using Process process = Process.Start("sleep", "600");
        string stat = await File.ReadAllTextAsync($"/proc/{process.Id}/stat");
        await PutClaimAsync(StreamHolder.Create("db:5432", "slot_a", s_never) with
        {
            ProcessId = process.Id,
            ProcessStart = stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[19],
        });
        Assert.Equal(SmcErrorCode.StreamRunning, (await Assert.ThrowsAsync<SmcException>(() => TakeAsync())).Code);
        process.Kill();
        await process.WaitForExitAsync();
        await using StreamClaim claim = await TakeAsync();
        await claim.CheckAsync(CancellationToken.None);
    }

    [Fact]
    public async Task TakeAsync_ProcessNumberOfAnotherHostOrContainer_SaysNothing()
    {
        await PutClaimAsync(StreamHolder.Create("db:5432", "slot_a", s_never) with { ProcessStart = "1", Kernel = "another boot pid:[1]" });
        Assert.Equal(SmcErrorCode.StreamRunning, (await Assert.ThrowsAsync<SmcException>(() => TakeAsync())).Code);
    }

    [Fact]
    public async Task DisposeAsync_StoreLetsNothingBeRemoved_StillLetsTheNextOneIn()
    {
        _store.BeforeDelete = static (_, _) => throw new SmcException(SmcErrorCode.StorageAccessDenied, "Nothing may be removed.");
        StreamClaim first = await TakeAsync();
        await first.DisposeAsync();
        await using StreamClaim second = await TakeAsync();
        await second.CheckAsync(CancellationToken.None);
        await using StreamClaim third = await TakeAsync(takeover: true);
        Assert.Equal(SmcErrorCode.StreamTaken, (await Assert.ThrowsAsync<SmcException>(() => second.CheckAsync(default))).Code);
    }

    [Fact]
    public async Task RenewAsync_StoreIsAwayForAWhile_KeepsTheClaim()
    {
        bool isAway = false;
        int refused = 0;
        _store.BeforePut = (_, _) => Volatile.Read(ref isAway) && Interlocked.Increment(ref refused) > 0
            ? throw new SmcException(SmcErrorCode.StorageUnavailable, "Away.")
            : Task.CompletedTask;
        await using StreamClaim claim = await TakeAsync(interval: TimeSpan.FromMilliseconds(5));
        Volatile.Write(ref isAway, true);
        await UntilAsync(() => Volatile.Read(ref refused) > 3);
        Volatile.Write(ref isAway, false);
        string before = Claims()[^1];
        await UntilAsync(() => Claims()[^1] != before);
        await claim.CheckAsync(CancellationToken.None);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        while (!condition())
        {
            await Task.Delay(5, limit.Token);
        }
    }

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

    private string[] Claims() => [.. _store.Keys.Where(static key => key.StartsWith(StreamClaim.Folder(SystemId), StringComparison.Ordinal))];

    private Task PutClaimAsync(StreamHolder holder) => _store.PutAsync(
        StreamClaim.Folder(SystemId) + "20260101T000000Z-0000000000000000/0000000007",
        Envelope.Seal(JsonSerializer.SerializeToUtf8Bytes(holder, WalJson.Default.StreamHolder)),
        CancellationToken.None);
}
