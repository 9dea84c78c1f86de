using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.IO.Pipelines;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>
/// WAL on its way from the task that receives it to the one that stores it. The second is not woken for each message, of which a busy server
/// sends one for each commit, but for the first, and then when it has an amount of work or its time has come.
/// </summary>
internal sealed class WalInbox : IDisposable
{
    private const int MaximumLength = 8 << 20;
    private const int BlockLength = 512 << 10;
    private const int BatchLength = 1 << 20;

    private readonly Pipe _pipe = new(new PipeOptions(
        pauseWriterThreshold: MaximumLength,
        resumeWriterThreshold: MaximumLength / 2,
        minimumSegmentSize: BlockLength,
        useSynchronizationContext: false));

    private readonly Timer _timer;
    private readonly ConcurrentQueue<(long End, long Arrived, DateTimeOffset? ServerTime)> _marks = new();
    private long _added;
    private long _taken;

    public WalInbox() =>
        _timer = new Timer(static inbox => ((WalInbox)inbox!)._pipe.Reader.CancelPendingRead(), this, Timeout.Infinite, Timeout.Infinite);

    /// <summary>Room for what comes next, to be filled before <see cref="AddAsync"/>.</summary>
    public Memory<byte> GetRoom(int length) => _pipe.Writer.GetMemory(length)[..length];

    /// <summary>Hands over what was put into the room. Waits while there is more than can be stored.</summary>
    /// <param name="length">How much of it counts.</param>
    /// <param name="serverTime">The server's clock, where it had no WAL behind these bytes.</param>
    /// <param name="cancellationToken">Stops the waiting.</param>
    public async ValueTask AddAsync(int length, DateTimeOffset? serverTime, CancellationToken cancellationToken)
    {
        _pipe.Writer.Advance(length);
        _added += length;
        _marks.Enqueue((_added, Stopwatch.GetTimestamp(), serverTime));
        await _pipe.Writer.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Nothing more comes.</summary>
    public void Complete() => _pipe.Writer.Complete();

    /// <summary>Takes all that is there.</summary>
    /// <param name="patience">How long to wait for more to be there than is worth the work; null = until there is anything.</param>
    /// <param name="cancellationToken">Stops the waiting.</param>
    public async ValueTask<Batch> TakeAsync(TimeSpan? patience, CancellationToken cancellationToken)
    {
        ReadResult read;
        if (patience is not { } time)
        {
            read = await _pipe.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
        }
        else if (time <= TimeSpan.Zero)
        {
            if (!_pipe.Reader.TryRead(out read))
            {
                return default;
            }
        }
        else
        {
            _timer.Change(time, Timeout.InfiniteTimeSpan);
            read = await _pipe.Reader.ReadAtLeastAsync(BatchLength, cancellationToken).ConfigureAwait(false);
            _timer.Change(Timeout.Infinite, Timeout.Infinite);
        }

        _taken += read.Buffer.Length;
        long? arrived = null;
        DateTimeOffset? serverTime = null;
        while (_marks.TryPeek(out (long End, long Arrived, DateTimeOffset? ServerTime) mark) && mark.End <= _taken)
        {
            arrived ??= mark.Arrived;
            serverTime = mark.ServerTime ?? serverTime;
            _marks.TryDequeue(out _);
        }

        return new Batch(read.Buffer, arrived ?? 0, serverTime, read.IsCompleted) { IsRead = true };
    }

    /// <summary>Gives a batch's memory back.</summary>
    public void Release(Batch batch)
    {
        if (batch.IsRead)
        {
            _pipe.Reader.AdvanceTo(batch.Bytes.End);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer.Dispose();
        _pipe.Reader.Complete();
    }

    /// <summary>What was taken.</summary>
    /// <param name="Bytes">The bytes.</param>
    /// <param name="Arrived">When the first of them came, as <see cref="Stopwatch.GetTimestamp"/> counts.</param>
    /// <param name="ServerTime">The server's clock at a moment at which it had no WAL behind them.</param>
    /// <param name="IsLast">Whether nothing more comes.</param>
    public readonly record struct Batch(ReadOnlySequence<byte> Bytes, long Arrived, DateTimeOffset? ServerTime, bool IsLast)
    {
        /// <summary>Whether there is anything to give back.</summary>
        public bool IsRead { get; init; }
    }
}
