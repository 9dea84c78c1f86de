using System.Globalization;
using System.Text;
using SmcDr.Core.Reports;

namespace SmcDr.Core.Drills;

/// <summary>The report of a drill: one HTML file that needs no other, for the screen and for paper.</summary>
public static class DrillReport
{
    /// <summary>The report as HTML.</summary>
    public static string Render(DrillResult result, DrillEvidence evidence)
    {
        ArgumentNullException.ThrowIfNull(result);
        ArgumentNullException.ThrowIfNull(evidence);
        StringBuilder html = new();
        string verdict = result.Succeeded ? "Passed" : "Failed";
        ReportPage.AppendBegin(
            html,
            $"Recovery drill {verdict.ToLowerInvariant()}, {DisplayText.Time(result.StartTime)}",
            result.StartTime,
            "Recovery drill",
            Lead(result),
            verdict,
            result.Succeeded);
        AppendFigures(html, result);
        AppendFacts(html, result, evidence);
        AppendTimeline(html, result, evidence);
        AppendComparisons(html, evidence);
        AppendSteps(html, result);
        AppendMethod(html);
        ReportPage.AppendEnd(html);
        return html.ToString();
    }

    /// <summary>
    /// Writes the report to a file, which is replaced as a whole: as Markdown where its name ends so, with the chart in a file beside it, else as
    /// HTML.
    /// </summary>
    /// <returns>The files.</returns>
    public static async Task<IReadOnlyList<string>> WriteAsync(
        string path, DrillResult result, DrillEvidence evidence, CancellationToken cancellationToken)
    {
        if (!ReportFile.IsMarkdown(path))
        {
            await ReportFile.WriteAsync(path, Render(result, evidence), cancellationToken).ConfigureAwait(false);
            return [path];
        }

        string chart = ReportFile.ChartOf(path);
        await ReportFile.WriteAsync(chart, TimelineChart.RenderFile(DrillTimeline.Of(result, evidence)), cancellationToken).ConfigureAwait(false);
        await ReportFile.WriteAsync(path, RenderMarkdown(result, Path.GetFileName(chart)), cancellationToken).ConfigureAwait(false);
        return [path, chart];
    }

    /// <summary>Writes the report of a drill of which only the result is left: its steps are what is drawn.</summary>
    /// <inheritdoc cref="WriteAsync(string, DrillResult, DrillEvidence, CancellationToken)"/>
    public static Task<IReadOnlyList<string>> WriteAsync(string path, DrillResult result, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(result);
        DrillEvidence evidence = new()
        {
            Spans = [.. result.Steps.Select(static step => new DrillSpan(DrillLane.Check, step.Name, step.StartTime, step.StartTime.AddSeconds(step.DurationSeconds)))],
        };
        return WriteAsync(path, result, evidence, cancellationToken);
    }

    private static string RenderMarkdown(DrillResult result, string chart)
    {
        List<(string Name, double? Seconds, double Objective)> figures =
        [
            ("PostgreSQL, time to recover", result.RtoSeconds, result.RtoObjectiveSeconds),
            ("PostgreSQL, data loss", result.RpoSeconds, result.RpoObjectiveSeconds),
            ("Redis, time to recover", result.RedisRtoSeconds, result.RedisRtoObjectiveSeconds),
            ("Redis, data loss", result.RedisRpoSeconds, result.RedisRpoObjectiveSeconds),
        ];
        return new MarkdownText()
            .Heading(1, $"Recovery drill of {DisplayText.Time(result.StartTime)}: {(result.Succeeded ? "passed" : "failed")}")
            .Paragraph(Lead(result))
            .Image("The drill over time", chart)
            .Table(
                ["Figure", "Measured", "Objective"],
                figures.Where(static figure => figure.Seconds is not null)
                    .Select(static figure => (IReadOnlyList<string?>)[figure.Name, DisplayText.Seconds(figure.Seconds), Objective(figure.Objective)]))
            .Heading(2, "Steps")
            .Table(
                ["Began", "Took", "Step", "What was done and found", "Outcome"],
                result.Steps.Select(static step => (IReadOnlyList<string?>)[DisplayText.Time(step.StartTime), DisplayText.Seconds(step.DurationSeconds), step.Name, step.Detail, step.Outcome]))
            .ToString();
    }

    private static string Text(string? text) => ReportPage.Text(text);

    private static string Lead(DrillResult result) => result.Succeeded
        ? "Data was destroyed twice, and both times it came back within the objectives. " + (result.LostAcknowledged == 0
            ? "No acknowledged row is missing."
            : string.Create(CultureInfo.InvariantCulture, $"{result.LostAcknowledged:N0} of {result.Acknowledged:N0} acknowledged rows {(result.LostAcknowledged == 1 ? "is" : "are")} missing, from the last {DisplayText.Seconds(result.RpoSeconds)} before the second disaster.")) +
            (result.RedisAcknowledged is { } writes
                ? string.Create(CultureInfo.InvariantCulture, $" Redis was destroyed as well, and came back as it was backed up: {result.RedisLostAcknowledged:N0} of {writes:N0} acknowledged writes were younger.")
                : "")
        : result.Steps.FirstOrDefault(static step => step.Outcome == "Failed") is { } failed
            ? $"{failed.Name}: {failed.Detail}"
            : "The drill did not keep its objectives.";

    private static void AppendFigures(StringBuilder html, DrillResult result)
    {
        html.Append("<section class=\"figures\" aria-label=\"Key figures\">\n");
        bool hasRedis = result is { RedisRtoSeconds: not null, RedisRpoSeconds: not null };
        if (hasRedis)
        {
            html.Append("<h2 class=\"part\">PostgreSQL</h2>\n");
        }

        AppendGauge(html, "Time to recover (RTO)", result.RtoSeconds, result.RtoObjectiveSeconds);
        AppendGauge(html, "Data loss (RPO)", result.RpoSeconds, result.RpoObjectiveSeconds);
        AppendCounts(html, result.Acknowledged, result.Recovered, result.LostAcknowledged, isLossAllowed: result.Succeeded, result.UnexpectedRows);
        if (hasRedis)
        {
            html.Append("<h2 class=\"part\">Redis</h2>\n");
            AppendGauge(html, "Time to recover (RTO)", result.RedisRtoSeconds!.Value, result.RedisRtoObjectiveSeconds);
            AppendGauge(html, "Data loss (RPO)", result.RedisRpoSeconds!.Value, result.RedisRpoObjectiveSeconds);
            AppendCounts(
                html,
                result.RedisAcknowledged ?? 0,
                result.RedisRecovered ?? 0,
                result.RedisLostAcknowledged ?? 0,
                isLossAllowed: result.RedisRpoSeconds <= result.RedisRpoObjectiveSeconds,
                result.RedisUnexpectedKeys ?? 0);
        }

        html.Append("</section>\n");
    }

    private static void AppendCounts(StringBuilder html, long acknowledged, long recovered, long lost, bool isLossAllowed, long unexpected)
    {
        html.Append("<div class=\"counts\">\n");
        AppendCount(html, "acknowledged", acknowledged, "");
        AppendCount(html, "recovered", recovered, "");
        AppendCount(html, "lost", lost, lost == 0 ? "zero" : isLossAllowed ? "" : "some");
        AppendCount(html, "unexpected", unexpected, unexpected == 0 ? "zero" : "some");
        html.Append("</div>\n");
    }

    private static void AppendCount(StringBuilder html, string name, long count, string kind) =>
        html.Append(CultureInfo.InvariantCulture, $"<div><div class=\"big {kind}\">{count:N0}</div><div class=\"name\">{name}</div></div>\n");

    private static void AppendGauge(StringBuilder html, string name, double seconds, double objective)
    {
        double share = objective > 0 && double.IsFinite(seconds) ? Math.Max(0, seconds / objective) : 1;
        double angle = Math.PI * Math.Min(1, share);
        double x = 52 - (44 * Math.Cos(angle));
        double y = 54 - (44 * Math.Sin(angle));
        string percent = share is > 0 and < 0.001
            ? "<0.1 %"
            : string.Create(CultureInfo.InvariantCulture, $"{share * 100:0.#} %");
        string value = share > 0 ? string.Create(CultureInfo.InvariantCulture, $"<path class=\"value\" d=\"M8 54A44 44 0 0 1 {x:0.##} {y:0.##}\"/>") : "";
        string figure = seconds == 0 ? "0 s" : DisplayText.Seconds(seconds);
        html.Append(CultureInfo.InvariantCulture, $"""
            <div class="gauge{(share > 1 ? " over" : "")}">
            <svg viewBox="0 0 104 64" role="img" aria-label="{Text(percent)} of the objective"><path class="scale" d="M8 54A44 44 0 0 1 96 54"/>{value}<text class="percent" x="52" y="52" text-anchor="middle">{Text(percent)}</text></svg>
            <div><div class="name">{Text(name)}</div><div class="big">{Text(figure)}</div><div class="name">objective {Text(Objective(objective))}</div></div>
            </div>

            """);
    }

    private static string Objective(double seconds) =>
        seconds >= 60 && seconds % 60 == 0
            ? string.Create(CultureInfo.InvariantCulture, $"{seconds / 60:0} min")
            : DisplayText.Seconds(seconds);

    private static void AppendFacts(StringBuilder html, DrillResult result, DrillEvidence evidence)
    {
        ReportPage.AppendFacts(
            html,
            ("PostgreSQL", result.ServerVersion ?? "not started"),
            ("Redis", result.RedisLeftOut is { } reason ? $"left out. {reason}" : result.RedisServerVersion ?? "not started"),
            ("Cluster", DisplayText.Size(result.DatabaseBytes)),
            ("Repository", DisplayText.Size(evidence.RepositoryBytes)),
            ("WAL at risk at most", DisplayText.Seconds(evidence.WalLag.Count == 0 ? null : evidence.WalLag.Max(static sample => sample.Value))),
            ("Drill took", DisplayText.Seconds(result.DurationSeconds)));
    }

    private static void AppendTimeline(StringBuilder html, DrillResult result, DrillEvidence evidence)
    {
        html.Append("<h2>What happened</h2>\n<p class=\"hint\">Writers kept committing throughout. A solid line is a disaster; a dashed one is the instant that was recovered to.</p>\n");
        ReportPage.AppendTimeline(html, DrillTimeline.Of(result, evidence));
    }

    private static void AppendComparisons(StringBuilder html, DrillEvidence evidence)
    {
        html.Append("""
            <h2>What was compared</h2>
            <p class="hint">Each writer notes a row when the server acknowledges its commit. After a recovery, every noted row is looked for by its id and content.</p>
            <div class="scroll"><table>
            <thead><tr><th>Disaster</th><th>Compared</th><th class="number">Expected</th><th class="number">Found</th><th>Outcome</th></tr></thead>
            <tbody>

            """);
        string? previous = null;
        foreach (DrillCheck check in evidence.Checks)
        {
            AppendCheck(html, check, isAgain: check.Disaster == previous);
            previous = check.Disaster;
        }

        html.Append("</tbody>\n</table></div>\n");
    }

    private static void AppendCheck(StringBuilder html, DrillCheck check, bool isAgain) =>
        html.Append(isAgain ? "<tr class=\"again\">" : "<tr>").Append("<td class=\"nowrap\">").Append(Text(check.Disaster))
            .Append("</td><td class=\"strong\">").Append(Text(check.Name))
            .Append("</td><td class=\"number\">").Append(Text(check.Expected))
            .Append("</td><td class=\"number\">").Append(Text(check.Found))
            .Append("</td><td>").Append(Outcome(check.Passed)).Append("</td></tr>\n");

    private static string Outcome(bool passed) =>
        passed ? "<span class=\"outcome passed\">Passed</span>" : "<span class=\"outcome failed\">Failed</span>";

    private static void AppendSteps(StringBuilder html, DrillResult result)
    {
        html.Append("""
            <h2>Steps</h2>
            <div class="scroll"><table>
            <thead><tr><th>Began</th><th class="number">Took</th><th>Step</th><th>What was done and found</th><th>Outcome</th></tr></thead>
            <tbody>

            """);
        foreach (DrillStep step in result.Steps)
        {
            html.Append("<tr><td class=\"nowrap\">")
                .Append(step.StartTime.UtcDateTime.ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture))
                .Append("</td><td class=\"number\">").Append(Text(DisplayText.Seconds(step.DurationSeconds)))
                .Append("</td><td class=\"strong\">").Append(Text(step.Name))
                .Append("</td><td class=\"long\">").Append(Text(step.Detail))
                .Append("</td><td>").Append(Outcome(step.Outcome == "Passed")).Append("</td></tr>\n");
        }

        html.Append("</tbody>\n</table></div>\n");
    }

    private static void AppendMethod(StringBuilder html) => html.Append("""
        <h2>How it was measured</h2>
        <dl class="method">
        <dt>Time to recover</dt><dd>From the decision to recover until the recovered server answered and every acknowledged row had been looked for. The longer of the two recoveries counts.</dd>
        <dt>Data loss</dt><dd>From the earliest acknowledged commit that is missing until the disaster. Zero where none is missing. The WAL stream outlived the server, as it does where it runs on another machine.</dd>
        <dt>Redis</dt><dd>Two writers set keys one by one and note each answer. The server is killed with its files, and the backup put in place as what it starts with. What was written after the backup began is lost, so the interval between backups is what Redis can lose; every key that was acknowledged before must be there.</dd>
        <dt>Unexpected rows</dt><dd>Rows that were committed after the instant that was recovered to, rows that nobody wrote, and rows whose content is not what was written.</dd>
        <dt>WAL at risk</dt><dd>The age of the oldest write-ahead log that the server had on disk and the repository did not, read ten times a second from outside the stream: what would be lost if only the repository were left.</dd>
        <dt>Integrity</dt><dd>amcheck read every table and every B-tree index of the recovered server; pg_checksums read every page of the stopped one.</dd>
        </dl>

        """);
}
