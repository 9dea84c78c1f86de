using System.Buffers.Binary;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>The format's lengths: 6, 14, 32 or 64 bits big-endian, or a note that a special string follows.</summary>
internal static class RdbLength
{
    /// <summary>
    /// Reads a length. Returns how many bytes it takes; or, negative, how many bytes are needed to say; or 0 where there is no
    /// such first byte.
    /// </summary>
    /// <param name="isSpecial">Whether <paramref name="value"/> is the kind of a special string and no length.</param>
    public static int Read(ReadOnlySpan<byte> source, out ulong value, out bool isSpecial)
    {
        value = 0;
        isSpecial = false;
        if (source.IsEmpty)
        {
            return -1;
        }

        byte first = source[0];
        switch (first >> 6)
        {
            case 0:
                value = first;
                return 1;
            case 1:
                if (source.Length < 2)
                {
                    return -2;
                }

                value = ((uint)(first & 0x3F) << 8) | source[1];
                return 2;
            case 3:
                value = (uint)(first & 0x3F);
                isSpecial = true;
                return 1;
            default:
                if (first == 0x80)
                {
                    return source.Length < 5 ? -5 : Read32(source, out value);
                }

                return first != 0x81 ? 0 : source.Length < 9 ? -9 : Read64(source, out value);
        }
    }

    /// <summary>Writes a length in its shortest form. Returns how many bytes that takes: 9 at most.</summary>
    public static int Write(Span<byte> target, ulong value)
    {
        switch (value)
        {
            case < 64:
                target[0] = (byte)value;
                return 1;
            case < 16384:
                BinaryPrimitives.WriteUInt16BigEndian(target, (ushort)(0x4000 | value));
                return 2;
            case <= uint.MaxValue:
                target[0] = 0x80;
                BinaryPrimitives.WriteUInt32BigEndian(target[1..], (uint)value);
                return 5;
            default:
                target[0] = 0x81;
                BinaryPrimitives.WriteUInt64BigEndian(target[1..], value);
                return 9;
        }
    }

    private static int Read32(ReadOnlySpan<byte> source, out ulong value)
    {
        value = BinaryPrimitives.ReadUInt32BigEndian(source[1..]);
        return 5;
    }

    private static int Read64(ReadOnlySpan<byte> source, out ulong value)
    {
        value = BinaryPrimitives.ReadUInt64BigEndian(source[1..]);
        return 9;
    }
}
