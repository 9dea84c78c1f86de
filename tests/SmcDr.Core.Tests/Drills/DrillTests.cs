using SmcDr.Core.Drills;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Tests.Drills;

public sealed class DrillTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("smcdr-test-drill-").FullName;

    public DrillTests()
    {
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(_directory, File.GetUnixFileMode(_directory) | UnixFileMode.OtherExecute);
        }
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task RunAsync_SmallDatabase_LosesNothingBeyondItsPromiseAndLeavesNothing()
    {
        string report = Path.Combine(_directory, "report.html");
        Steps steps = new();

        DrillResult result = await Drill.RunAsync(
            new DrillOptions { SizeBytes = 20_000_000, WorkDirectory = _directory, ReportPath = report }, NullObserver.Instance, steps, default);

        Assert.True(result.Succeeded, string.Join('\n', result.Steps.Select(static step => $"{step.Outcome} {step.Name}: {step.Detail}")));
        Assert.True(result.Acknowledged > 3_000, $"Only {result.Acknowledged} rows were compared.");
        Assert.Equal(result.Acknowledged, result.Recovered + result.LostAcknowledged);
        Assert.InRange(result.RpoSeconds, 0, 2);
        Assert.InRange(result.RtoSeconds, 0.1, result.RtoObjectiveSeconds);
        Assert.Equal(0, result.UnexpectedRows);
        Assert.Equal([report], Directory.GetFileSystemEntries(_directory));
        Assert.Contains("<svg class=\"timeline\"", await File.ReadAllTextAsync(report), StringComparison.Ordinal);
        Assert.Equal(result.Steps.Select(static step => step.Name), steps.Ended.Select(static step => step.Name));
    }

    [Fact]
    public async Task RunAsync_CancelledWhileItBacksUp_LeavesNeitherFileNorProcess()
    {
        using CancellationTokenSource source = new();
        Steps steps = new() { OnBegin = step => { if (step == "Base backup") { source.Cancel(); } } };

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Drill.RunAsync(
            new DrillOptions { SizeBytes = 2_000_000, WorkDirectory = _directory }, NullObserver.Instance, steps, source.Token));

        Assert.Empty(Directory.GetFileSystemEntries(_directory));
        Assert.Empty(DrillDirectory.ProcessesIn(_directory));
        DrillStep last = steps.Ended[^1];
        Assert.Equal(("Clean up", "Passed"), (last.Name, last.Outcome));
    }

    private sealed class Steps : IProgress<DrillStep>
    {
        public List<DrillStep> Ended { get; } = [];

        public Action<string> OnBegin { get; init; } = static _ => { };

        public void Report(DrillStep value)
        {
            if (value.Outcome == "Running")
            {
                OnBegin(value.Name);
            }
            else
            {
                Ended.Add(value);
            }
        }
    }
}
