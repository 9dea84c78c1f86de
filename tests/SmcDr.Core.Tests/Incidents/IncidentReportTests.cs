using System.Text.RegularExpressions;
using System.Xml.Linq;
using SmcDr.Core.Incidents;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Incidents;

public sealed class IncidentReportTests : IDisposable
{
    private const string Evil = "<script>alert('x')</script>|&";

    private static readonly DateTimeOffset s_start = new(2026, 11, 29, 3, 12, 0, TimeSpan.Zero);

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task WriteAsync_Html_ShowsEveryEntryAndDrawsCommandsInTheirLanes()
    {
        string path = Path.Combine(_directory.Path, "incident.html");
        IReadOnlyList<string> files = await IncidentReport.WriteAsync(path, Sample("Rows are gone"), default);
        string html = await File.ReadAllTextAsync(path);

        Assert.Equal([path], files);
        foreach (string text in (string[])["Rows are gone", "All is there", "A disk", "Restore-SmcDatabase -Delta", "A server runs there", "DBA", "Communication"])
        {
            Assert.Contains(text, html, StringComparison.Ordinal);
        }

        string[] lanes = [.. Regex.Matches(html, "class=\"bar ([a-z0-9]+)\"[^>]*><title>([^<]*)</title>").Select(static m => $"{m.Groups[1].Value} {m.Groups[2].Value.Split(',')[0]}")];
        Assert.Equal(["phase1 Restore-SmcDatabase (failed)", "backup smcdr backup database", "check Test-SmcRecovery", "server Set-SmcDnsRecord"], lanes);
    }

    [Fact]
    public async Task WriteAsync_Markdown_IsTheSameWithTheChartBesideIt()
    {
        string path = Path.Combine(_directory.Path, "incident.md");
        IReadOnlyList<string> files = await IncidentReport.WriteAsync(path, Sample("Rows are gone"), default);
        string text = await File.ReadAllTextAsync(path);

        Assert.Equal([path, Path.Combine(_directory.Path, "incident.svg")], files);
        Assert.StartsWith("# Rows are gone \\(closed\\)\n", text, StringComparison.Ordinal);
        Assert.Contains("](incident.svg)", text, StringComparison.Ordinal);
        Assert.Contains("Restore\\-SmcDatabase \\-Delta", text, StringComparison.Ordinal);
        Assert.All(text.Split('\n').Where(static line => line.StartsWith('|')), static line => Assert.EndsWith("|", line, StringComparison.Ordinal));
        Assert.Equal("svg", XDocument.Load(files[1]).Root!.Name.LocalName);
    }

    [Fact]
    public async Task WriteAsync_MarkupInEveryText_IsEncoded()
    {
        string markdown = Path.Combine(_directory.Path, "incident.md");
        string html = IncidentReport.Render(Sample(Evil));
        await IncidentReport.WriteAsync(markdown, Sample(Evil), default);
        string text = await File.ReadAllTextAsync(markdown);

        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotMatch(@"(?<!\\)<script", text);
        int[] columns = [.. text.Split('\n').Where(static line => line.StartsWith('|')).Select(static line => Regex.Count(line, @"(?<!\\)\|"))];
        Assert.DoesNotContain(columns, static count => count is not (3 or 4 or 5 or 6));
        Assert.DoesNotContain("<script", await File.ReadAllTextAsync(Path.ChangeExtension(markdown, ".svg")), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task WriteAsync_WhereNothingCanBeWritten_SaysWhatToDo()
    {
        string file = Path.Combine(_directory.Path, "file");
        await File.WriteAllTextAsync(file, "");

        SmcException e = await Assert.ThrowsAsync<SmcException>(() => IncidentReport.WriteAsync(Path.Combine(file, "incident.html"), Sample("x"), default));

        Assert.Equal(SmcErrorCode.TargetUnsuitable, e.Code);
    }

    private static IncidentInfo Sample(string text)
    {
        IncidentEntry[] timeline =
        [
            Entry(0, "Opened", text) with { Phase = IncidentPhase.Response },
            Entry(3, "Command", "Restore-SmcDatabase -Delta") with { Outcome = "Failed", Elapsed = TimeSpan.FromSeconds(70), Problem = "A server runs there. " + text },
            Entry(6, "Note", text) with { Phase = IncidentPhase.Communication },
            Entry(8, "Command", "smcdr backup database --emergency") with { Outcome = "Succeeded", Elapsed = TimeSpan.FromMinutes(2) },
            Entry(12, "Command", "Test-SmcRecovery") with { Outcome = "Running" },
            Entry(13, "Command", "Set-SmcDnsRecord -Region west") with { Outcome = "Succeeded", Elapsed = TimeSpan.FromSeconds(4) },
            Entry(20, "Closed", "All is there"),
            Entry(3000, "Note", "The disk was replaced") with { Phase = IncidentPhase.PostIncident },
        ];
        return new IncidentInfo
        {
            IncidentId = "20261129T031200Z-incident",
            Site = "orders",
            Title = text,
            Severity = AlertSeverity.Critical,
            Scenario = IncidentScenario.DatabaseCorruption,
            State = "Closed",
            StartTime = s_start,
            EndTime = s_start.AddMinutes(20),
            Duration = TimeSpan.FromMinutes(20),
            OpenedBy = "kim@db1",
            Summary = "All is there",
            RootCause = "A disk",
            Contacts = [new IncidentContact("DBA", text, "dba@example.com")],
            Phases = IncidentPhases.Of(s_start, timeline),
            Timeline = timeline,
            Repository = "/var/backups",
        };
    }

    private static IncidentEntry Entry(int minute, string kind, string text) => new() { Time = s_start.AddMinutes(minute), Kind = kind, Text = text, By = "kim@db1" };
}
