using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>
/// A growing segment, compressed as it comes: each stretch is a frame, and frames one behind the other are what a decompressor takes as well. So of a
/// busy server, whose segments are full a moment after their pieces were stored, nothing is compressed twice.
/// </summary>
internal sealed class WalFrames
{
    // WAL of pgbench takes 15 % more room than at level 3, and a third of the time.
    private const int Level = 1;

    private readonly BlockCodec _codec = BlockCodecs.Default;
    private readonly List<(int Start, int Offset)> _frames = [];
    private byte[] _stored = [];
    private int _length;
    private int _end;

    /// <summary>Up to where the segment is compressed, from its beginning on without a break.</summary>
    public int End => _end;

    /// <summary>All frames.</summary>
    public WalPayload All => new(_codec, _stored.AsMemory(0, _length));

    /// <summary>Begins anew.</summary>
    public void Clear()
    {
        _frames.Clear();
        (_length, _end) = (0, 0);
    }

    /// <summary>
    /// Compresses a stretch. What was compressed from its beginning on is replaced. A stretch that gets no smaller is given as it is, and then what
    /// follows it is not joined to what was before.
    /// </summary>
    public WalPayload Add(int start, ReadOnlyMemory<byte> content)
    {
        int at = _frames.FindIndex(frame => frame.Start >= start);
        if (at >= 0)
        {
            (_end, _length) = (_frames[at].Start, _frames[at].Offset);
            _frames.RemoveRange(at, _frames.Count - at);
        }

        int room = _length + BlockCodecs.Bound(content.Length);
        if (room > _stored.Length)
        {
            Array.Resize(ref _stored, Math.Max(room, _stored.Length * 2));
        }

        int stored = BlockCodecs.Compress(_codec, content.Span, _stored.AsSpan(_length), Level);
        if (stored == 0)
        {
            return new WalPayload(BlockCodec.None, content);
        }

        WalPayload payload = new(_codec, _stored.AsMemory(_length, stored));
        if (_end == start)
        {
            _frames.Add((start, _length));
            (_length, _end) = (_length + stored, start + content.Length);
        }

        return payload;
    }
}
