using System.Globalization;
using System.Text.RegularExpressions;

namespace SmcDr.Core.Sites;

/// <summary>
/// Instants as people write them at the worst of times. Only what means one instant everywhere is taken: ISO 8601 with <c>Z</c>, <c>UTC</c> or
/// an offset, a time of today or yesterday with one of these, by which it also goes what day it is, or a time before now. Tools that guess a zone guess
/// differently (one takes the server's, another UTC), and a recovery that is hours off looks like a success.
/// </summary>
public static partial class InstantText
{
    /// <summary>What is accepted, for messages.</summary>
    public const string Expected = "2026-11-05T10:00:00Z, 2026-11-05T11:00:00+01:00, yesterday 10:00Z, or -10m for ten minutes ago";

    private static readonly string[] s_formats =
    [
        "yyyy-MM-dd'T'HH:mmK", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK",
    ];

    /// <summary>Parses an instant.</summary>
    /// <param name="text">The text.</param>
    /// <param name="clock">What relative times count from.</param>
    /// <returns>The instant in UTC.</returns>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.TargetTimeAmbiguous"/>: a time without zone. <see cref="SmcErrorCode.ArgumentInvalid"/>: no time.
    /// </exception>
    public static DateTimeOffset Parse(string text, TimeProvider? clock = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        string trimmed = text.Trim();
        DateTimeOffset now = (clock ?? TimeProvider.System).GetUtcNow();
        if (trimmed is ['-', .. string length] && DurationText.TryParse(length, out TimeSpan before))
        {
            return before <= now - DateTimeOffset.MinValue ? now - before : throw Invalid(text);
        }

        Match match = InstantRegex().Match(trimmed);
        if (match.Success)
        {
            string zone = match.Groups["zone"].Value.Replace(":", "", StringComparison.Ordinal).ToUpperInvariant();
            zone = zone switch
            {
                "Z" or "UTC" => "Z",
                [_, _, _] => $"{zone}:00",
                _ => $"{zone[..3]}:{zone[3..]}",
            };
            // Nanoseconds are cut, not rounded: a target must not move behind the instant that was named.
            string time = match.Groups["time"].Value.Replace(',', '.');
            time = time[..^Math.Max(0, match.Groups["fraction"].Length - 7)];
            string date = match.Groups["date"].Value;
            if (match.Groups["day"] is { Success: true, Value: string day })
            {
                // The day that it is where the clock shows this offset.
                date = DateTimeOffset.TryParseExact($"2000-01-01T00:00{zone}", s_formats, CultureInfo.InvariantCulture, DateTimeStyles.None, out DateTimeOffset there)
                    ? now.ToOffset(there.Offset).AddDays(day.Equals("yesterday", StringComparison.OrdinalIgnoreCase) ? -1 : 0)
                        .ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)
                    : throw Invalid(text);
            }

            return DateTimeOffset.TryParseExact(
                $"{date}T{time}{zone}", s_formats, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal, out DateTimeOffset instant)
                ? instant
                : throw Invalid(text);
        }

        // Whatever some reading takes for a date is one, without a zone that we can trust: 05/11/2026 10:00, 2026-11-05 10:00 CET.
        if (LooksLikeTimeRegex().IsMatch(trimmed))
        {
            throw new SmcException(
                SmcErrorCode.TargetTimeAmbiguous,
                $"'{text}' does not say in which time zone it is, so it could mean several instants.",
                recommendation: $"Write it as {Expected}.");
        }

        throw Invalid(text);
    }

    private static SmcException Invalid(string text) => new(
        SmcErrorCode.ArgumentInvalid, $"'{text}' is not a time.", recommendation: $"Write it as {Expected}.");

    [GeneratedRegex(
        @"\A(((?<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[T ])|(?<day>today|yesterday) )(?<time>[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,](?<fraction>[0-9]{1,9}))?)?)" +
        " ?(?<zone>Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)\\z",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase)]
    private static partial Regex InstantRegex();

    [GeneratedRegex(
        @"\A[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}(?![0-9])|\A((today|yesterday) +)?[0-9]{1,2}:[0-9]{2}",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex LooksLikeTimeRegex();
}
