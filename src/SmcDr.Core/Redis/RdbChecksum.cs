using System.Buffers.Binary;

namespace SmcDr.Core.Redis;

/// <summary>The CRC-64 at the end of an RDB: Jones's polynomial, bits reflected, begun with zero (redis, crc64.c).</summary>
internal static class RdbChecksum
{
    // 0xad93d23594c935a9 with its bits the other way round.
    private const ulong Polynomial = 0x95AC9329AC4BC9B5;
    private const int Slices = 8;

    private static readonly ulong[] s_tables = CreateTables();

    /// <summary>Goes on with a checksum.</summary>
    public static ulong Append(ulong crc, ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<ulong> tables = s_tables;
        // Eight bytes at a time, each through a table of its own ("slicing by eight").
        while (bytes.Length >= Slices)
        {
            ulong x = crc ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes);
            crc = tables[(7 * 256) + (int)(byte)x]
                ^ tables[(6 * 256) + (int)(byte)(x >> 8)]
                ^ tables[(5 * 256) + (int)(byte)(x >> 16)]
                ^ tables[(4 * 256) + (int)(byte)(x >> 24)]
                ^ tables[(3 * 256) + (int)(byte)(x >> 32)]
                ^ tables[(2 * 256) + (int)(byte)(x >> 40)]
                ^ tables[256 + (int)(byte)(x >> 48)]
                ^ tables[(int)(x >> 56)];
            bytes = bytes[Slices..];
        }

        foreach (byte b in bytes)
        {
            crc = tables[(byte)crc ^ b] ^ (crc >> 8);
        }

        return crc;
    }

    private static ulong[] CreateTables()
    {
        ulong[] tables = new ulong[Slices * 256];
        for (int i = 0; i < 256; i++)
        {
            ulong crc = (ulong)i;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ Polynomial;
            }

            tables[i] = crc;
        }

        for (int i = 256; i < tables.Length; i++)
        {
            ulong before = tables[i - 256];
            tables[i] = tables[(byte)before] ^ (before >> 8);
        }

        return tables;
    }
}
