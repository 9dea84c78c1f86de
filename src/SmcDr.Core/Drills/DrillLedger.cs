namespace SmcDr.Core.Drills;

/// <summary>One writer's rows in the order of sending. Written by the writer, read by the drill.</summary>
internal sealed class DrillLedger(int writer)
{
    private readonly List<DrillCommit> _rows = [];
    private readonly Lock _lock = new();
    private long _acknowledged;

    /// <summary>How many rows were acknowledged.</summary>
    public long Acknowledged => Interlocked.Read(ref _acknowledged);

    /// <summary>Notes a row before it is sent.</summary>
    public void Sending(long id, DateTimeOffset time)
    {
        lock (_lock)
        {
            _rows.Add(new DrillCommit(id, writer, time, AcknowledgedTime: null));
        }
    }

    /// <summary>Notes that the server acknowledged the row that was sent last.</summary>
    public void LastAcknowledged(DateTimeOffset time)
    {
        lock (_lock)
        {
            _rows[^1] = _rows[^1] with { AcknowledgedTime = time };
        }

        Interlocked.Increment(ref _acknowledged);
    }

    /// <summary>Notes the commit time of the row before the one that was sent last.</summary>
    public void PreviousCommitted(DateTimeOffset time)
    {
        lock (_lock)
        {
            _rows[^2] = _rows[^2] with { CommitTime = time };
        }
    }

    /// <summary>The rows so far.</summary>
    public DrillCommit[] ToArray()
    {
        lock (_lock)
        {
            return [.. _rows];
        }
    }
}
