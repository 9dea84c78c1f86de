using System.Buffers.Binary;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>What stands before a string: as itself, as a number of one, two or four bytes, or compressed by LZF.</summary>
internal readonly struct RdbStringHeader
{
    /// <summary>The header itself.</summary>
    public int HeaderLength { get; private init; }

    /// <summary>How many bytes follow it.</summary>
    public ulong StoredLength { get; private init; }

    /// <summary>How long the string is; of a number it is not known.</summary>
    public ulong Length { get; private init; }

    public bool IsNumber { get; private init; }

    public bool IsCompressed { get; private init; }

    /// <summary>
    /// Reads a header. Returns how many bytes it takes; or, negative, how many bytes are needed to say; or 0 with the fault.
    /// </summary>
    public static int Read(ReadOnlySpan<byte> source, out RdbStringHeader header, out string? fault)
    {
        header = default;
        fault = null;
        int size = RdbLength.Read(source, out ulong value, out bool isSpecial);
        if (size <= 0)
        {
            fault = "a string's length has an unknown form";
            return size;
        }

        if (!isSpecial)
        {
            header = new RdbStringHeader { HeaderLength = size, StoredLength = value, Length = value };
            return size;
        }

        switch (value)
        {
            case 0:
            case 1:
            case 2:
                header = new RdbStringHeader { HeaderLength = size, StoredLength = 1u << (int)value, IsNumber = true };
                return size;
            case 3:
                break;
            default:
                fault = "a string has an unknown special form";
                return 0;
        }

        int storedSize = RdbLength.Read(source[size..], out ulong stored, out bool storedIsSpecial);
        if (storedSize < 0)
        {
            return storedSize - size;
        }

        size += storedSize;
        int lengthSize = storedSize == 0 ? 0 : RdbLength.Read(source[size..], out value, out isSpecial);
        if (lengthSize < 0)
        {
            return lengthSize - size;
        }

        if (lengthSize == 0 || storedIsSpecial || isSpecial)
        {
            fault = "a compressed string's length has an unknown form";
            return 0;
        }

        // A longer one cannot come out; said before anybody makes room for it.
        if (value > long.MaxValue || stored > long.MaxValue || (value + Lzf.MaximumRatio - 1) / Lzf.MaximumRatio > stored)
        {
            fault = "a compressed string is said to be longer than what is compressed can hold";
            return 0;
        }

        size += lengthSize;
        header = new RdbStringHeader { HeaderLength = size, StoredLength = stored, Length = value, IsCompressed = true };
        return size;
    }

    /// <summary>The number that is stored.</summary>
    public static int ReadNumber(ReadOnlySpan<byte> stored) => stored.Length switch
    {
        1 => (sbyte)stored[0],
        2 => BinaryPrimitives.ReadInt16LittleEndian(stored),
        _ => BinaryPrimitives.ReadInt32LittleEndian(stored),
    };
}
