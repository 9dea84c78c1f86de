using System.Diagnostics;
using SmcDr;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Bench;

/// <summary>How long it takes from the server's word that WAL is on its disk to the stream's word that it is durable in the repository.</summary>
internal sealed class DelayMeter : IProgress<WalStreamStatus>
{
    private readonly Lock _lock = new();
    private readonly Queue<(Lsn Lsn, long Time)> _open = new();
    private readonly List<double> _delays = [];

    public Lsn Last { get; private set; }

    public void Committed(Lsn lsn, long time)
    {
        lock (_lock)
        {
            // Only what is new: an idle moment is no sample.
            if (lsn > Last)
            {
                _open.Enqueue((lsn, time));
                Last = lsn;
            }
        }
    }

    public void Report(WalStreamStatus value)
    {
        lock (_lock)
        {
            while (value.FlushedLsn is { } flushed && _open.TryPeek(out (Lsn Lsn, long Time) sample) && sample.Lsn <= Lsn.Parse(flushed))
            {
                _delays.Add(Stopwatch.GetElapsedTime(sample.Time).TotalMilliseconds);
                _open.Dequeue();
            }
        }
    }

    public void Clear()
    {
        lock (_lock)
        {
            _open.Clear();
            _delays.Clear();
        }
    }

    public List<double> Take()
    {
        lock (_lock)
        {
            return [.. _delays];
        }
    }
}
