using System.ComponentModel;
using System.Globalization;

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
            ? string.Create(CultureInfo.InvariantCulture, $"{value} B")
            : string.Create(CultureInfo.InvariantCulture, $"{sign}{scaled:0.0} {s_units[unit]}");
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
            { TotalMilliseconds: < 999.5 } => $"{value.TotalMilliseconds:0} ms",
            { TotalSeconds: < 59.95 } => $"{value.TotalSeconds:0.0} s",
            _ => Coarse(TimeSpan.FromSeconds(Math.Round(value.TotalSeconds))),
        };
        return sign + text;

        static string Coarse(TimeSpan whole) => whole switch
        {
            { TotalHours: < 1 } => $"{whole.Minutes} min {whole.Seconds:00} s",
            { TotalDays: < 1 } => $"{whole.Hours} h {whole.Minutes:00} min",
            _ => $"{whole.Days} d {whole.Hours:00} h",
        };
    }

    /// <summary>A duration that is given in seconds, such as <c>3 min 12 s</c>.</summary>
    public static string Seconds(double? seconds) =>
        seconds is double value && double.IsFinite(value) ? Duration(TimeSpan.FromSeconds(value)) : "";

    /// <summary>An instant in UTC, such as <c>2026-11-05 10:00:00Z</c>.</summary>
    public static string Time(DateTimeOffset? time) =>
        time?.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture) ?? "";
}
