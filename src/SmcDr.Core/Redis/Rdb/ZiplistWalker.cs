using System.Buffers.Binary;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>
/// Walks a ziplist (ziplist.c): bytes, offset of the last entry, entries (65535: not known), the entries, 255. Of each: the length of the one
/// before it in one byte, or in four after 254; its encoding; its content.
/// </summary>
internal ref struct ZiplistWalker
{
    private const int HeaderLength = 10;
    private readonly ReadOnlySpan<byte> _bytes;
    private int _at;
    private int _last;
    private uint _lastLength;

    public ZiplistWalker(ReadOnlySpan<byte> bytes)
    {
        _bytes = bytes;
        _at = HeaderLength;
        _last = -1;
        if (bytes.Length <= HeaderLength || BinaryPrimitives.ReadUInt32LittleEndian(bytes) != (uint)bytes.Length || bytes[^1] != 0xFF)
        {
            Fault = "a ziplist does not have the length that it states";
        }
    }

    /// <summary>What is wrong, after <see cref="MoveNext"/> said that there is nothing more.</summary>
    public string? Fault { get; private set; }

    /// <summary>How many entries have been passed.</summary>
    public long Count { get; private set; }

    /// <summary>Whether the entry is a number.</summary>
    public bool IsNumber { get; private set; }

    /// <summary>The number.</summary>
    public long Number { get; private set; }

    /// <summary>The bytes of an entry that is no number.</summary>
    public ReadOnlySpan<byte> Text { get; private set; }

    /// <summary>Goes to the next entry; false at the end, and at the first fault.</summary>
    public bool MoveNext()
    {
        if (Fault is not null)
        {
            return false;
        }

        int end = _bytes.Length - 1;
        if (_at == end)
        {
            return Complete(end);
        }

        int start = _at;
        int at = start;
        uint statedLast = _bytes[at];
        at++;
        if (statedLast == 255)
        {
            return Fail("a ziplist ends before its end");
        }

        if (statedLast == 254)
        {
            if (end - at < 4)
            {
                return Fail("an entry of a ziplist reaches over its end");
            }

            statedLast = BinaryPrimitives.ReadUInt32LittleEndian(_bytes[at..]);
            at += 4;
        }

        if (statedLast != _lastLength)
        {
            return Fail("an entry of a ziplist states another length of the one before it");
        }

        if (at >= end)
        {
            return Fail("an entry of a ziplist reaches over its end");
        }

        byte encoding = _bytes[at];
        int header = 1;
        uint content;
        IsNumber = encoding >> 6 == 3;
        switch (encoding >> 6)
        {
            case 0:
                content = encoding;
                break;
            case 1:
                header = 2;
                content = end - at < 2 ? uint.MaxValue : ((uint)(encoding & 0x3F) << 8) | _bytes[at + 1];
                break;
            case 2:
                header = 5;
                content = end - at < 5 ? uint.MaxValue : BinaryPrimitives.ReadUInt32BigEndian(_bytes[(at + 1)..]);
                break;
            default:
                content = encoding switch
                {
                    0xC0 => 2,
                    0xD0 => 4,
                    0xE0 => 8,
                    0xF0 => 3,
                    0xFE => 1,
                    >= 0xF1 and <= 0xFD => 0,
                    _ => uint.MaxValue,
                };
                break;
        }

        if (header > end - at || content > (uint)(end - at - header))
        {
            return Fail("an entry of a ziplist reaches over its end");
        }

        ReadOnlySpan<byte> bytes = _bytes.Slice(at + header, (int)content);
        Text = IsNumber ? default : bytes;
        Number = IsNumber ? ReadNumber(encoding, bytes) : 0;
        _at = at + header + (int)content;
        _lastLength = (uint)(_at - start);
        _last = start;
        Count++;
        return true;
    }

    private static long ReadNumber(byte encoding, ReadOnlySpan<byte> bytes) => encoding switch
    {
        0xC0 => BinaryPrimitives.ReadInt16LittleEndian(bytes),
        0xD0 => BinaryPrimitives.ReadInt32LittleEndian(bytes),
        0xE0 => BinaryPrimitives.ReadInt64LittleEndian(bytes),
        0xF0 => BinaryPrimitives.ReadUInt16LittleEndian(bytes) | ((sbyte)bytes[2] << 16),
        0xFE => (sbyte)bytes[0],
        _ => (encoding & 0x0F) - 1,
    };

    private bool Complete(int end)
    {
        int stated = BinaryPrimitives.ReadUInt16LittleEndian(_bytes[8..]);
        uint tail = BinaryPrimitives.ReadUInt32LittleEndian(_bytes[4..]);
        return stated != ushort.MaxValue && stated != Count ? Fail("a ziplist does not have as many entries as it states")
            : tail > (uint)end || (_last >= 0 && tail != (uint)_last) ? Fail("a ziplist's last entry is not where it states")
            : false;
    }

    private bool Fail(string fault)
    {
        Fault = fault;
        return false;
    }
}
