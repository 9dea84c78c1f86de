using System.Globalization;

namespace SmcDr.Core.Platform;

/// <summary>
/// A file's time to the nanosecond. <see cref="DateTimeOffset"/> counts in hundreds of them, and a change within one hundred must be seen.
/// </summary>
/// <param name="Seconds">Seconds since 1970 in UTC, rounded down.</param>
/// <param name="Nanoseconds">What is to be added, from 0 to 999,999,999.</param>
public readonly record struct FileTime(long Seconds, int Nanoseconds) : IComparable<FileTime>
{
    private const int NanosecondsPerSecond = 1_000_000_000;
    private const int NanosecondsPerTick = 100;

    /// <summary>The instant of a clock.</summary>
    public static FileTime From(DateTimeOffset time)
    {
        (long seconds, long ticks) = Math.DivRem(time.UtcTicks - DateTimeOffset.UnixEpoch.Ticks, TimeSpan.TicksPerSecond);
        return ticks < 0
            ? new(seconds - 1, (int)(ticks + TimeSpan.TicksPerSecond) * NanosecondsPerTick)
            : new(seconds, (int)ticks * NanosecondsPerTick);
    }

    /// <summary>Parses <c>1763799300.123456789</c>: seconds, a point and exactly nine digits.</summary>
    /// <exception cref="FormatException">The text has another form.</exception>
    public static FileTime Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        int point = text.IndexOf('.', StringComparison.Ordinal);
        return point > 0 && text.Length == point + 10 &&
            long.TryParse(text.AsSpan(0, point), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long seconds) &&
            int.TryParse(text.AsSpan(point + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int nanoseconds)
            ? new(seconds, nanoseconds)
            : throw new FormatException($"'{text}' is not a time in seconds with nine decimals.");
    }

    /// <inheritdoc/>
    public int CompareTo(FileTime other) =>
        Seconds != other.Seconds ? Seconds.CompareTo(other.Seconds) : Nanoseconds.CompareTo(other.Nanoseconds);

    /// <summary>The time that lies before this one by a duration.</summary>
    public FileTime Subtract(TimeSpan duration)
    {
        long nanoseconds = Nanoseconds - (duration.Ticks % TimeSpan.TicksPerSecond * NanosecondsPerTick);
        long seconds = Seconds - (duration.Ticks / TimeSpan.TicksPerSecond);
        return nanoseconds < 0 ? new(seconds - 1, (int)(nanoseconds + NanosecondsPerSecond))
            : nanoseconds >= NanosecondsPerSecond ? new(seconds + 1, (int)(nanoseconds - NanosecondsPerSecond))
            : new(seconds, (int)nanoseconds);
    }

    /// <summary>Seconds, a point and nine digits; the digits are added, also where the seconds are negative.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Seconds}.{Nanoseconds:D9}");

    public static bool operator <(FileTime left, FileTime right) => left.CompareTo(right) < 0;

    public static bool operator >(FileTime left, FileTime right) => left.CompareTo(right) > 0;

    public static bool operator <=(FileTime left, FileTime right) => left.CompareTo(right) <= 0;

    public static bool operator >=(FileTime left, FileTime right) => left.CompareTo(right) >= 0;
}
