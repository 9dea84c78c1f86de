using System.CommandLine;
using System.Text.Json;
using SmcDr.Cli;
using SmcDr.Cli.Output;
using SmcDr.Core.Operations;
using SmcDr.Core.Tests.Drills;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Cli;

public sealed class CliOutputTests
{
    [Fact]
    public void Json_DrillResult_HasTheDocumentedFields()
    {
        StringWriter writer = new();

        JsonOutput.Write(writer, SampleDrill.Result());

        JsonElement json = JsonDocument.Parse(writer.ToString()).RootElement;
        Assert.Single(writer.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries));
        foreach (string name in new[]
        {
            "succeeded", "acknowledged", "recovered", "lostAcknowledged", "unexpectedRows", "rpoSeconds", "rtoSeconds", "steps",
            "redisAcknowledged", "redisRecovered", "redisLostAcknowledged", "redisRpoSeconds", "redisRtoSeconds",
        })
        {
            Assert.True(json.TryGetProperty(name, out _), name);
        }

        Assert.Equal(JsonValueKind.True, json.GetProperty("succeeded").ValueKind);
        Assert.Equal(8.42, json.GetProperty("rtoSeconds").GetDouble());
        Assert.Equal("2026-11-05T09:58:41.3Z", json.GetProperty("startTime").GetString());
        Assert.Equal("Create the server", json.GetProperty("steps")[0].GetProperty("name").GetString());
    }

    [Fact]
    public void Json_TimeSpan_IsSecondsUnderOneName()
    {
        StringWriter writer = new();

        JsonOutput.Write(writer, new { Took = TimeSpan.FromMilliseconds(1500), Wait = (TimeSpan?)null, Duration = TimeSpan.FromSeconds(2), DurationSeconds = 2.0 });

        JsonElement json = JsonDocument.Parse(writer.ToString()).RootElement;
        Assert.Equal(["tookSeconds", "waitSeconds", "durationSeconds"], json.EnumerateObject().Select(static p => p.Name));
        Assert.Equal(1.5, json.GetProperty("tookSeconds").GetDouble());
    }

    [Fact]
    public void Table_Plain_IsAlignedAndObeysNoControlCharacter()
    {
        StringWriter writer = new();
        Column<(string Name, int Count)>[] columns =
        [
            new("Name", static row => row.Name), new("Count", static row => FormattableString.Invariant($"{row.Count}"), IsNumber: true),
        ];

        TableOutput.Write(writer, [("a\u001b[31mb", 7), ("long name", 1234)], columns, isRich: false);

        Assert.Equal(["Name       Count", "a [31mb        7", "long name   1234"], writer.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void Error_MessageWithLineBreaks_StaysThreeLines()
    {
        StringWriter writer = new();

        ErrorText.Write(writer, new SmcException(SmcErrorCode.WalGap, "First.\r\nSecond.\u001b[2J", recommendation: "Do\nthis."));

        string[] lines = writer.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(3, lines.Length);
        Assert.DoesNotContain('\u001b', writer.ToString());
        Assert.Equal("Id:    SmcWalGap", lines[2]);
    }

    [Fact]
    public async Task Confirm_NobodyThere_IsAnErrorThatNamesYes()
    {
        CliContext context = Context("");

        SmcException error = await Assert.ThrowsAsync<SmcException>(() => context.ConfirmAsync("It will be replaced.", yes: false, default));

        Assert.Equal(SmcErrorCode.ArgumentInvalid, error.Code);
        Assert.Contains("--yes", error.Recommendation, StringComparison.Ordinal);
        Assert.True(await context.ConfirmAsync("It will be replaced.", yes: true, default));
    }

    [Theory]
    [InlineData("y", true)]
    [InlineData(" YES ", true)]
    [InlineData("", false)]
    [InlineData("n", false)]
    [InlineData("yep", false)]
    public async Task Confirm_Answer_OnlyYesIsYes(string answer, bool expected) =>
        Assert.Equal(expected, await Context(answer, isInteractive: true).ConfirmAsync("It will be replaced.", yes: false, default));

    [Fact]
    public void StreamStatus_ManyInASecond_WritesOneLineAndEveryChangeOfState()
    {
        ManualClock clock = new();
        StringWriter error = new();
        StreamStatusWriter writer = new(TextWriter.Null, error, json: false, clock);

        for (int i = 0; i < 10; i++)
        {
            writer.Report(Status("Streaming", i));
            clock.Advance(TimeSpan.FromMilliseconds(100));
        }

        writer.Report(Status("Waiting", 10));
        clock.Advance(TimeSpan.FromSeconds(6));
        writer.Report(Status("Waiting", 11));
        writer.Report(Status("Waiting", 12));
        writer.WriteLast();

        string[] lines = error.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(4, lines.Length);
        Assert.Contains("durable to 0/C", lines[3], StringComparison.Ordinal);
    }

    [Fact]
    public void StreamStatus_Json_IsOneObjectALine()
    {
        StringWriter output = new();
        StreamStatusWriter writer = new(output, TextWriter.Null, json: true, new ManualClock());

        writer.Report(Status("Streaming", 1));
        writer.Report(Status("Stopped", 2));

        string[] lines = output.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["Streaming", "Stopped"], lines.Select(static line => JsonDocument.Parse(line).RootElement.GetProperty("state").GetString()));
    }

    [Fact]
    public void PlainObserver_BusyActivity_WritesItsBeginningItsEndAndALineInTenSeconds()
    {
        ManualClock clock = new();
        StringWriter error = new();
        PlainObserver observer = new(error, verbose: false, clock);

        for (int i = 0; i < 150; i++)
        {
            observer.Progress(new OperationProgress("Base backup", "reading", i, 150, ProgressUnit.Items));
            clock.Advance(TimeSpan.FromMilliseconds(100));
        }

        observer.Progress(new OperationProgress("Base backup", "", 150, 150, ProgressUnit.Items) { IsCompleted = true });
        observer.Verbose("not wanted");

        Assert.Equal(
            ["Base backup, reading, 0 of 150.", "Base backup, reading, 100 of 150.", "Base backup, 150 of 150, over."],
            error.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries));
    }

    private static WalStreamStatus Status(string state, int lsn) =>
        new() { State = state, Time = SampleDrill.Start, FlushedLsn = new Lsn((ulong)lsn).ToString(), Timeline = 1 };

    private static CliContext Context(string answer, bool isInteractive = false)
    {
        CliHost host = new(new StringReader(answer), TextWriter.Null, TextWriter.Null) { IsInteractive = isInteractive };
        RootCommand root = new();
        root.Options.Add(GlobalOptions.NoColor);
        return new CliContext(host, root.Parse([]));
    }
}
