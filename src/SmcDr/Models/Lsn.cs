using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace SmcDr;

/// <summary>A log sequence number: a byte position in PostgreSQL's write-ahead log.</summary>
/// <param name="Value">The position in bytes from the beginning of the log.</param>
/// <remarks>Written as PostgreSQL writes it, two hexadecimal halves: <c>16/B374D848</c>.</remarks>
public readonly record struct Lsn(ulong Value) : IComparable<Lsn>
{
    /// <summary>The position before the first record, which PostgreSQL uses for "none".</summary>
    public static Lsn Zero => default;

    /// <inheritdoc/>
    public int CompareTo(Lsn other) => Value.CompareTo(other.Value);

    /// <summary>Parses the form <c>16/B374D848</c>.</summary>
    /// <exception cref="FormatException">The text is no LSN.</exception>
    public static Lsn Parse(string text) =>
        TryParse(text, out Lsn result)
            ? result
            : throw new FormatException($"'{text}' is not a log sequence number such as 16/B374D848.");

    /// <summary>Parses the form <c>16/B374D848</c>, or says that the text is no LSN.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out Lsn result)
    {
        ReadOnlySpan<char> s = text;
        int slash = s.IndexOf('/');
        if (slash is > 0 and <= 8 && s.Length - slash - 1 is > 0 and <= 8 &&
            uint.TryParse(s[..slash], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint high) &&
            uint.TryParse(s[(slash + 1)..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint low))
        {
            result = new Lsn(((ulong)high << 32) | low);
            return true;
        }

        result = default;
        return false;
    }

    /// <inheritdoc/>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{(uint)(Value >> 32):X}/{(uint)Value:X}");

    /// <summary>The position some bytes further on.</summary>
    public static Lsn operator +(Lsn left, ulong bytes) => new(left.Value + bytes);

    /// <summary>The position some bytes further on.</summary>
    public static Lsn Add(Lsn left, ulong bytes) => left + bytes;

    /// <summary>The distance in bytes; negative where <paramref name="right"/> lies further on.</summary>
    public static long operator -(Lsn left, Lsn right) => unchecked((long)(left.Value - right.Value));

    /// <summary>The distance in bytes; negative where <paramref name="right"/> lies further on.</summary>
    public static long Subtract(Lsn left, Lsn right) => left - right;

    /// <summary>Whether <paramref name="left"/> lies before <paramref name="right"/>.</summary>
    public static bool operator <(Lsn left, Lsn right) => left.Value < right.Value;

    /// <summary>Whether <paramref name="left"/> lies behind <paramref name="right"/>.</summary>
    public static bool operator >(Lsn left, Lsn right) => left.Value > right.Value;

    /// <summary>Whether <paramref name="left"/> lies before or at <paramref name="right"/>.</summary>
    public static bool operator <=(Lsn left, Lsn right) => left.Value <= right.Value;

    /// <summary>Whether <paramref name="left"/> lies behind or at <paramref name="right"/>.</summary>
    public static bool operator >=(Lsn left, Lsn right) => left.Value >= right.Value;
}
