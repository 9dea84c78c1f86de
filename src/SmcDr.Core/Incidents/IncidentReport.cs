using System.Globalization;
using System.Text;
using SmcDr.Core.Reports;

namespace SmcDr.Core.Incidents;

/// <summary>The report of an incident, as HTML or Markdown: what it came to, a chart of what was done when, and every entry.</summary>
public static class IncidentReport
{
    // What a command is for, by the words of cmdlets and of the program alike; what fits none is a change of something else.
    private static readonly (string Name, string Kind, string[] Words)[] s_lanes =
    [
        ("Recoveries", "phase1", ["restore", "recovery", "recover", "failover", "undo", "resume"]),
        ("Backups", "backup", ["backup", "copy", "protect", "stream"]),
        ("Checks", "check", ["test", "measure", "compare", "find", "objective", "drill"]),
    ];

    /// <summary>The report as HTML.</summary>
    public static string Render(IncidentInfo incident)
    {
        ArgumentNullException.ThrowIfNull(incident);
        StringBuilder html = new();
        bool isOver = incident.EndTime is not null;
        ReportPage.AppendBegin(html, $"Incident {incident.IncidentId}", incident.StartTime, incident.Title, Lead(incident), isOver ? "Closed" : "Open", isOver);
        ReportPage.AppendFacts(html, [.. Facts(incident)]);
        html.Append("<h2>What happened</h2>\n<p class=\"hint\">Commands by what they are for. Dashed lines are the phases as they were noted.</p>\n");
        ReportPage.AppendTimeline(html, TimelineOf(incident));
        AppendTable(html, "Phases", ["Phase", "Planned", "Began", "What is done"], Phases(incident));
        AppendTable(html, "Timeline", ["Time", "What", "By", "Outcome", "Took"], Entries(incident));
        AppendTable(html, "Contacts", ["Role", "Name", "Address"], incident.Contacts.Select(static contact => (IReadOnlyList<string?>)[contact.Role, contact.Name, contact.Address]));
        ReportPage.AppendEnd(html);
        return html.ToString();
    }

    /// <summary>
    /// Writes the report to a file, which is replaced as a whole: as Markdown where its name ends so, with the chart in a file beside it, else as
    /// HTML.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="incident">The incident.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The files.</returns>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.TargetUnsuitable"/>: it cannot be written.</exception>
    public static async Task<IReadOnlyList<string>> WriteAsync(string path, IncidentInfo incident, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(incident);
        if (!ReportFile.IsMarkdown(path))
        {
            await ReportFile.WriteAsync(path, Render(incident), cancellationToken).ConfigureAwait(false);
            return [path];
        }

        string chart = ReportFile.ChartOf(path);
        await ReportFile.WriteAsync(chart, TimelineChart.RenderFile(TimelineOf(incident)), cancellationToken).ConfigureAwait(false);
        await ReportFile.WriteAsync(path, RenderMarkdown(incident, Path.GetFileName(chart)), cancellationToken).ConfigureAwait(false);
        return [path, chart];
    }

    private static string RenderMarkdown(IncidentInfo incident, string chart) => new MarkdownText()
        .Heading(1, $"{incident.Title} ({incident.State.ToLowerInvariant()})")
        .Paragraph(Lead(incident))
        .Table(["Fact", "Value"], Facts(incident).Select(static fact => (IReadOnlyList<string?>)[fact.Name, fact.Value]))
        .Heading(2, "What happened")
        .Image("The incident over time", chart)
        .Heading(2, "Phases")
        .Table(["Phase", "Planned", "Began", "What is done"], Phases(incident))
        .Heading(2, "Timeline")
        .Table(["Time", "What", "By", "Outcome", "Took"], Entries(incident))
        .Heading(2, "Contacts")
        .Table(["Role", "Name", "Address"], incident.Contacts.Select(static contact => (IReadOnlyList<string?>)[contact.Role, contact.Name, contact.Address]))
        .ToString();

    private static string Lead(IncidentInfo incident) => incident.Summary is null
        ? $"Open since {DisplayText.Time(incident.StartTime)}."
        : incident.Summary + (incident.RootCause is { } cause ? $" Root cause: {cause}" : "");

    private static IEnumerable<(string Name, string Value)> Facts(IncidentInfo incident)
    {
        yield return ("Incident", incident.IncidentId);
        yield return ("Site", incident.Site);
        yield return ("Severity", incident.Severity.ToString());
        yield return ("Scenario", incident.Scenario.ToString());
        yield return ("Opened by", incident.OpenedBy);
        yield return (incident.EndTime is null ? "Open for" : "Took", DisplayText.Duration(incident.Duration));
    }

    private static IEnumerable<IReadOnlyList<string?>> Phases(IncidentInfo incident) => incident.Phases.Select(static phase => (IReadOnlyList<string?>)
    [
        phase.Phase.ToString(),
        $"{DisplayText.Time(phase.PlannedTime)} to {DisplayText.Time(phase.PlannedEndTime)}",
        phase.StartTime is { } start ? DisplayText.Time(start) : "not noted",
        phase.Task,
    ]);

    private static IEnumerable<IReadOnlyList<string?>> Entries(IncidentInfo incident) => incident.Timeline.Select(static entry => (IReadOnlyList<string?>)
    [
        DisplayText.Time(entry.Time),
        (entry.Kind == "Command" ? "" : $"{entry.Kind}{(entry.Phase is { } phase ? $", {phase}" : "")}: ") + entry.Text + (entry.Problem is { } problem ? $" ({problem})" : ""),
        entry.By,
        entry.Outcome,
        DisplayText.Duration(entry.Elapsed),
    ]);

    private static Timeline TimelineOf(IncidentInfo incident)
    {
        // What was noted after it was closed would press all else together: days against minutes.
        DateTimeOffset end = incident.EndTime ?? incident.StartTime + incident.Duration;
        IEnumerable<(string Lane, TimelineSpan Span)> spans = incident.Timeline.Where(entry => entry.Kind == "Command" && entry.Time <= end).Select(entry =>
            (LaneOf(entry.Text), new TimelineSpan(
                string.Join(' ', entry.Text.Split(' ').TakeWhile(static word => !word.StartsWith('-')).Take(3)) + (entry.Outcome == "Failed" ? " (failed)" : ""),
                entry.Time,
                entry.Elapsed is { } elapsed ? entry.Time + elapsed : end,
                [])));
        ILookup<string, TimelineSpan> lanes = spans.ToLookup(static one => one.Lane, static one => one.Span);
        return new Timeline
        {
            Label = "The incident over time",
            StartTime = incident.StartTime,
            EndTime = end,
            Lanes =
            [
                .. s_lanes.Select(lane => new TimelineLane(lane.Name, lane.Kind, [.. lanes[lane.Name]])),
                new TimelineLane("Other", "server", [.. lanes["Other"]]),
            ],
            Marks =
            [
                new TimelineMark(incident.StartTime, "Opened", true),
                .. incident.Timeline.Where(entry => entry.Kind == "Note" && entry.Phase is not null && entry.Time <= end)
                    .Select(static entry => new TimelineMark(entry.Time, entry.Phase!.Value.ToString(), false)),
            ],
        };
    }

    private static string LaneOf(string command)
    {
        string name = string.Join(' ', command.Split(' ').TakeWhile(static word => !word.StartsWith('-')).Take(3)).ToLowerInvariant();
        // The verb decides: a test of recovery is a check, and a copy of a backup is none of a recovery.
        string verb = name.Split(' ', '-') is ["smcdr", var word, ..] ? word : name.Split('-')[0];
        return s_lanes.FirstOrDefault(lane => lane.Words.Contains(verb)).Name
            ?? s_lanes.FirstOrDefault(lane => lane.Words.Any(word => name.Contains(word, StringComparison.Ordinal))).Name
            ?? "Other";
    }

    private static void AppendTable(StringBuilder html, string title, IReadOnlyList<string> headers, IEnumerable<IReadOnlyList<string?>> rows)
    {
        html.Append(CultureInfo.InvariantCulture, $"<h2>{ReportPage.Text(title)}</h2>\n<div class=\"scroll\"><table>\n<thead><tr>");
        foreach (string header in headers)
        {
            html.Append("<th>").Append(ReportPage.Text(header)).Append("</th>");
        }

        html.Append("</tr></thead>\n<tbody>\n");
        foreach (IReadOnlyList<string?> row in rows)
        {
            html.Append("<tr>");
            foreach (string? cell in row)
            {
                html.Append("<td>").Append(ReportPage.Text(cell)).Append("</td>");
            }

            html.Append("</tr>\n");
        }

        html.Append("</tbody>\n</table></div>\n");
    }
}
