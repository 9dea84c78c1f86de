using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery.Pods;

/// <summary>
/// Keeps the blocks that several regions need, until the last of them has it, as far as they fit: pages of an increment lie together with those of their
/// neighbours.
/// </summary>
/// <param name="capacity">How much may be kept, in bytes.</param>
internal sealed class BlockCache(long capacity)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<BlockReference, int> _uses = new(ReferenceEqualityComparer.Instance);
    private readonly Dictionary<BlockReference, byte[]> _kept = new(ReferenceEqualityComparer.Instance);
    private long _size;

    /// <summary>Says that one more region will ask for a block.</summary>
    public void Announce(BlockReference block)
    {
        lock (_lock)
        {
            _uses[block] = _uses.GetValueOrDefault(block) + 1;
        }
    }

    /// <summary>The content of a block where it is kept. The region that asks does not ask for it again.</summary>
    public byte[]? Take(BlockReference block)
    {
        lock (_lock)
        {
            int left = _uses[block] - 1;
            _uses[block] = left;
            if (left == 0 && _kept.Remove(block, out byte[]? last))
            {
                _size -= last.Length;
                return last;
            }

            return _kept.GetValueOrDefault(block);
        }
    }

    /// <summary>Keeps a block that was read, where others will ask for it.</summary>
    public void Offer(BlockReference block, ReadOnlyMemory<byte> content)
    {
        lock (_lock)
        {
            if (_uses[block] > 0 && _size + content.Length <= capacity && !_kept.ContainsKey(block))
            {
                _kept[block] = content.ToArray();
                _size += content.Length;
            }
        }
    }
}
