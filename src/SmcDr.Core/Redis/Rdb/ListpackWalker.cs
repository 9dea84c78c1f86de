using System.Buffers.Binary;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>
/// Walks a listpack (listpack.c): bytes, elements (65535: not known), the elements, 255. Of each: its encoding, its content, and its
/// length again, written so that it can be read from the back.
/// </summary>
internal ref struct ListpackWalker
{
    private const int HeaderLength = 6;
    private readonly ReadOnlySpan<byte> _bytes;
    private int _at;

    public ListpackWalker(ReadOnlySpan<byte> bytes)
    {
        _bytes = bytes;
        _at = HeaderLength;
        if (bytes.Length <= HeaderLength || BinaryPrimitives.ReadUInt32LittleEndian(bytes) != (uint)bytes.Length || bytes[^1] != 0xFF)
        {
            Fault = "a listpack does not have the length that it states";
        }
    }

    /// <summary>What is wrong, after <see cref="MoveNext"/> said that there is nothing more.</summary>
    public string? Fault { get; private set; }

    /// <summary>How many elements have been passed.</summary>
    public long Count { get; private set; }

    /// <summary>Whether the element is a number.</summary>
    public bool IsNumber { get; private set; }

    /// <summary>The number.</summary>
    public long Number { get; private set; }

    /// <summary>The bytes of an element that is no number.</summary>
    public ReadOnlySpan<byte> Text { get; private set; }

    /// <summary>Goes to the next element; false at the end, and at the first fault.</summary>
    public bool MoveNext()
    {
        if (Fault is not null)
        {
            return false;
        }

        int end = _bytes.Length - 1;
        if (_at == end)
        {
            int stated = BinaryPrimitives.ReadUInt16LittleEndian(_bytes[4..]);
            if (stated != ushort.MaxValue && stated != Count)
            {
                Fault = "a listpack does not have as many elements as it states";
            }

            return false;
        }

        ReadOnlySpan<byte> element = _bytes[_at..end];
        byte encoding = element[0];
        ulong length;
        int header = 1;
        IsNumber = true;
        if (encoding < 0x80)
        {
            length = 1;
            Number = encoding;
        }
        else if (encoding < 0xC0)
        {
            length = 1u + (encoding & 0x3Fu);
            IsNumber = false;
        }
        else if (encoding < 0xE0)
        {
            length = 2;
        }
        else if (encoding < 0xF0)
        {
            length = element.Length < 2 ? ulong.MaxValue : 2u + ((encoding & 0xFu) << 8) + element[1];
            header = 2;
            IsNumber = false;
        }
        else
        {
            switch (encoding)
            {
                case 0xF0:
                    length = element.Length < 5 ? ulong.MaxValue : 5ul + BinaryPrimitives.ReadUInt32LittleEndian(element[1..]);
                    header = 5;
                    IsNumber = false;
                    break;
                case 0xF1:
                    length = 3;
                    break;
                case 0xF2:
                    length = 4;
                    break;
                case 0xF3:
                    length = 5;
                    break;
                case 0xF4:
                    length = 9;
                    break;
                default:
                    Fault = encoding == 0xFF ? "a listpack ends before its end" : "an element of a listpack has an unknown encoding";
                    return false;
            }
        }

        if (length >= (ulong)element.Length || !TryBackLength(element[(int)length..], (uint)length, out int backLength))
        {
            Fault = "an element of a listpack reaches over its end, or states two lengths";
            return false;
        }

        Text = IsNumber ? default : element[header..(int)length];
        if (IsNumber && length > 1)
        {
            Number = length switch
            {
                2 => SignExtend(((uint)(encoding & 0x1F) << 8) | element[1], 13),
                3 => BinaryPrimitives.ReadInt16LittleEndian(element[1..]),
                4 => SignExtend(BinaryPrimitives.ReadUInt16LittleEndian(element[1..]) | ((uint)element[3] << 16), 24),
                5 => BinaryPrimitives.ReadInt32LittleEndian(element[1..]),
                _ => BinaryPrimitives.ReadInt64LittleEndian(element[1..]),
            };
        }

        _at += (int)length + backLength;
        Count++;
        return true;
    }

    /// <summary>Goes to the next element, which must be a number.</summary>
    public bool MoveToNumber(out long number)
    {
        bool moved = MoveNext() && IsNumber;
        number = moved ? Number : 0;
        return moved;
    }

    /// <summary>Goes over elements.</summary>
    public bool Skip(long count)
    {
        for (long i = 0; i < count; i++)
        {
            if (!MoveNext())
            {
                return false;
            }
        }

        return count >= 0;
    }

    private static long SignExtend(uint value, int bits) => (int)(value << (32 - bits)) >> (32 - bits);

    // Seven bits a byte, the most significant first; all but the first of the bytes are marked.
    private static bool TryBackLength(ReadOnlySpan<byte> bytes, uint length, out int size)
    {
        size = length switch
        {
            <= 127 => 1,
            < 16383 => 2,
            < 2097151 => 3,
            < 268435455 => 4,
            _ => 5,
        };
        if (bytes.Length < size)
        {
            return false;
        }

        uint rest = length;
        for (int i = size - 1; i >= 0; i--)
        {
            byte expected = (byte)((rest & 127) | (i == 0 ? 0u : 128u));
            if (bytes[i] != expected)
            {
                return false;
            }

            rest >>= 7;
        }

        return true;
    }
}
