using System.Globalization;
using System.Net;
using System.Text;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Reports;

/// <summary>What all reports have in common: one HTML file that needs no other, for the screen and for paper.</summary>
internal static class ReportPage
{
    /// <summary>Text of a page, whatever it holds.</summary>
    public static string Text(string? text) => WebUtility.HtmlEncode(text ?? "");

    /// <summary>The beginning of a page, with its head.</summary>
    /// <param name="html">What it is appended to.</param>
    /// <param name="documentTitle">The title of the window.</param>
    /// <param name="time">When it began.</param>
    /// <param name="title">The title on the page.</param>
    /// <param name="lead">What it came to, in sentences.</param>
    /// <param name="verdict">The same in a word.</param>
    /// <param name="isGood">Whether that is good.</param>
    public static void AppendBegin(StringBuilder html, string documentTitle, DateTimeOffset time, string title, string lead, string verdict, bool isGood)
    {
        string icon = isGood ? "M4 12.5l5 5L20 6.5" : "M6 6l12 12M18 6L6 18";
        html.Append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
            .Append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
            // The page runs nothing and fetches nothing, whatever a name in it may hold.
            .Append("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n")
            .Append(CultureInfo.InvariantCulture, $"<title>{Text(documentTitle)}</title>\n")
            .Append("<style>\n").Append(ReportStyle.Css).Append("\n</style>\n</head>\n<body>\n<main>\n")
            .Append(CultureInfo.InvariantCulture, $"""
                <header>
                <div>
                <p class="eyebrow">{Text(DisplayText.Time(time))}</p>
                <h1>{Text(title)}</h1>
                <p class="lead">{Text(lead)}</p>
                </div>
                <div class="verdict {(isGood ? "passed" : "failed")}"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="{icon}"/></svg>{Text(verdict)}</div>
                </header>

                """);
    }

    /// <summary>Facts by name.</summary>
    public static void AppendFacts(StringBuilder html, params ReadOnlySpan<(string Name, string Value)> facts)
    {
        html.Append("<dl class=\"facts\">");
        foreach ((string name, string value) in facts)
        {
            html.Append(CultureInfo.InvariantCulture, $"<div><dt>{Text(name)}</dt><dd>{Text(value)}</dd></div>");
        }

        html.Append("</dl>\n");
    }

    /// <summary>The chart, and the colours of its phases.</summary>
    public static void AppendTimeline(StringBuilder html, Timeline timeline)
    {
        html.Append("<figure>\n").Append(TimelineChart.Render(timeline)).Append("\n<figcaption>");
        foreach ((int i, string phase) in timeline.PhaseNames.Index())
        {
            html.Append(CultureInfo.InvariantCulture, $"<span class=\"key\"><i class=\"phase{i % TimelineChart.PhaseColours}\"></i>{Text(phase)}</span>");
        }

        html.Append("</figcaption>\n</figure>\n");
    }

    /// <summary>The end of a page.</summary>
    public static void AppendEnd(StringBuilder html) => html
        .Append("<footer><span>SmcDr ").Append(Text(Repository.ToolVersion)).Append("</span><span>All times are UTC.</span></footer>\n")
        .Append("</main>\n</body>\n</html>\n");
}
