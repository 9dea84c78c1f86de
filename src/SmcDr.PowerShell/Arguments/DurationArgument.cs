using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Reads durations whose unit is said.</summary>
internal static partial class DurationArgument
{
    private const string Forms = "15m, 90s, 1h30m, 2d, 00:15:00 or PT15M";

    /// <summary>The duration.</summary>
    /// <exception cref="SmcException">It is no duration, is negative, or is a number without a unit.</exception>
    public static TimeSpan Parse(object input)
    {
        // A bare 30 would be ticks as a number and days as a string to PowerShell's own conversion.
        TimeSpan? duration = input switch
        {
            TimeSpan given => given,
            string text when TryParseUnits(text.Trim(), out TimeSpan parsed) => parsed,
            string text when text.Contains(':', StringComparison.Ordinal) &&
                TimeSpan.TryParseExact(text.Trim(), "c", CultureInfo.InvariantCulture, out TimeSpan parsed) => parsed,
            string text when Iso8601().IsMatch(text.Trim()) => XmlConvert.ToTimeSpan(text.Trim().ToUpperInvariant()),
            _ => null,
        };
        return duration is TimeSpan value && value >= TimeSpan.Zero
            ? value
            : throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"'{Convert.ToString(input, CultureInfo.InvariantCulture)}' is not a duration. Accepted are {Forms}.");
    }

    /// <summary>Reads numbers with units from days to milliseconds, such as <c>1h30m</c>.</summary>
    public static bool TryParseUnits(string text, out TimeSpan duration)
    {
        duration = TimeSpan.Zero;
        Match match = Units().Match(text);
        if (!match.Success || text.Length == 0)
        {
            return false;
        }

        // Decimal, and at most nine digits each: no sum of them leaves the range of a TimeSpan.
        decimal milliseconds =
            (Number("d") * 86_400_000) + (Number("h") * 3_600_000) + (Number("m") * 60_000) + (Number("s") * 1_000) +
            Number("ms");
        if (milliseconds > (decimal)TimeSpan.MaxValue.TotalDays * 86_400_000 - 1)
        {
            return false;
        }

        duration = TimeSpan.FromTicks((long)(milliseconds * TimeSpan.TicksPerMillisecond));
        return true;

        decimal Number(string unit) =>
            match.Groups[unit] is { Success: true, Value: string digits }
                ? decimal.Parse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture)
                : 0;
    }

    [GeneratedRegex(
        @"^((?<d>\d{1,9}(\.\d{1,9})?)d)?((?<h>\d{1,9}(\.\d{1,9})?)h)?((?<m>\d{1,9}(\.\d{1,9})?)m)?((?<s>\d{1,9}(\.\d{1,9})?)s)?((?<ms>\d{1,9})ms)?$",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex Units();

    // Without years and months, which have no length.
    [GeneratedRegex(
        @"^P(?=.)(\d{1,6}D)?(T(?=.)(\d{1,9}H)?(\d{1,9}M)?(\d{1,9}(\.\d{1,7})?S)?)?$",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex Iso8601();
}
