using System.ComponentModel;
using System.Globalization;
using static System.FormattableString;

namespace SmcDr;

/// <summary>Sizes, durations and times as people read them. The module's format file calls it.</summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class DisplayText
{
    private static readonly string[] s_units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    /// <summary>A size, such as <c>4.2 GiB</c>.</summary>
    public static string Size(long? bytes)
    {
        if (bytes is not long value)
        {
            return "";
        }

        double scaled = Math.Abs((double)value);
        int unit = 0;

        // 1023.96 KiB would round to "1024.0 KiB".
        while (scaled >= 1023.95 && unit < s_units.Length - 1)
        {
            scaled /= 1024;
            unit++;
        }

        string sign = value < 0 ? "-" : "";
        return unit == 0
            ? Invariant($"{value} B")
            : Invariant($"{sign}{scaled:0.0} {s_units[unit]}");
    }

    /// <summary>A duration, such as <c>3 min 12 s</c>.</summary>
    public static string Duration(TimeSpan? duration)
    {
        if (duration is not TimeSpan value)
        {
            return "";
        }

        string sign = value < TimeSpan.Zero ? "-" : "";
        value = value.Duration();
        string text = value switch
        {
            { TotalMilliseconds: < 999.5 } => Invariant($"{value.TotalMilliseconds:0} ms"),
            { TotalSeconds: < 59.95 } => Invariant($"{value.TotalSeconds:0.0} s"),
            _ => Coarse(TimeSpan.FromSeconds(Math.Round(value.TotalSeconds))),
        };
        return sign + text;

        static string Coarse(TimeSpan whole) => whole switch
        {
            { TotalHours: < 1 } => Two(whole.Minutes, "min", whole.Seconds, "s"),
            { TotalDays: < 1 } => Two(whole.Hours, "h", whole.Minutes, "min"),
            _ => Two(whole.Days, "d", whole.Hours, "h"),
        };

        static string Two(int great, string greatUnit, int small, string smallUnit) =>
            small == 0 ? Invariant($"{great} {greatUnit}") : Invariant($"{great} {greatUnit} {small:00} {smallUnit}");
    }

    /// <summary>A duration that is given in seconds, such as <c>3 min 12 s</c>.</summary>
    public static string Seconds(double? seconds) =>
        seconds is double value && Math.Abs(value) < TimeSpan.MaxValue.TotalSeconds ? Duration(TimeSpan.FromSeconds(value)) : "";

    /// <summary>An instant in UTC, such as <c>2026-11-05 10:00:00Z</c>.</summary>
    public static string Time(DateTimeOffset? time) =>
        time?.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture) ?? "";

    /// <summary>What would be lost now: <c>1.2 s (3.0 MiB)</c>; nothing where it was not asked, and a question mark where it is not known.</summary>
    public static string Loss(RecoveryWindow window)
    {
        ArgumentNullException.ThrowIfNull(window);
        return window.LossBytes is not null ? $"{Seconds(window.LossSeconds)} ({Size(window.LossBytes)})"
            : window.LossProblem is not null ? "?"
            : "";
    }

    /// <summary>An outcome or state, coloured where it calls for attention. PowerShell strips colours where none are wanted.</summary>
    public static string Outcome(string? outcome) => outcome switch
    {
        null => "",
        "Passed" or "Met" or "Streaming" or "Verified" or "Running" or "Served" or "InSync" or "Current" or "Done" or "Succeeded" => $"\e[32m{outcome}\e[0m",
        "Warning" or "AtRisk" or "Unknown" or "Waiting" or "Spilling" or "Incomplete" or "Unverified" or "Partial" or "NotReady" or "Stopping" or "Suspended" or "Stopped"
            or "Pending" or "NeedsReplace" or "Unfinished" or "Interrupted" or "Unreadable" => $"\e[33m{outcome}\e[0m",
        "Failed" or "Missed" or "Different" or "NotServed" or "Missing" or "Silent" or "Invalid" or "NotAuthoritative" or "Damaged" => $"\e[91m{outcome}\e[0m",
        _ => outcome,
    };
}
