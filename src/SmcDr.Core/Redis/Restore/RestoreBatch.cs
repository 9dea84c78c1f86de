using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Redis.Restore;

/// <summary>
/// Commands of many keys in the protocol's form, sent at once. Whatever becomes of a connection, it knows which of them were answered, so that the
/// others are sent again. Used again and again.
/// </summary>
internal sealed class RestoreBatch(RestoreCommandWriter writer) : RestoreItem
{
    /// <summary>So much is sent at once. More makes nothing faster, and less costs a call of the system for too few keys.</summary>
    public const int FullLength = 128 << 10;

    // What a single large value made of it is given back.
    private const int KeptLength = 2 * FullLength;

    private byte[] _bytes = new byte[KeptLength];
    private Entry[] _entries = new Entry[1024];
    private int _length;

    /// <summary>How many commands there are.</summary>
    public int Count { get; private set; }

    /// <summary>How many of them the server has answered.</summary>
    public int Answered { get; set; }

    /// <summary>How many of the keys the server took.</summary>
    public int TakenKeys { get; private set; }

    /// <summary>How many bytes these take in the RDB.</summary>
    public long TakenBytes { get; private set; }

    public bool IsFull => _length >= FullLength;

    /// <summary>The commands that were not answered.</summary>
    public ReadOnlyMemory<byte> Unanswered => Answered < Count ? _bytes.AsMemory(_entries[Answered].Start, _length - _entries[Answered].Start) : default;

    /// <summary>One command.</summary>
    public ReadOnlyMemory<byte> CommandOf(int index) =>
        _bytes.AsMemory(_entries[index].Start, (index + 1 < Count ? _entries[index + 1].Start : _length) - _entries[index].Start);

    /// <summary>The key of a command.</summary>
    public ReadOnlySpan<byte> KeyOf(int index) => _bytes.AsSpan(_entries[index].KeyStart, _entries[index].KeyLength);

    /// <summary>The dump of a command.</summary>
    public ReadOnlySpan<byte> DumpOf(int index) => _bytes.AsSpan(_entries[index].DumpStart, _entries[index].DumpLength);

    /// <summary>Notes that the server took a key.</summary>
    public void Take(int index)
    {
        TakenKeys++;
        TakenBytes += _entries[index].KeyLength + (long)_entries[index].DumpLength - 1 - RdbDump.FooterLength;
    }

    /// <summary>Adds the command for a key whose value is at hand.</summary>
    /// <param name="entry">The key.</param>
    /// <param name="payload">Its value as it is in the RDB.</param>
    /// <param name="version">The version that the dump is given.</param>
    public void Add(RdbEntry entry, ReadOnlySpan<byte> payload, int version)
    {
        ReadOnlySpan<byte> key = entry.Key.Span;
        RestoreTerms terms = RestoreTerms.Of(entry);
        int dumpLength = checked((int)RdbDump.GetLength(payload.Length));
        MakeRoom(checked(writer.MaximumLength(key.Length) + dumpLength));
        int at = _length;
        at += writer.WriteHead(_bytes.AsSpan(at), key, terms, dumpLength, out int keyOffset);
        int dumpStart = at;
        _bytes[at] = (byte)entry.Encoding;
        payload.CopyTo(_bytes.AsSpan(at + 1));
        at += 1 + payload.Length;
        RdbDump.WriteFooter(
            _bytes.AsSpan(at, RdbDump.FooterLength), RedisCrc64.Append(0, _bytes.AsSpan(dumpStart, at - dumpStart)), version);
        at += RdbDump.FooterLength;
        if (Count == _entries.Length)
        {
            Array.Resize(ref _entries, 2 * Count);
        }

        _entries[Count++] = new Entry(_length, _length + keyOffset, key.Length, dumpStart, dumpLength);
        _length = at + RestoreCommandWriter.WriteTail(_bytes.AsSpan(at), terms);
    }

    /// <summary>Makes it empty.</summary>
    public void Clear()
    {
        (_length, Count, Answered, TakenKeys, TakenBytes) = (0, 0, 0, 0, 0);
        if (_bytes.Length > 2 * KeptLength)
        {
            _bytes = new byte[KeptLength];
        }
    }

    private void MakeRoom(int length)
    {
        int needed = checked(_length + length);
        if (needed > _bytes.Length)
        {
            Array.Resize(ref _bytes, Math.Max(needed, 2 * _bytes.Length));
        }
    }

    private readonly record struct Entry(int Start, int KeyStart, int KeyLength, int DumpStart, int DumpLength);
}
