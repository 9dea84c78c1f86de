using System.Globalization;
using System.Net;
using System.Text;

namespace SmcDr.Core.Drills.Report;

/// <summary>Draws a drill as lanes over time: commits, WAL lag, server, backups, recoveries, checks, and the instants that cut through them.</summary>
internal sealed class TimelineChart
{
    /// <summary>How many colours phases have; then they come round again.</summary>
    public const int PhaseColours = 5;

    public const double Width = 1120;
    public const double PlotLeft = 128;
    public const double PlotRight = Width - 20;
    private const double RowHeight = 19;
    private const double BarHeight = 18;
    private const double LaneGap = 22;

    // Samples farther apart than this do not belong to one line: nothing was measured in between.
    private static readonly TimeSpan s_gap = TimeSpan.FromSeconds(2);

    private readonly StringBuilder _svg = new();

    // Text under bars stands above the lines that cut through the lanes.
    private readonly StringBuilder _notes = new();
    private readonly DrillEvidence _evidence;
    private readonly TimeAxis _axis;
    private double _y;

    private TimelineChart(DrillResult result, DrillEvidence evidence)
    {
        _evidence = evidence;
        _axis = new TimeAxis(
            result.StartTime, result.StartTime.AddSeconds(result.DurationSeconds), PlotLeft, PlotRight);
    }

    /// <summary>The chart as an SVG element that stands in an HTML page and takes its colours from the page's style.</summary>
    public static string Render(DrillResult result, DrillEvidence evidence) => new TimelineChart(result, evidence).Render();

    private static string Encode(string text) => WebUtility.HtmlEncode(text);

    private string Render()
    {
        _y = 4;
        double marksTop = _y;
        DrillMark[] marks = [.. _evidence.Marks.OrderBy(static mark => mark.Time)];
        (double X, int Row)[] labels = PlaceMarks(marks);
        _y += (labels.Length == 0 ? 0 : labels.Max(static label => label.Row) + 1) * RowHeight;
        double plotTop = _y + 6;
        _y = plotTop + 8;

        Curve("Commits", "per second", _evidence.CommitRate, "commits", 104, minimumTop: 1, "0", hasGaps: false);
        Curve("WAL at risk", "seconds", _evidence.WalLag, "lag", 60, minimumTop: 1, "0.#", hasGaps: true);
        if (_evidence.RedisWriteRate.Count > 0)
        {
            Curve("Redis writes", "per second", _evidence.RedisWriteRate, "redis", 60, minimumTop: 1, "0", hasGaps: false);
        }

        Bars(DrillLane.Server, "Server");
        if (_evidence.Spans.Any(static span => span.Lane == DrillLane.Redis))
        {
            Bars(DrillLane.Redis, "Redis");
        }

        Bars(DrillLane.Backup, "Backups");
        Bars(DrillLane.Recovery, "Recoveries");
        Bars(DrillLane.Check, "Checks");
        double plotBottom = _y - LaneGap + 10;

        StringBuilder body = new();
        body.Append(CultureInfo.InvariantCulture, $"<svg class=\"timeline\" viewBox=\"0 0 {Width:0.##} {plotBottom + 26:0.##}\" role=\"img\" aria-label=\"The drill over time, in UTC\">");
        foreach ((double x, string label) in _axis.Ticks())
        {
            body.Append(CultureInfo.InvariantCulture, $"<line class=\"grid\" x1=\"{x:0.##}\" x2=\"{x:0.##}\" y1=\"{plotTop:0.##}\" y2=\"{plotBottom:0.##}\"/>");
            // A label in the middle of its tick may leave the picture at either end.
            double half = LabelRows.WidthOf(label) / 2;
            body.Append(CultureInfo.InvariantCulture, $"<text class=\"tick\" text-anchor=\"middle\" x=\"{Math.Clamp(x, half, Width - half):0.##}\" y=\"{plotBottom + 18:0.##}\">{label}</text>");
        }

        body.Append(CultureInfo.InvariantCulture, $"<line class=\"axis\" x1=\"{PlotLeft:0.##}\" x2=\"{PlotRight:0.##}\" y1=\"{plotBottom:0.##}\" y2=\"{plotBottom:0.##}\"/>");
        body.Append("<text class=\"tick\" x=\"0\" y=\"").Append(Number(plotBottom + 18)).Append("\">UTC</text>");
        body.Append(_svg);
        for (int i = 0; i < marks.Length; i++)
        {
            double x = _axis.X(marks[i].Time);
            double y = marksTop + (labels[i].Row * RowHeight) + 13;
            string kind = marks[i].IsDisaster ? "disaster" : "target";
            body.Append(CultureInfo.InvariantCulture, $"<line class=\"mark {kind}\" x1=\"{x:0.##}\" x2=\"{x:0.##}\" y1=\"{y + 5:0.##}\" y2=\"{plotBottom:0.##}\"/>");
            _notes.Append(CultureInfo.InvariantCulture, $"<text class=\"mark {kind}\" x=\"{labels[i].X:0.##}\" y=\"{y:0.##}\">{Encode(MarkText(marks[i]))}</text>");
        }

        body.Append(_notes);
        return body.Append("</svg>").ToString();
    }

    private static string MarkText(DrillMark mark) => $"{mark.Label} {Clock(mark.Time)}";

    private static string Clock(DateTimeOffset time) => time.UtcDateTime.ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);

    private (double X, int Row)[] PlaceMarks(DrillMark[] marks) =>
        LabelRows.Place(
            [.. marks.Select(mark =>
            {
                double width = LabelRows.WidthOf(MarkText(mark));
                return (_axis.X(mark.Time) - (width / 2), width);
            })],
            PlotLeft,
            PlotRight);

    private void Curve(
        string name, string unit, IReadOnlyList<DrillSample> samples, string kind, double height, double minimumTop, string format, bool hasGaps)
    {
        DrillSample[] finite = [.. samples.Where(static sample => double.IsFinite(sample.Value) && sample.Value >= 0).OrderBy(static sample => sample.Time)];
        double top = NiceTop(finite.Length == 0 ? 0 : finite.Max(static sample => sample.Value), minimumTop);
        double bottom = _y + height;
        LaneLabel(name, _y + (height / 2) - 3);
        _svg.Append(CultureInfo.InvariantCulture, $"<text class=\"unit\" x=\"0\" y=\"{_y + (height / 2) + 13:0.##}\">{Encode(unit)}</text>");
        foreach (double value in new[] { 0, top / 2, top })
        {
            double y = bottom - (value / top * height);
            _svg.Append(CultureInfo.InvariantCulture, $"<line class=\"grid\" x1=\"{PlotLeft:0.##}\" x2=\"{PlotRight:0.##}\" y1=\"{y:0.##}\" y2=\"{y:0.##}\"/>");
            _svg.Append(CultureInfo.InvariantCulture, $"<text class=\"tick\" text-anchor=\"end\" x=\"{PlotLeft - 8:0.##}\" y=\"{y + 4:0.##}\">{value.ToString(format, CultureInfo.InvariantCulture)}</text>");
        }

        int first = 0;
        for (int i = 1; i <= finite.Length; i++)
        {
            if (i < finite.Length && (!hasGaps || finite[i].Time - finite[i - 1].Time <= s_gap))
            {
                continue;
            }

            DrillSample[] run = finite[first..i];
            first = i;
            string line = string.Join(' ', run.Select(sample =>
                $"{Number(_axis.X(sample.Time))},{Number(bottom - (sample.Value / top * height))}"));
            _svg.Append(CultureInfo.InvariantCulture, $"<polygon class=\"{kind} area\" points=\"{Number(_axis.X(run[0].Time))},{Number(bottom)} {line} {Number(_axis.X(run[^1].Time))},{Number(bottom)}\"/>");
            _svg.Append(CultureInfo.InvariantCulture, $"<polyline class=\"{kind}\" points=\"{line}\"/>");
        }

        _y = bottom + LaneGap;
    }

    private void Bars(DrillLane lane, string name)
    {
        DrillSpan[] spans = [.. _evidence.Spans.Where(span => span.Lane == lane).OrderBy(static span => span.StartTime)];
        LaneLabel(name, _y + (BarHeight / 2) + 4);
        _svg.Append(CultureInfo.InvariantCulture, $"<rect class=\"track\" x=\"{PlotLeft:0.##}\" y=\"{_y:0.##}\" width=\"{PlotRight - PlotLeft:0.##}\" height=\"{BarHeight:0.##}\" rx=\"3\"/>");
        foreach (DrillSpan span in spans)
        {
            Bar(span, lane);
        }

        (double X, int Row)[] labels = LabelRows.Place(
            [.. spans.Select(span => (_axis.X(span.StartTime), LabelRows.WidthOf(SpanText(span))))], PlotLeft, PlotRight);
        _y += BarHeight;
        for (int i = 0; i < spans.Length; i++)
        {
            _notes.Append(CultureInfo.InvariantCulture, $"<text class=\"note\" x=\"{labels[i].X:0.##}\" y=\"{_y + 14 + (labels[i].Row * RowHeight):0.##}\">{Encode(SpanText(spans[i]))}</text>");
        }

        _y += ((labels.Length == 0 ? 0 : labels.Max(static label => label.Row) + 1) * RowHeight) + LaneGap - 6;
    }

    private void Bar(DrillSpan span, DrillLane lane)
    {
        double left = _axis.X(span.StartTime);
        // What took no time to speak of is still seen.
        double width = Math.Min(Math.Max(_axis.X(span.EndTime) - left, 3), PlotRight - PlotLeft);
        left = Math.Min(left, PlotRight - width);
        string title = $"{SpanText(span)}: {Clock(span.StartTime)} to {Clock(span.EndTime)} UTC";
        double total = span.Phases.Sum(static phase => Math.Max(0, phase.Duration.TotalSeconds));
        if (total <= 0)
        {
            _svg.Append(CultureInfo.InvariantCulture, $"<rect class=\"bar {Name(lane)}\" x=\"{left:0.##}\" y=\"{_y:0.##}\" width=\"{width:0.##}\" height=\"{BarHeight:0.##}\" rx=\"3\"><title>{Encode(title)}</title></rect>");
            return;
        }

        double x = left;
        foreach (DrillPhase phase in span.Phases)
        {
            double part = Math.Max(0, phase.Duration.TotalSeconds) / total * width;
            string text = $"{phase.Name}: {DisplayText.Duration(phase.Duration)}";
            _svg.Append(CultureInfo.InvariantCulture, $"<rect class=\"bar phase{PhaseNumber(phase.Name)}\" x=\"{x:0.##}\" y=\"{_y:0.##}\" width=\"{part:0.##}\" height=\"{BarHeight:0.##}\"><title>{Encode(text)}</title></rect>");
            x += part;
        }
    }

    /// <summary>The names of all phases in the order of their colours.</summary>
    public static IReadOnlyList<string> PhaseNames(DrillEvidence evidence) =>
        [.. evidence.Spans.SelectMany(static span => span.Phases).Select(static phase => phase.Name).Distinct(StringComparer.Ordinal)];

    private int PhaseNumber(string name)
    {
        IReadOnlyList<string> names = PhaseNames(_evidence);
        return Enumerable.Range(0, names.Count).First(i => names[i] == name) % PhaseColours;
    }

    private static string SpanText(DrillSpan span) => $"{span.Label}, {DisplayText.Duration(span.EndTime - span.StartTime)}";

    private static string Name(DrillLane lane) => lane switch
    {
        DrillLane.Server => "server",
        DrillLane.Redis => "redis",
        DrillLane.Backup => "backup",
        DrillLane.Recovery => "recovery",
        _ => "check",
    };

    private void LaneLabel(string name, double y) =>
        _svg.Append(CultureInfo.InvariantCulture, $"<text class=\"lane\" x=\"0\" y=\"{y:0.##}\">{Encode(name)}</text>");

    /// <summary>The end of a scale: 1, 2 or 5 times a power of ten, at or above the largest value.</summary>
    internal static double NiceTop(double largest, double minimum)
    {
        if (!(largest > minimum))
        {
            return minimum;
        }

        double power = Math.Pow(10, Math.Floor(Math.Log10(largest)));
        return new[] { 1.0, 2, 5, 10 }.Select(factor => factor * power).First(top => top >= largest);
    }

    private static string Number(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
