using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using SmcDr.Core.Drills;
using SmcDr.Core.Reports;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Drills;

public sealed class DrillReportTests
{
    private const string Evil = "<script>alert('x')</script>\"&";

    [Fact]
    public void Render_MarkupInEveryText_IsEncoded()
    {
        DrillResult result = SampleDrill.Result() with
        {
            ServerVersion = Evil,
            RedisLeftOut = Evil,
            Succeeded = false,
            Steps = [SampleDrill.Result().Steps[0] with { Name = Evil, Detail = Evil, Outcome = "Failed" }],
        };
        DrillEvidence sample = SampleDrill.Evidence();
        DrillEvidence evidence = sample with
        {
            Comparisons = [sample.Comparisons[0] with { Name = Evil }],
            Checks = [new DrillCheck(Evil, Evil, Evil, Evil, false), new DrillCheck("other", Evil, Evil, Evil, true)],
            Spans =
            [
                new DrillSpan(DrillLane.Check, Evil, SampleDrill.Start, SampleDrill.Start.AddSeconds(1)),
                new DrillSpan(DrillLane.Recovery, Evil, SampleDrill.Start, SampleDrill.Start.AddSeconds(1))
                {
                    Phases = [new DrillPhase(Evil, TimeSpan.FromSeconds(1))],
                },
            ],
            Marks = [new DrillMark(SampleDrill.Start, Evil, true)],
        };

        string html = DrillReport.Render(result, evidence);

        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("alert('", html, StringComparison.Ordinal);
        // Two versions, lead (name and detail), step (name and detail), checks (4 and 3), span with title, span, phase's title, legend, mark.
        Assert.Equal(2 + 2 + 2 + 7 + 2 + 1 + 1 + 1 + 1, Regex.Count(html, "&lt;script&gt;"));
    }

    [Fact]
    public async Task WriteAsync_ResultAloneAsMarkdown_HasItsFiguresItsStepsAndAChartBesideIt()
    {
        using TemporaryDirectory directory = new();
        string path = Path.Combine(directory.Path, "reports", "drill.md");
        DrillResult result = SampleDrill.Result() with { Steps = [SampleDrill.Result().Steps[0] with { Name = "Base | backup", Detail = "<b>*all*</b>" }] };

        IReadOnlyList<string> files = await DrillReport.WriteAsync(path, result, default);
        string text = await File.ReadAllTextAsync(path);
        XDocument chart = XDocument.Load(files[1]);

        Assert.Equal([path, Path.Combine(directory.Path, "reports", "drill.svg")], files);
        Assert.Contains("](drill.svg)", text, StringComparison.Ordinal);
        Assert.Contains("PostgreSQL, time to recover |", text, StringComparison.Ordinal);
        Assert.Contains("Base \\| backup", text, StringComparison.Ordinal);
        Assert.Contains("\\<b\\>\\*all\\*", text, StringComparison.Ordinal);
        Assert.Equal("svg", chart.Root!.Name.LocalName);
        Assert.Contains(chart.Descendants(), static element => element.Name.LocalName == "text" && element.Value.StartsWith("Base | backup", StringComparison.Ordinal));
    }

    [Fact]
    public void Render_RedisTookPart_ShowsItsFiguresBesideItsObjectives()
    {
        string html = DrillReport.Render(SampleDrill.Result(), SampleDrill.Evidence());

        string figures = html[html.IndexOf("<h2 class=\"part\">Redis</h2>", StringComparison.Ordinal)..html.IndexOf("<dl class=\"facts\">", StringComparison.Ordinal)];
        foreach (string text in (string[])["1.8 s", "objective 5 min", "2.3 s", "objective 15 min", "3,120", "2,044", "1,076"])
        {
            Assert.Contains($">{text}</div>", figures, StringComparison.Ordinal);
        }

        Assert.Contains("1,076 of 3,120 acknowledged writes were younger", html, StringComparison.Ordinal);
        Assert.Contains(">Redis writes</text>", html, StringComparison.Ordinal);
    }

    [Fact]
    public void Render_RedisLeftOut_SaysSoAndHasNoFiguresOfIt()
    {
        DrillResult result = SampleDrill.Result() with
        {
            RedisAcknowledged = null,
            RedisRpoSeconds = null,
            RedisRtoSeconds = null,
            RedisServerVersion = null,
            RedisLeftOut = "No redis-server is on this machine's search path.",
        };
        DrillEvidence sample = SampleDrill.Evidence();
        DrillEvidence evidence = sample with
        {
            RedisComparison = null,
            RedisWriteRate = [],
            Spans = [.. sample.Spans.Where(static span => span.Lane != DrillLane.Redis && span.Label != "Redis")],
            Marks = [.. sample.Marks.Where(static mark => mark.Label != "Redis destroyed")],
        };

        string html = DrillReport.Render(result, evidence);

        Assert.Contains("<dt>Redis</dt><dd>left out. No redis-server is on", html, StringComparison.Ordinal);
        Assert.DoesNotContain("class=\"part\"", html, StringComparison.Ordinal);
        Assert.DoesNotContain(">Redis writes</text>", html, StringComparison.Ordinal);
        Assert.DoesNotContain("Redis was destroyed", html, StringComparison.Ordinal);
    }

    [Fact]
    public void Render_Always_NeedsNothingFromOutside()
    {
        string html = DrillReport.Render(SampleDrill.Result(), SampleDrill.Evidence());

        Assert.DoesNotMatch("(?i)https?://|src=|@import|url\\(|<link", html);
        Assert.Contains("prefers-color-scheme: dark", html, StringComparison.Ordinal);
        Assert.Contains("@media print", html, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("de-DE")]
    [InlineData("ar-SA")]
    public void Render_InAnyCulture_IsTheSame(string culture)
    {
        string expected = DrillReport.Render(SampleDrill.Result(), SampleDrill.Evidence());
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = new CultureInfo(culture);
            Assert.Equal(expected, DrillReport.Render(SampleDrill.Result(), SampleDrill.Evidence()));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.4)]
    [InlineData(3)]
    [InlineData(74)]
    [InlineData(3_600)]
    [InlineData(400_000)]
    public void Chart_AtAnyDuration_StaysInThePictureAndLabelsDoNotTouch(double seconds)
    {
        string svg = TimelineChart.Render(DrillTimeline.Of(SampleDrill.Result(seconds), SampleDrill.Evidence(seconds)));

        Assert.DoesNotContain("NaN", svg, StringComparison.Ordinal);
        Assert.DoesNotContain("Infinity", svg, StringComparison.Ordinal);
        Assert.DoesNotContain("∞", svg, StringComparison.Ordinal);
        XElement root = XElement.Parse(svg);
        double height = root.Attribute("viewBox")!.Value.Split(' ').Select(Number).ElementAt(3);
        foreach (XElement bar in root.Descendants("rect"))
        {
            double x = Number(bar.Attribute("x")!.Value);
            double width = Number(bar.Attribute("width")!.Value);
            Assert.InRange(x, TimelineChart.PlotLeft - 0.01, TimelineChart.PlotRight);
            Assert.True(width >= 0, $"A bar is {width} wide.");
            Assert.InRange(x + width, TimelineChart.PlotLeft, TimelineChart.PlotRight + 0.05);
        }

        foreach (double[] point in root.Descendants("polyline").SelectMany(static line => line.Attribute("points")!.Value.Split(' '))
            .Select(static point => point.Split(',').Select(Number).ToArray()))
        {
            Assert.InRange(point[0], TimelineChart.PlotLeft - 0.01, TimelineChart.PlotRight + 0.01);
            Assert.InRange(point[1], 0, height);
        }

        (double Left, double Right, double Y, string Text)[] texts = [.. root.Descendants("text").Select(static text =>
        {
            double x = Number(text.Attribute("x")!.Value);
            double width = LabelRows.WidthOf(text.Value);
            double left = text.Attribute("text-anchor")?.Value switch { "middle" => x - (width / 2), "end" => x - width, _ => x };
            return (left, left + width, Number(text.Attribute("y")!.Value), text.Value);
        })];
        Assert.All(texts, text => Assert.InRange(text.Y, 10, height));
        for (int i = 0; i < texts.Length; i++)
        {
            for (int j = i + 1; j < texts.Length; j++)
            {
                bool overlap = Math.Abs(texts[i].Y - texts[j].Y) < 11 && texts[i].Left < texts[j].Right && texts[j].Left < texts[i].Right;
                Assert.False(overlap, $"'{texts[i].Text}' and '{texts[j].Text}' touch.");
            }
        }
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1.2, 2)]
    [InlineData(812, 1000)]
    [InlineData(2000, 2000)]
    [InlineData(double.NaN, 1)]
    public void NiceTop_OfAValue_IsARoundNumberAtOrAboveIt(double value, double expected) =>
        Assert.Equal(expected, TimelineChart.NiceTop(value, 1), 6);

    [Fact]
    public void Ticks_OfAMinute_AreRoundInstantsInUtc()
    {
        TimeAxis axis = new(
            new DateTimeOffset(2026, 11, 5, 12, 0, 1, TimeSpan.FromHours(2)), new DateTimeOffset(2026, 11, 5, 10, 1, 2, TimeSpan.Zero), 100, 1100);

        string[] labels = [.. axis.Ticks().Select(static tick => tick.Label)];

        Assert.Equal(["10:00:10", "10:00:20", "10:00:30", "10:00:40", "10:00:50", "10:01:00"], labels);
    }

    [Fact]
    public async Task WriteAsync_DirectoryThatCannotBe_SaysWhichFile()
    {
        string file = Path.GetTempFileName();
        try
        {
            SmcException error = await Assert.ThrowsAsync<SmcException>(() =>
                DrillReport.WriteAsync(Path.Combine(file, "report.html"), SampleDrill.Result(), SampleDrill.Evidence(), default));

            Assert.Equal(SmcErrorCode.TargetUnsuitable, error.Code);
            Assert.Contains("report.html", error.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
