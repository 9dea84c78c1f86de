using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace SmcDr.Core.Redis.Rdb;

/// <summary>
/// The checksum of RDB files and of DUMP payloads: CRC-64 with the Jones polynomial 0xAD93D23594C935A9, bits reflected, beginning at
/// zero and not inverted at the end. Of "123456789" it is 0xE9C6D914C4B8D9CA.
/// </summary>
public static class RedisCrc64
{
    private const ulong ReflectedPolynomial = 0x95AC9329AC4BC9B5;

    private const int Lanes = 4;
    private const int LaneSize = 16;
    private const int LaneBits = 8 * LaneSize;

    /// <summary>From here on folding is faster than the tables.</summary>
    private const int FoldedLength = 2 * Lanes * LaneSize;

    // Table k holds what a byte contributes when k more bytes follow it, so that eight bytes cost eight independent look-ups.
    private static readonly ulong[] s_tables = CreateTables();

    private static readonly Vector128<ulong> s_foldAllLanes = FoldOver(Lanes * LaneBits);
    private static readonly Vector128<ulong> s_foldOneLane = FoldOver(LaneBits);

    /// <summary>Continues a checksum, which begins as 0, with further bytes.</summary>
    public static ulong Append(ulong checksum, ReadOnlySpan<byte> bytes)
    {
        if (Pclmulqdq.IsSupported && BitConverter.IsLittleEndian && bytes.Length >= FoldedLength)
        {
            Span<byte> folded = stackalloc byte[LaneSize];
            int rest = bytes.Length % LaneSize;
            Fold(checksum, bytes[..^rest]).AsByte().CopyTo(folded);
            checksum = AppendByTables(0, folded);
            bytes = bytes[^rest..];
        }

        return AppendByTables(checksum, bytes);
    }

    private static ulong AppendByTables(ulong checksum, ReadOnlySpan<byte> bytes)
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

    /// <summary>
    /// Sixteen bytes that have the checksum which all of them have after the one before. A lane stands for a polynomial; what lies n bits before
    /// the end is worth x^n times as much, so a lane multiplied by x^n modulo the polynomial is added to the lane n bits behind it (Gopal and
    /// others, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction", 2009).
    /// </summary>
    private static Vector128<ulong> Fold(ulong checksum, ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<Vector128<ulong>> lanes = MemoryMarshal.Cast<byte, Vector128<ulong>>(bytes);
        Vector128<ulong> all = s_foldAllLanes;
        Vector128<ulong> first = lanes[0] ^ Vector128.CreateScalar(checksum);
        Vector128<ulong> second = lanes[1];
        Vector128<ulong> third = lanes[2];
        Vector128<ulong> fourth = lanes[3];
        lanes = lanes[Lanes..];
        while (lanes.Length >= Lanes)
        {
            first = Multiply(first, all) ^ lanes[0];
            second = Multiply(second, all) ^ lanes[1];
            third = Multiply(third, all) ^ lanes[2];
            fourth = Multiply(fourth, all) ^ lanes[3];
            lanes = lanes[Lanes..];
        }

        Vector128<ulong> one = s_foldOneLane;
        Vector128<ulong> folded = Multiply(first, one) ^ second;
        folded = Multiply(folded, one) ^ third;
        folded = Multiply(folded, one) ^ fourth;
        foreach (Vector128<ulong> lane in lanes)
        {
            folded = Multiply(folded, one) ^ lane;
        }

        return folded;
    }

    private static Vector128<ulong> Multiply(Vector128<ulong> lane, Vector128<ulong> factors) =>
        Pclmulqdq.CarrylessMultiply(lane, factors, 0x00) ^ Pclmulqdq.CarrylessMultiply(lane, factors, 0x11);

    /// <summary>
    /// The factors of a lane's two halves, of which the first is worth x^64 more. The product of two reflected numbers comes out one bit too high, which
    /// is why each factor is one power lower.
    /// </summary>
    private static Vector128<ulong> FoldOver(int bits) => Vector128.Create(PowerOfX(bits + 64 - 1), PowerOfX(bits - 1));

    /// <summary>x^n modulo the polynomial, reflected.</summary>
    private static ulong PowerOfX(int exponent)
    {
        ulong power = 1UL << 63;
        for (int i = 0; i < exponent; i++)
        {
            power = TimesX(power);
        }

        return power;
    }

    private static ulong TimesX(ulong value) => (value & 1) == 0 ? value >> 1 : (value >> 1) ^ ReflectedPolynomial;

    private static ulong[] CreateTables()
    {
        ulong[] tables = new ulong[8 * 256];
        for (int value = 0; value < 256; value++)
        {
            ulong checksum = (ulong)value;
            for (int bit = 0; bit < 8; bit++)
            {
                checksum = TimesX(checksum);
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
