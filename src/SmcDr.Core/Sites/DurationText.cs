using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Sites;

/// <summary>
/// Durations as people write them: <c>15m</c>, <c>1h30m</c>, <c>30d</c>, ISO 8601's <c>PT15M</c> and <c>00:15:00</c>. A bare number
/// is refused, because nobody agrees on its unit.
/// </summary>
public static class DurationText
{
    /// <summary>What is accepted, for messages.</summary>
    public const string Expected = "a duration with its unit, such as 90s, 15m, 1h30m, 30d, PT15M or 00:15:00";

    internal const string Pattern = $"^({UnitsPattern}|{IsoPattern}|{ClockPattern})$";

    private const string UnitsPattern =
        "([0-9]{1,9}w)?([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}([.][0-9]{1,7})?s)?([0-9]{1,9}ms)?";

    // Months and years are left out: they have no length.
    private const string IsoPattern =
        "P([0-9]{1,9}W)?([0-9]{1,9}D)?(T([0-9]{1,9}H)?([0-9]{1,9}M)?([0-9]{1,9}([.][0-9]{1,7})?S)?)?";

    private const string ClockPattern = "([0-9]{1,7}[.])?[0-9]{2}:[0-5][0-9]:[0-5][0-9]([.][0-9]{1,7})?";

    private static readonly Regex s_units = new($"^{UnitsPattern}$", RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
    private static readonly Regex s_iso = new($"^{IsoPattern}$", RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
    private static readonly Regex s_clock = new($"^{ClockPattern}$", RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
    private static readonly Regex s_part = new("([0-9.]+)(ms|[a-zA-Z])", RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);

    /// <summary>Parses a duration.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: the text is none.</exception>
    public static TimeSpan Parse(string text) =>
        TryParse(text, out TimeSpan duration)
            ? duration
            : throw new SmcException(
                SmcErrorCode.ArgumentInvalid, $"'{text}' is not {Expected}.", recommendation: $"Write {Expected}.");

    /// <summary>Parses a duration of zero or more.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out TimeSpan duration)
    {
        duration = default;
        if (string.IsNullOrEmpty(text) || text is "P" || text[^1] is 'T' or '\n')
        {
            return false;
        }

        if (s_clock.IsMatch(text))
        {
            return TimeSpan.TryParseExact(
                text,
                [@"hh\:mm\:ss", @"hh\:mm\:ss\.FFFFFFF", @"d\.hh\:mm\:ss", @"d\.hh\:mm\:ss\.FFFFFFF"],
                CultureInfo.InvariantCulture,
                out duration);
        }

        if (!s_units.IsMatch(text) && !s_iso.IsMatch(text))
        {
            return false;
        }

        decimal ticks = 0;
        foreach (Match part in s_part.Matches(text))
        {
            ticks += decimal.Parse(part.Groups[1].ValueSpan, CultureInfo.InvariantCulture) * TicksOf(part.Groups[2].Value);
        }

        if (ticks > TimeSpan.MaxValue.Ticks)
        {
            return false;
        }

        duration = TimeSpan.FromTicks((long)ticks);
        return true;
    }

    /// <summary>Writes a duration in the shortest form that <see cref="Parse"/> reads back: <c>1h30m</c>.</summary>
    public static string Format(TimeSpan duration)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(duration, TimeSpan.Zero);
        if (duration == TimeSpan.Zero)
        {
            return "0s";
        }

        StringBuilder text = new();
        Append(text, duration.Days, "d");
        Append(text, duration.Hours, "h");
        Append(text, duration.Minutes, "m");
        decimal seconds = duration.Ticks % TimeSpan.TicksPerMinute / (decimal)TimeSpan.TicksPerSecond;
        if (seconds != 0)
        {
            text.Append(seconds.ToString("0.#######", CultureInfo.InvariantCulture)).Append('s');
        }

        return text.ToString();
    }

    private static void Append(StringBuilder text, int value, string unit)
    {
        if (value != 0)
        {
            text.Append(value.ToString(CultureInfo.InvariantCulture)).Append(unit);
        }
    }

    private static long TicksOf(string unit) => unit switch
    {
        "ms" => TimeSpan.TicksPerMillisecond,
        "s" or "S" => TimeSpan.TicksPerSecond,
        "m" or "M" => TimeSpan.TicksPerMinute,
        "h" or "H" => TimeSpan.TicksPerHour,
        "d" or "D" => TimeSpan.TicksPerDay,
        _ => TimeSpan.TicksPerDay * 7,
    };
}
