using System.Globalization;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>
/// What was committed, by timeline: kept by the test alone, so that it can say what a recovery must bring back. One writer to a timeline,
/// so that the commits have an order.
/// </summary>
internal sealed class CommitLedger
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<uint, Branch> _branches = [];
    private long _lastId;

    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _branches.Values.Sum(static branch => branch.Rows.Count);
            }
        }
    }

    /// <summary>A row's id, never given twice: a row of a part of history that was left behind is known by it.</summary>
    public long NextId() => Interlocked.Increment(ref _lastId);

    /// <summary>A timeline begins, with these rows.</summary>
    public void Begin(TimelineHistory history, IEnumerable<long> rows)
    {
        lock (_lock)
        {
            _branches.Add(history.Timeline, new Branch(history, [.. rows]));
        }
    }

    public void Add(CommittedRow row)
    {
        lock (_lock)
        {
            _branches[row.Timeline].Rows.Add(row);
        }
    }

    public void Add(uint timeline, string restorePoint, Lsn end)
    {
        lock (_lock)
        {
            _branches[timeline].Points.Add((restorePoint, end));
        }
    }

    public TimelineHistory History(uint timeline)
    {
        lock (_lock)
        {
            return _branches[timeline].History;
        }
    }

    /// <summary>The rows at a position of a timeline's history.</summary>
    public ExpectedRows At(uint timeline, Lsn lsn)
    {
        lock (_lock)
        {
            Branch branch = Owner(timeline, lsn);
            ExpectedRows expected = new();
            expected.Must.UnionWith(branch.Inherited);
            foreach (CommittedRow row in branch.Rows)
            {
                if (row.After <= lsn)
                {
                    expected.Must.Add(row.Id);
                }
                else if (row.Before < lsn)
                {
                    // Its commit lies somewhere between the two positions.
                    expected.May.Add(row.Id);
                }
            }

            return expected;
        }
    }

    /// <summary>The rows up to a position of a timeline's history that were committed at an instant or before.</summary>
    public ExpectedRows At(uint timeline, Lsn end, DateTimeOffset time)
    {
        ExpectedRows all = At(timeline, end);
        Dictionary<long, DateTimeOffset?> times;
        lock (_lock)
        {
            times = _branches.Values.SelectMany(static branch => branch.Rows).ToDictionary(static row => row.Id, static row => row.Time);
        }

        // A row that is in doubt has no time that anybody knows.
        ExpectedRows expected = new();
        foreach (long id in all.Must.Concat(all.May))
        {
            DateTimeOffset? committed = times.GetValueOrDefault(id);
            if (committed is null || (committed <= time && all.May.Contains(id)))
            {
                expected.May.Add(id);
            }
            else if (committed <= time)
            {
                expected.Must.Add(id);
            }
        }

        return expected;
    }

    /// <summary>The commits of a timeline's history between two positions.</summary>
    public List<CommittedRow> Between(uint timeline, Lsn from, Lsn to)
    {
        lock (_lock)
        {
            return [.. _branches.Values.SelectMany(static branch => branch.Rows).Where(row =>
                row.Before >= from && row.After <= to && row.Time is not null && Owner(timeline, row.After).History.Timeline == row.Timeline)];
        }
    }

    /// <summary>The restore points: those of a timeline's history between two positions, and all others.</summary>
    public (List<(string Name, Lsn End)> Within, List<string> Outside) Points(uint timeline, Lsn from, Lsn to)
    {
        lock (_lock)
        {
            List<(string Name, Lsn End)> within = [];
            List<string> outside = [];
            foreach (Branch branch in _branches.Values)
            {
                foreach ((string name, Lsn end) in branch.Points)
                {
                    // A restore point's record has about a hundred bytes; at the edge nobody asks for one.
                    const int Margin = 512;
                    bool isOwn = Owner(timeline, end).History.Timeline == branch.History.Timeline;
                    if (isOwn && end > from + Margin && end <= to)
                    {
                        within.Add((name, end));
                    }
                    else if (!isOwn || end > to + Margin || end <= from)
                    {
                        outside.Add(name);
                    }
                }
            }

            return (within, outside);
        }
    }

    /// <summary>Every timeline began with what its parent had where it was left.</summary>
    public void Check()
    {
        foreach (Branch branch in _branches.Values.Where(static branch => branch.History.Branches.Count > 0))
        {
            TimelineBranch parent = branch.History.Branches[^1];
            At(parent.Timeline, parent.SwitchLsn).AssertAre(
                branch.Inherited, string.Create(CultureInfo.InvariantCulture, $"the beginning of timeline {branch.History.Timeline}"));
        }
    }

    private Branch Owner(uint timeline, Lsn lsn) => _branches[_branches[timeline].History.TimelineAt(lsn)];

    private sealed record Branch(TimelineHistory History, HashSet<long> Inherited)
    {
        public List<CommittedRow> Rows { get; } = [];

        public List<(string Name, Lsn End)> Points { get; } = [];
    }
}
