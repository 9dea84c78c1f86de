namespace SmcDr.Core.Redis.Restore;

/// <summary>The slot of a cluster that a key belongs to: CRC-16 (XMODEM) of the key, or of what it has in its first braces.</summary>
internal static class HashSlot
{
    /// <summary>How many there are.</summary>
    public const int Count = 16384;

    private const ushort Polynomial = 0x1021;
    private static readonly ushort[] s_table = CreateTable();

    public static int Of(ReadOnlySpan<byte> key)
    {
        // cluster.h, keyHashSlot: empty braces do not count, and then no later ones either.
        int open = key.IndexOf((byte)'{');
        int length = open < 0 ? -1 : key[(open + 1)..].IndexOf((byte)'}');
        return Crc16(length > 0 ? key.Slice(open + 1, length) : key) % Count;
    }

    private static ushort Crc16(ReadOnlySpan<byte> bytes)
    {
        int crc = 0;
        foreach (byte value in bytes)
        {
            crc = (ushort)(crc << 8) ^ s_table[(crc >> 8) ^ value];
        }

        return (ushort)crc;
    }

    private static ushort[] CreateTable()
    {
        ushort[] table = new ushort[256];
        for (int value = 0; value < 256; value++)
        {
            int crc = value << 8;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 0x8000) != 0 ? (crc << 1) ^ Polynomial : crc << 1;
            }

            table[value] = (ushort)crc;
        }

        return table;
    }
}
