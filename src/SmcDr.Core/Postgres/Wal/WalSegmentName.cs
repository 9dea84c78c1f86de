using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>
/// The name of a WAL segment: timeline, and the two halves of its number. What the halves mean depends on the segment size, which
/// the name does not tell: the low one rolls over at 0x100000000 / size (xlog_internal.h, XLogFileName).
/// </summary>
public readonly record struct WalSegmentName(uint Timeline, uint High, uint Low)
{
    /// <summary>The digits of a name.</summary>
    public const int Length = 24;

    private const ulong HighUnit = 1UL << 32;

    /// <summary>Whether PostgreSQL knows segments of this size: a power of two from 1 MiB to 1 GiB.</summary>
    public static bool IsSegmentSize(int size) => size is >= 1 << 20 and <= 1 << 30 && (size & (size - 1)) == 0;

    /// <summary>The segment of a number, counted from the beginning of the log.</summary>
    public static WalSegmentName FromNumber(uint timeline, ulong number, int segmentSize)
    {
        ulong perHigh = HighUnit / CheckSize(segmentSize);
        return new WalSegmentName(timeline, checked((uint)(number / perHigh)), (uint)(number % perHigh));
    }

    /// <summary>The segment that holds the byte at <paramref name="lsn"/>: for a start.</summary>
    public static WalSegmentName Containing(Lsn lsn, uint timeline, int segmentSize) =>
        FromNumber(timeline, lsn.Value / CheckSize(segmentSize), segmentSize);

    /// <summary>
    /// The segment that holds the byte before <paramref name="end"/>: an end on a boundary belongs to the previous segment
    /// (xlog_internal.h, XLByteToPrevSeg).
    /// </summary>
    public static WalSegmentName ContainingEnd(Lsn end, uint timeline, int segmentSize) =>
        Containing(end > Lsn.Zero ? new Lsn(end.Value - 1) : end, timeline, segmentSize);

    /// <summary>Parses the 24 upper-case hexadecimal digits.</summary>
    /// <exception cref="FormatException">The text is no such name.</exception>
    public static WalSegmentName Parse(string text) =>
        TryParse(text, out WalSegmentName result)
            ? result
            : throw new FormatException($"'{text}' is not the name of a WAL segment such as 000000010000000000000003.");

    /// <summary>Parses the 24 upper-case hexadecimal digits, or says that the text is no such name.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out WalSegmentName result) => TryParse(text.AsSpan(), out result);

    /// <inheritdoc cref="TryParse(string?, out WalSegmentName)"/>
    public static bool TryParse(ReadOnlySpan<char> text, out WalSegmentName result)
    {
        if (text.Length == Length && TryParseHex(text[..8], out uint timeline) &&
            TryParseHex(text[8..16], out uint high) && TryParseHex(text[16..], out uint low) && timeline > 0)
        {
            result = new WalSegmentName(timeline, high, low);
            return true;
        }

        result = default;
        return false;
    }

    /// <summary>The number, counted from the beginning of the log.</summary>
    public ulong Number(int segmentSize) => (High * (HighUnit / CheckSize(segmentSize))) + Low;

    /// <summary>Where the segment begins.</summary>
    public Lsn StartLsn(int segmentSize) => new(Number(segmentSize) * CheckSize(segmentSize));

    /// <summary>Where the next segment begins.</summary>
    public Lsn EndLsn(int segmentSize) => StartLsn(segmentSize) + CheckSize(segmentSize);

    /// <summary>The next segment on the same timeline.</summary>
    public WalSegmentName Next(int segmentSize) => FromNumber(Timeline, Number(segmentSize) + 1, segmentSize);

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Timeline:X8}{High:X8}{Low:X8}");

    internal static bool TryParseHex(ReadOnlySpan<char> text, out uint value)
    {
        value = 0;
        return text.Length == 8 && !text.ContainsAnyInRange('a', 'f') &&
            uint.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }

    private static uint CheckSize(int segmentSize) => IsSegmentSize(segmentSize)
        ? (uint)segmentSize
        : throw new ArgumentOutOfRangeException(nameof(segmentSize), segmentSize, "A WAL segment has a power of two from 1 MiB to 1 GiB.");
}
