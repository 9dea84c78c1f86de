namespace SmcDr.Core.Postgres.Wal;

/// <summary>Collects what a scanner reports into an index.</summary>
internal sealed class WalIndexBuilder
{
    private readonly List<WalRestorePoint> _restorePoints = [];
    private long _commits;
    private long _aborts;
    private long _restorePointCount;
    private DateTimeOffset? _firstCommit;
    private DateTimeOffset? _lastCommit;
    private DateTimeOffset? _lastStop;
    private uint _minXid = uint.MaxValue;
    private uint _maxXid;
    private Lsn _lastEnd;

    public void Add(WalTransaction transaction)
    {
        if (transaction.IsCommit)
        {
            _commits++;
            _firstCommit = _firstCommit is null || transaction.Time < _firstCommit ? transaction.Time : _firstCommit;
            _lastCommit = WalIndex.Later(_lastCommit, transaction.Time);
        }
        else
        {
            _aborts++;
        }

        _lastStop = WalIndex.Later(_lastStop, transaction.Time);
        _minXid = Math.Min(_minXid, transaction.Xid);
        _maxXid = Math.Max(_maxXid, transaction.Xid);
        _lastEnd = transaction.EndLsn;
    }

    public void Add(WalRestorePoint point)
    {
        _restorePointCount++;
        if (_restorePoints.Count < WalIndex.MaximumRestorePoints)
        {
            _restorePoints.Add(point);
        }
    }

    /// <summary>Gives what was collected, and begins anew.</summary>
    public WalIndex Take()
    {
        bool any = _commits + _aborts > 0;
        WalIndex index = any || _restorePointCount > 0
            ? new WalIndex
            {
                Commits = _commits,
                Aborts = _aborts,
                FirstCommitTime = _firstCommit,
                LastCommitTime = _lastCommit,
                LastStopTime = _lastStop,
                MinXid = any ? _minXid : null,
                MaxXid = any ? _maxXid : null,
                LastEnd = any ? _lastEnd : null,
                RestorePoints = [.. _restorePoints],
                RestorePointCount = _restorePointCount,
            }
            : WalIndex.Empty;
        _restorePoints.Clear();
        (_commits, _aborts, _restorePointCount) = (0, 0, 0);
        (_firstCommit, _lastCommit, _lastStop) = (null, null, null);
        (_minXid, _maxXid) = (uint.MaxValue, 0);
        return index;
    }
}
