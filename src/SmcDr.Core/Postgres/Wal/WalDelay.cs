using System.Diagnostics;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>How long received bytes wait until they are durable. Safe for concurrent use.</summary>
internal sealed class WalDelay
{
    private readonly Lock _lock = new();
    private readonly Queue<(Lsn End, long Time)> _waiting = new();
    private TimeSpan _last;

    /// <summary>How long the oldest byte that is not durable has waited; where all are, how long it took with the last.</summary>
    public TimeSpan Value
    {
        get
        {
            lock (_lock)
            {
                return _waiting.TryPeek(out (Lsn End, long Time) oldest) ? Stopwatch.GetElapsedTime(oldest.Time) : _last;
            }
        }
    }

    public void Received(Lsn end)
    {
        lock (_lock)
        {
            _waiting.Enqueue((end, Stopwatch.GetTimestamp()));
        }
    }

    public void Flushed(Lsn lsn)
    {
        lock (_lock)
        {
            // The first that becomes durable has waited longest.
            for (bool isFirst = true; _waiting.TryPeek(out (Lsn End, long Time) oldest) && oldest.End <= lsn; isFirst = false)
            {
                _last = isFirst ? Stopwatch.GetElapsedTime(oldest.Time) : _last;
                _waiting.Dequeue();
            }
        }
    }
}
