namespace SmcDr.Core.Postgres.Wal;

/// <summary>
/// How old the oldest WAL is that the repository lacks, as far as a stream can know. Safe for concurrent use.
/// </summary>
/// <remarks>
/// What is told of it is told when something has just become durable, and then nearly nothing waits. So the greatest age within the last
/// second counts, whenever somebody asks.
/// </remarks>
internal sealed class WalDelay(TimeProvider clock)
{
    private static readonly TimeSpan s_window = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan s_grain = TimeSpan.FromMilliseconds(20);

    private static readonly Lsn s_anywhere = new(ulong.MaxValue);

    private readonly Lock _lock = new();
    private readonly LinkedList<(Lsn End, long Time)> _waiting = new();
    private Lsn _flushed;
    private (TimeSpan Age, long Time)? _last;

    /// <summary>The age of the oldest WAL that is not durable, or was not within the last second; zero where there is none.</summary>
    public TimeSpan Value
    {
        get
        {
            lock (_lock)
            {
                TimeSpan past = _last is { } last && clock.GetElapsedTime(last.Time) < s_window ? last.Age : TimeSpan.Zero;
                TimeSpan now = _waiting.First is { Value: var oldest } ? clock.GetElapsedTime(oldest.Time) : TimeSpan.Zero;
                return now > past ? now : past;
            }
        }
    }

    /// <summary>How many times are kept.</summary>
    internal int Count => _waiting.Count;

    /// <summary>The server has WAL up to a position.</summary>
    public void Known(Lsn end)
    {
        lock (_lock)
        {
            Add(end, clock.GetTimestamp());
        }
    }

    /// <summary>The server's WAL ends at a position. What was thought to lie behind it does not.</summary>
    public void Connected(Lsn end)
    {
        lock (_lock)
        {
            long time = clock.GetTimestamp();
            while (_waiting.Last is { Value: var last } && last.End > end)
            {
                time = last.Time;
                _waiting.RemoveLast();
            }

            _flushed = _flushed > end ? end : _flushed;
            Add(end, time);
        }
    }

    /// <summary>The server is not heard any more. From now on it may write what nobody here knows of.</summary>
    public void Disconnected() => Known(s_anywhere);

    /// <summary>What is before a position is durable in the repository.</summary>
    public void Flushed(Lsn lsn)
    {
        lock (_lock)
        {
            _flushed = lsn > _flushed ? lsn : _flushed;
            if (_waiting.First is not { Value: var oldest } || oldest.End > lsn)
            {
                return;
            }

            // The first of them has waited longest.
            TimeSpan age = clock.GetElapsedTime(oldest.Time);
            if (_last is not { } last || age >= last.Age || clock.GetElapsedTime(last.Time) >= s_window)
            {
                _last = (age, clock.GetTimestamp());
            }

            while (_waiting.First is { Value: var next } && next.End <= lsn)
            {
                _waiting.RemoveFirst();
            }
        }
    }

    private void Add(Lsn end, long time)
    {
        if (end <= _flushed || _waiting.Last is { Value: var last } && last.End >= end)
        {
            return;
        }

        // What comes within a hundredth of the time that the oldest has waited counts as one: a repository that is away for a day must not fill
        // the memory.
        if (_waiting is { First.Value.Time: var oldest, Last: { } node } &&
            clock.GetElapsedTime(node.Value.Time, time) is var apart && (apart < s_grain || apart < clock.GetElapsedTime(oldest, time) / 100))
        {
            node.Value = (end, node.Value.Time);
        }
        else
        {
            _waiting.AddLast((end, time));
        }
    }
}
