using System.Buffers.Binary;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>
/// The checksum of RDB files and of DUMP payloads: CRC-64 with the Jones polynomial 0xAD93D23594C935A9, bits reflected, beginning at
/// zero and not inverted at the end. Of "123456789" it is 0xE9C6D914C4B8D9CA.
/// </summary>
public static class RedisCrc64
{
    private const ulong ReflectedPolynomial = 0x95AC9329AC4BC9B5;

    // Table k holds what a byte contributes when k more bytes follow it, so that eight bytes cost eight independent look-ups.
    private static readonly ulong[] s_tables = CreateTables();

    /// <summary>Continues a checksum, which begins as 0, with further bytes.</summary>
    public static ulong Append(ulong checksum, ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<ulong> tables = s_tables;
        tables = tables[..(8 * 256)];
        while (bytes.Length >= 8)
        {
            ulong word = checksum ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes);
            checksum = tables[(7 * 256) + (int)(word & 0xFF)]
                ^ tables[(6 * 256) + (int)((word >> 8) & 0xFF)]
                ^ tables[(5 * 256) + (int)((word >> 16) & 0xFF)]
                ^ tables[(4 * 256) + (int)((word >> 24) & 0xFF)]
                ^ tables[(3 * 256) + (int)((word >> 32) & 0xFF)]
                ^ tables[(2 * 256) + (int)((word >> 40) & 0xFF)]
                ^ tables[(1 * 256) + (int)((word >> 48) & 0xFF)]
                ^ tables[(int)(word >> 56)];
            bytes = bytes[8..];
        }

        foreach (byte value in bytes)
        {
            checksum = tables[(byte)(checksum ^ value)] ^ (checksum >> 8);
        }

        return checksum;
    }

    private static ulong[] CreateTables()
    {
        ulong[] tables = new ulong[8 * 256];
        for (int value = 0; value < 256; value++)
        {
            ulong checksum = (ulong)value;
            for (int bit = 0; bit < 8; bit++)
            {
                checksum = (checksum & 1) == 0 ? checksum >> 1 : (checksum >> 1) ^ ReflectedPolynomial;
            }

            tables[value] = checksum;
        }

        for (int index = 256; index < tables.Length; index++)
        {
            ulong before = tables[index - 256];
            tables[index] = tables[(byte)before] ^ (before >> 8);
        }

        return tables;
    }
}
