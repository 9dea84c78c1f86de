using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// The checksum of a data page: 32 running FNV-1a variants, one for each column of 32-bit words, folded to 16 bits together with
/// the block's number (the format is storage/checksum_impl.h's, and has been the same since PostgreSQL 9.3).
/// </summary>
public static class PageChecksum
{
    private const int Columns = 32;
    private const int RowLength = Columns * sizeof(uint);
    private const uint Prime = 16777619;

    // PageHeaderData (storage/bufpage.h): pd_lsn at 0, pd_checksum at 8, pd_flags at 10, pd_lower at 12, pd_upper at 14.
    private const int ChecksumOffset = 8;
    private const int UpperOffset = 14;

    /// <summary>The word of a page that holds the checksum, and the half of it that is the flags.</summary>
    private static readonly Vector256<uint> s_withoutChecksum =
        Vector256.Create(uint.MaxValue, uint.MaxValue, 0xFFFF0000, uint.MaxValue, uint.MaxValue, uint.MaxValue, uint.MaxValue, uint.MaxValue);

    /// <summary>Where the columns begin. The values are the format's own.</summary>
    private static ReadOnlySpan<uint> Offsets =>
    [
        0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
        0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
        0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
        0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
    ];

    /// <summary>The checksum that a page should carry.</summary>
    /// <param name="page">The page; its length is a multiple of 128 bytes.</param>
    /// <param name="block">The page's number in its relation's fork, across the files of 1 GiB.</param>
    /// <remarks>
    /// Optimized from its first call: a backup of a few seconds would be over before the runtime has found out how often it is called.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static ushort Compute(ReadOnlySpan<byte> page, uint block)
    {
        if (page.Length < RowLength || page.Length % RowLength != 0)
        {
            throw new ArgumentException("A page's length is a multiple of 128 bytes.", nameof(page));
        }

        Vector256<uint> a = Vector256.Create(Offsets);
        Vector256<uint> b = Vector256.Create(Offsets[8..]);
        Vector256<uint> c = Vector256.Create(Offsets[16..]);
        Vector256<uint> d = Vector256.Create(Offsets[24..]);
        ReadOnlySpan<uint> words = MemoryMarshal.Cast<byte, uint>(page);

        // The checksum is computed as if its own field were zero.
        a = Mix(a, Vector256.Create(words) & s_withoutChecksum);
        b = Mix(b, Vector256.Create(words[8..]));
        c = Mix(c, Vector256.Create(words[16..]));
        d = Mix(d, Vector256.Create(words[24..]));
        for (words = words[Columns..]; words.Length >= Columns; words = words[Columns..])
        {
            a = Mix(a, Vector256.Create(words));
            b = Mix(b, Vector256.Create(words[8..]));
            c = Mix(c, Vector256.Create(words[16..]));
            d = Mix(d, Vector256.Create(words[24..]));
        }

        for (int i = 0; i < 2; i++)
        {
            a = Mix(a, Vector256<uint>.Zero);
            b = Mix(b, Vector256<uint>.Zero);
            c = Mix(c, Vector256<uint>.Zero);
            d = Mix(d, Vector256<uint>.Zero);
        }

        Vector256<uint> sums = a ^ b ^ c ^ d;
        uint sum = block;
        for (int i = 0; i < Vector256<uint>.Count; i++)
        {
            sum ^= sums[i];
        }

        return (ushort)((sum % ushort.MaxValue) + 1);
    }

    /// <summary>The checksum that a page carries.</summary>
    public static ushort Stored(ReadOnlySpan<byte> page) => BinaryPrimitives.ReadUInt16LittleEndian(page[ChecksumOffset..]);

    /// <summary>The position behind the WAL record that changed a page last.</summary>
    public static Lsn LsnOf(ReadOnlySpan<byte> page) =>
        new(((ulong)BinaryPrimitives.ReadUInt32LittleEndian(page) << 32) | BinaryPrimitives.ReadUInt32LittleEndian(page[4..]));

    /// <summary>Whether a page has never been used (PageIsNew).</summary>
    public static bool IsNew(ReadOnlySpan<byte> page) => BinaryPrimitives.ReadUInt16LittleEndian(page[UpperOffset..]) == 0;

    /// <summary>
    /// Whether a page is what the server wrote: its checksum fits, or it is all zeros, as a page is that was added to its file and
    /// never used. A page that only looks new (pd_upper is zero) and holds something is damaged.
    /// </summary>
    public static bool IsValid(ReadOnlySpan<byte> page, uint block) =>
        IsNew(page)
            ? !page.ContainsAnyExcept((byte)0)
            : Stored(page) == Compute(page, block);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Mix(Vector256<uint> sum, Vector256<uint> value)
    {
        Vector256<uint> mixed = sum ^ value;
        return (mixed * Prime) ^ (mixed >>> 17);
    }
}
