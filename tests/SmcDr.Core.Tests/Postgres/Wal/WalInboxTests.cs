using System.Buffers;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Tests.Postgres.Wal;

public sealed class WalInboxTests : IDisposable
{
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(60);
    private readonly WalInbox _inbox = new();

    public void Dispose() => _inbox.Dispose();

    [Fact]
    public async Task TakeAsync_NothingWaits_GivesTheFirstBytesAtOnce()
    {
        ValueTask<WalInbox.Batch> take = _inbox.TakeAsync(null, CancellationToken.None);
        Assert.False(take.IsCompleted);
        await AddAsync([1, 2, 3]);
        WalInbox.Batch batch = await take;
        Assert.Equal([1, 2, 3], batch.Bytes.ToArray());
        Assert.False(batch.IsLast);
        Assert.NotEqual(0, batch.Arrived);
        _inbox.Release(batch);
    }

    [Fact]
    public async Task TakeAsync_Patience_WaitsForMuchOrForTheTimeOrForTheEnd()
    {
        // Much.
        Task<WalInbox.Batch> much = _inbox.TakeAsync(s_long, CancellationToken.None).AsTask();
        await AddAsync(new byte[1000]);
        await AddAsync(new byte[1000]);
        Assert.False(much.IsCompleted);
        await AddAsync(new byte[2 << 20]);
        await ReleaseAsync(await much, 2000 + (2 << 20));

        // The time, with something and with nothing.
        await AddAsync(new byte[10]);
        await ReleaseAsync(await _inbox.TakeAsync(TimeSpan.FromMilliseconds(1), CancellationToken.None), 10);
        await ReleaseAsync(await _inbox.TakeAsync(TimeSpan.FromMilliseconds(1), CancellationToken.None), 0);
        await ReleaseAsync(await _inbox.TakeAsync(TimeSpan.Zero, CancellationToken.None), 0);

        // The end.
        Task<WalInbox.Batch> end = _inbox.TakeAsync(s_long, CancellationToken.None).AsTask();
        await AddAsync(new byte[5]);
        _inbox.Complete();
        WalInbox.Batch last = await end;
        Assert.True(last.IsLast);
        await ReleaseAsync(last, 5);
    }

    [Fact]
    public async Task TakeAsync_TimeRanOutBefore_DoesNotMakeTheNextOneMissAnything()
    {
        long taken = 0;
        Task add = Task.Run(async () =>
        {
            for (int i = 0; i < 2000; i++)
            {
                await AddAsync(new byte[100]);
            }

            _inbox.Complete();
        });
        for (bool isLast = false; !isLast;)
        {
            WalInbox.Batch batch = await _inbox.TakeAsync(TimeSpan.FromMilliseconds(1), CancellationToken.None);
            taken += batch.Bytes.Length;
            isLast = batch.IsLast;
            _inbox.Release(batch);
        }

        await add;
        Assert.Equal(200_000, taken);
    }

    [Fact]
    public async Task TakeAsync_ServersClock_IsTheNewestThatIsTrueOfWhatWasTaken()
    {
        DateTimeOffset first = DateTimeOffset.UnixEpoch;
        await AddAsync([1], first);
        await AddAsync([2]);
        WalInbox.Batch batch = await _inbox.TakeAsync(null, CancellationToken.None);
        Assert.Equal(first, batch.ServerTime);
        _inbox.Release(batch);
        await AddAsync([3]);
        batch = await _inbox.TakeAsync(null, CancellationToken.None);
        Assert.Null(batch.ServerTime);
        _inbox.Release(batch);
    }

    [Fact]
    public async Task TakeAsync_Arrived_IsWhenTheFirstOfTheBatchCame()
    {
        await AddAsync([1]);
        WalInbox.Batch first = await _inbox.TakeAsync(null, CancellationToken.None);
        _inbox.Release(first);
        await AddAsync([2]);
        long between = System.Diagnostics.Stopwatch.GetTimestamp();
        await AddAsync([3]);
        WalInbox.Batch second = await _inbox.TakeAsync(null, CancellationToken.None);
        _inbox.Release(second);
        Assert.InRange(second.Arrived, first.Arrived, between);
    }

    [Fact]
    public async Task AddAsync_NothingIsTaken_WaitsInsteadOfFillingTheMemory()
    {
        int added = 0;
        Task waiting;
        while ((waiting = AddAsync(new byte[1 << 20])).IsCompletedSuccessfully)
        {
            added++;
            Assert.InRange(added, 1, 8);
        }

        WalInbox.Batch batch = await _inbox.TakeAsync(null, CancellationToken.None);
        await ReleaseAsync(batch, (added + 1) << 20);
        await waiting.WaitAsync(s_long);
    }

    [Fact]
    public async Task TakeAsync_Cancelled_Throws()
    {
        using CancellationTokenSource stop = new();
        Task<WalInbox.Batch> take = _inbox.TakeAsync(s_long, stop.Token).AsTask();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => take);
    }

    private async Task AddAsync(byte[] bytes, DateTimeOffset? serverTime = null)
    {
        bytes.CopyTo(_inbox.GetRoom(bytes.Length));
        await _inbox.AddAsync(bytes.Length, serverTime, CancellationToken.None);
    }

    private Task ReleaseAsync(WalInbox.Batch batch, long expected)
    {
        Assert.Equal(expected, batch.Bytes.Length);
        _inbox.Release(batch);
        return Task.CompletedTask;
    }
}
