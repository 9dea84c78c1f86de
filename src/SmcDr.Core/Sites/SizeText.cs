using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Sites;

/// <summary>
/// Sizes as people write them: <c>200MB</c> (decimal, as disks and clouds count) and <c>1GiB</c> (binary). A bare number is
/// refused, because nobody agrees on its unit.
/// </summary>
public static partial class SizeText
{
    /// <summary>What is accepted, for messages.</summary>
    public const string Expected = "a size with its unit, such as 512KiB, 200MB or 1GiB";

    /// <summary>The same as an expression in the dialect that .NET and JSON Schema share.</summary>
    internal const string Pattern = "^[0-9]{1,15}([.][0-9]{1,6})? ?([KMGTPkmgtp][Ii]?)?[Bb]$";

    private const string Units = "KMGTP";

    /// <summary>Parses a size.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: the text is none.</exception>
    public static long Parse(string text) =>
        TryParse(text, out long bytes)
            ? bytes
            : throw new SmcException(
                SmcErrorCode.ArgumentInvalid, $"'{text}' is not {Expected}.", recommendation: $"Write {Expected}.");

    /// <summary>Parses a size, in whatever case its unit is written.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out long bytes)
    {
        bytes = 0;
        Match match = SizeRegex().Match(text ?? "");
        if (!match.Success)
        {
            return false;
        }

        decimal value = decimal.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        if (match.Groups[2].Length > 0)
        {
            int power = Units.IndexOf(char.ToUpperInvariant(match.Groups[2].ValueSpan[0]), StringComparison.Ordinal) + 1;
            int unit = match.Groups[3].Length > 0 ? 1024 : 1000;
            for (int i = 0; i < power; i++)
            {
                value *= unit;
            }
        }

        if (value > long.MaxValue)
        {
            return false;
        }

        bytes = (long)value;
        return true;
    }

    /// <summary>Writes a size for people, rounded: <c>41.3 MiB</c>.</summary>
    public static string Format(long bytes)
    {
        double value = bytes;
        int power = 0;
        while (Math.Abs(value) >= 1024 && power < Units.Length)
        {
            value /= 1024;
            power++;
        }

        return power == 0
            ? string.Create(CultureInfo.InvariantCulture, $"{bytes} B")
            : string.Create(CultureInfo.InvariantCulture, $"{value:0.0} {Units[power - 1]}iB");
    }

    [GeneratedRegex(@"\A([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(?:([KMGTP])(i?))?B\z", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex SizeRegex();
}
