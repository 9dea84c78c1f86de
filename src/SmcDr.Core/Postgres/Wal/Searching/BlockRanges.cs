namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>Blocks of a file, in few ranges: where there are many apart, blocks between them count as well.</summary>
internal sealed class BlockRanges
{
    /// <summary>How many ranges are kept at most.</summary>
    public const int Most = 256;

    private readonly List<(uint First, uint Last)> _ranges = [];

    // Blocks that are no further apart are one range.
    private uint _gap = 8;

    /// <summary>The ranges, both ends included, in order; none where nothing was added.</summary>
    public IReadOnlyList<(uint First, uint Last)> Ranges => _ranges;

    /// <summary>Adds a block.</summary>
    public void Add(uint block) => Add(block, block);

    /// <summary>Adds all blocks of others.</summary>
    public void Add(BlockRanges other)
    {
        foreach ((uint first, uint last) in other._ranges)
        {
            Add(first, last);
        }
    }

    /// <summary>Makes it all blocks that a file can have.</summary>
    public void AddAll()
    {
        _ranges.Clear();
        _ranges.Add((0, uint.MaxValue));
    }

    private void Add(uint first, uint last)
    {
        // The first range that ends close enough before the new one begins, or behind it.
        int low = 0;
        int high = _ranges.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if ((ulong)_ranges[middle].Last + _gap < first)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        int end = low;
        while (end < _ranges.Count && _ranges[end].First <= (ulong)last + _gap)
        {
            first = Math.Min(first, _ranges[end].First);
            last = Math.Max(last, _ranges[end].Last);
            end++;
        }

        if (end == low + 1)
        {
            _ranges[low] = (first, last);
            return;
        }

        _ranges.RemoveRange(low, end - low);
        _ranges.Insert(low, (first, last));
        while (_ranges.Count > Most)
        {
            _gap = _gap > uint.MaxValue / 2 ? uint.MaxValue : _gap * 2;
            Merge();
        }
    }

    private void Merge()
    {
        int kept = 0;
        for (int i = 1; i < _ranges.Count; i++)
        {
            if (_ranges[i].First <= (ulong)_ranges[kept].Last + _gap)
            {
                _ranges[kept] = (_ranges[kept].First, Math.Max(_ranges[kept].Last, _ranges[i].Last));
            }
            else
            {
                _ranges[++kept] = _ranges[i];
            }
        }

        _ranges.RemoveRange(kept + 1, _ranges.Count - kept - 1);
    }
}
