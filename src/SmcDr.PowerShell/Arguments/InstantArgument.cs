using System.Globalization;
using System.Text.RegularExpressions;

namespace SmcDr.PowerShell.Arguments;

/// <summary>Reads instants that mean the same on every machine.</summary>
internal static partial class InstantArgument
{
    private const string Forms =
        "2026-11-05T10:00:00Z, 2026-11-05T11:00:00.250+01:00, or relative to now, such as -10m or -1h30m";

    /// <summary>The instant, in UTC.</summary>
    /// <exception cref="SmcException">It is no instant, or one that depends on the time zone of this machine.</exception>
    public static DateTimeOffset Parse(object input, DateTimeOffset now) =>
        input switch
        {
            DateTimeOffset instant => instant.ToUniversalTime(),
            DateTime { Kind: DateTimeKind.Unspecified } time => throw Refuse(
                time.ToString("yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture), "has no time zone"),

            // Local is exact where it comes from Get-Date or ConvertFrom-Json, which turns an offset into local time.
            DateTime time => new DateTimeOffset(time).ToUniversalTime(),
            string text => Parse(text, now),
            _ => throw Refuse(Convert.ToString(input, CultureInfo.InvariantCulture) ?? "", "is not a time"),
        };

    private static DateTimeOffset Parse(string text, DateTimeOffset now)
    {
        string trimmed = text.Trim();
        if (trimmed.StartsWith('-') && DurationArgument.TryParseUnits(trimmed[1..], out TimeSpan ago))
        {
            return ago < now - DateTimeOffset.MinValue
                ? (now - ago).ToUniversalTime()
                : throw Refuse(text, "is before all time");
        }

        Match match = Iso8601().Match(trimmed);
        if (!match.Success)
        {
            throw Refuse(text, "is not a time of the accepted form");
        }

        string zone = match.Groups["zone"].Value;
        if (zone.Length == 0)
        {
            throw Refuse(text, "has no time zone");
        }

        // What lies below .NET's 100 ns is cut off, not rounded: a target must not move behind the instant that was named.
        string fraction = match.Groups["fraction"].Value;
        string normal = string.Concat(
            match.Groups["date"].Value,
            "T",
            match.Groups["time"].Value,
            match.Groups["seconds"] is { Success: true, Value: string seconds } ? seconds : ":00",
            ".",
            fraction.PadRight(7, '0').AsSpan(0, 7).ToString() + Offset(zone));
        return DateTimeOffset.TryParseExact(
            normal,
            "yyyy-MM-dd'T'HH:mm:ss.fffffffzzz",
            CultureInfo.InvariantCulture,
            DateTimeStyles.AdjustToUniversal,
            out DateTimeOffset instant)
            ? instant
            : throw Refuse(text, "is not a time that exists");
    }

    private static string Offset(string zone) => zone.Length switch
    {
        1 => "+00:00",
        3 => zone + ":00",
        5 => string.Concat(zone.AsSpan(0, 3), ":", zone.AsSpan(3)),
        _ => zone,
    };

    private static SmcException Refuse(string text, string reason) =>
        new(SmcErrorCode.TargetTimeAmbiguous, $"'{text}' {reason}. Accepted are {Forms}.", target: text);

    [GeneratedRegex(
        @"^(?<date>\d{4}-\d\d-\d\d)[Tt ](?<time>\d\d:\d\d)((?<seconds>:\d\d)([.,](?<fraction>\d{1,9}))?)?(?<zone>[Zz]|[+-]\d\d(:?\d\d)?)?$",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant)]
    private static partial Regex Iso8601();
}
