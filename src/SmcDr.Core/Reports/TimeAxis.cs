using System.Globalization;

namespace SmcDr.Core.Reports;

/// <summary>Maps instants to horizontal positions, and chooses ticks whose labels do not touch.</summary>
internal sealed class TimeAxis
{
    private const double LabelSpacing = 88;
    private static readonly double[] s_steps =
        [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

    private readonly DateTimeOffset _start;
    private readonly double _seconds;
    private readonly double _left;
    private readonly double _width;

    public TimeAxis(DateTimeOffset start, DateTimeOffset end, double left, double right)
    {
        _start = start.ToUniversalTime();
        // A drill that failed at once has no length, and still gets a chart.
        _seconds = Math.Max(1, (end - start).TotalSeconds);
        _left = left;
        _width = right - left;
    }

    /// <summary>The position of an instant. What lies outside the axis is put at its end.</summary>
    public double X(DateTimeOffset time) => _left + (Math.Clamp((time - _start).TotalSeconds / _seconds, 0, 1) * _width);

    /// <summary>The ticks: position and label, in UTC.</summary>
    public IEnumerable<(double X, string Label)> Ticks()
    {
        double step = s_steps.Append(Math.Ceiling(_seconds / 86400) * 86400)
            .First(step => step / _seconds * _width >= LabelSpacing || step >= _seconds);
        long stepTicks = (long)(step * TimeSpan.TicksPerSecond);
        string format = step < 1 ? "HH:mm:ss.f" : step < 86400 ? "HH:mm:ss" : "yyyy-MM-dd";
        long first = ((_start.Ticks + stepTicks - 1) / stepTicks) * stepTicks;
        long last = _start.Ticks + (long)(_seconds * TimeSpan.TicksPerSecond);
        for (long tick = first; tick <= last; tick += stepTicks)
        {
            DateTimeOffset time = new(tick, TimeSpan.Zero);
            yield return (X(time), time.ToString(format, CultureInfo.InvariantCulture));
        }
    }
}
