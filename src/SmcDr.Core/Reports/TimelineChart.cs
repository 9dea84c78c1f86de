using System.Globalization;
using System.Net;
using System.Text;

namespace SmcDr.Core.Reports;

/// <summary>Draws lanes over time: curves, bars, and the instants that cut through them.</summary>
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
    private readonly Timeline _timeline;
    private readonly TimeAxis _axis;
    private double _y;

    private TimelineChart(Timeline timeline)
    {
        _timeline = timeline;
        _axis = new TimeAxis(timeline.StartTime, timeline.EndTime, PlotLeft, PlotRight);
    }

    /// <summary>The chart as an SVG element that stands in an HTML page and takes its colours from the page's style.</summary>
    public static string Render(Timeline timeline) => new TimelineChart(timeline).Render();

    /// <summary>The chart as a file of its own, which has its colours with it.</summary>
    public static string RenderFile(Timeline timeline)
    {
        string svg = Render(timeline);
        int end = svg.IndexOf('>', StringComparison.Ordinal);
        return "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" style=\"background:var(--paper);font-family:sans-serif\"" +
            $"{svg["<svg".Length..end]}>\n<style><![CDATA[\n{ReportStyle.Css}\n]]></style>{svg[(end + 1)..]}\n";
    }

    private static string Encode(string text) => WebUtility.HtmlEncode(text);

    private string Render()
    {
        _y = 4;
        double marksTop = _y;
        TimelineMark[] marks = [.. _timeline.Marks.OrderBy(static mark => mark.Time)];
        (double X, int Row)[] labels = PlaceMarks(marks);
        _y += (labels.Length == 0 ? 0 : labels.Max(static label => label.Row) + 1) * RowHeight;
        double plotTop = _y + 6;
        _y = plotTop + 8;

        foreach (TimelineCurve curve in _timeline.Curves)
        {
            Curve(curve);
        }

        foreach (TimelineLane lane in _timeline.Lanes)
        {
            Bars(lane);
        }

        double plotBottom = _y - LaneGap + 10;

        StringBuilder body = new();
        body.Append(CultureInfo.InvariantCulture, $"<svg class=\"timeline\" viewBox=\"0 0 {Width:0.##} {plotBottom + 26:0.##}\" role=\"img\" aria-label=\"{Encode(_timeline.Label)}, in UTC\">");
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

    private static string MarkText(TimelineMark mark) => $"{mark.Label} {Clock(mark.Time)}";

    private static string Clock(DateTimeOffset time) => time.UtcDateTime.ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);

    private (double X, int Row)[] PlaceMarks(TimelineMark[] marks) =>
        LabelRows.Place(
            [.. marks.Select(mark =>
            {
                double width = LabelRows.WidthOf(MarkText(mark));
                return (_axis.X(mark.Time) - (width / 2), width);
            })],
            PlotLeft,
            PlotRight);

    private void Curve(TimelineCurve curve)
    {
        (string name, string unit, string kind, double height, string format) = (curve.Name, curve.Unit, curve.Kind, curve.Height, curve.Format);
        (DateTimeOffset Time, double Value)[] finite =
            [.. curve.Samples.Where(static sample => double.IsFinite(sample.Value) && sample.Value >= 0).OrderBy(static sample => sample.Time)];
        double top = NiceTop(finite.Length == 0 ? 0 : finite.Max(static sample => sample.Value), 1);
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
            if (i < finite.Length && (!curve.HasGaps || finite[i].Time - finite[i - 1].Time <= s_gap))
            {
                continue;
            }

            (DateTimeOffset Time, double Value)[] run = finite[first..i];
            first = i;
            string line = string.Join(' ', run.Select(sample =>
                $"{Number(_axis.X(sample.Time))},{Number(bottom - (sample.Value / top * height))}"));
            _svg.Append(CultureInfo.InvariantCulture, $"<polygon class=\"{kind} area\" points=\"{Number(_axis.X(run[0].Time))},{Number(bottom)} {line} {Number(_axis.X(run[^1].Time))},{Number(bottom)}\"/>");
            _svg.Append(CultureInfo.InvariantCulture, $"<polyline class=\"{kind}\" points=\"{line}\"/>");
        }

        _y = bottom + LaneGap;
    }

    private void Bars(TimelineLane lane)
    {
        TimelineSpan[] spans = [.. lane.Spans.OrderBy(static span => span.StartTime)];
        LaneLabel(lane.Name, _y + (BarHeight / 2) + 4);
        _svg.Append(CultureInfo.InvariantCulture, $"<rect class=\"track\" x=\"{PlotLeft:0.##}\" y=\"{_y:0.##}\" width=\"{PlotRight - PlotLeft:0.##}\" height=\"{BarHeight:0.##}\" rx=\"3\"/>");
        foreach (TimelineSpan span in spans)
        {
            Bar(span, lane.Kind);
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

    private void Bar(TimelineSpan span, string kind)
    {
        double left = _axis.X(span.StartTime);
        // What took no time to speak of is still seen.
        double width = Math.Min(Math.Max(_axis.X(span.EndTime) - left, 3), PlotRight - PlotLeft);
        left = Math.Min(left, PlotRight - width);
        string title = $"{SpanText(span)}: {Clock(span.StartTime)} to {Clock(span.EndTime)} UTC";
        double total = span.Phases.Sum(static phase => Math.Max(0, phase.Duration.TotalSeconds));
        if (total <= 0)
        {
            _svg.Append(CultureInfo.InvariantCulture, $"<rect class=\"bar {kind}\" x=\"{left:0.##}\" y=\"{_y:0.##}\" width=\"{width:0.##}\" height=\"{BarHeight:0.##}\" rx=\"3\"><title>{Encode(title)}</title></rect>");
            return;
        }

        double x = left;
        foreach ((string phase, TimeSpan duration) in span.Phases)
        {
            double part = Math.Max(0, duration.TotalSeconds) / total * width;
            string text = $"{phase}: {DisplayText.Duration(duration)}";
            _svg.Append(CultureInfo.InvariantCulture, $"<rect class=\"bar phase{PhaseNumber(phase)}\" x=\"{x:0.##}\" y=\"{_y:0.##}\" width=\"{part:0.##}\" height=\"{BarHeight:0.##}\"><title>{Encode(text)}</title></rect>");
            x += part;
        }
    }

    private int PhaseNumber(string name)
    {
        IReadOnlyList<string> names = _timeline.PhaseNames;
        return Enumerable.Range(0, names.Count).First(i => names[i] == name) % PhaseColours;
    }

    private static string SpanText(TimelineSpan span) => $"{span.Label}, {DisplayText.Duration(span.EndTime - span.StartTime)}";

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
