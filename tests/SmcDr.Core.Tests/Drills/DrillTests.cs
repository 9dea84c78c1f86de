using SmcDr.Core.Drills;
using SmcDr.Core.Operations;
using SmcDr.Core.Tests.Postgres.BaseBackups;

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
        Assert.Null(result.RedisLeftOut);
        Assert.True(result.RedisRecovered >= 1_000, $"Only {result.RedisRecovered} keys came back.");
        Assert.True(result.RedisLostAcknowledged >= 1_000, $"Only {result.RedisLostAcknowledged} keys were lost, and a thousand were written after the backup.");
        Assert.Equal(result.RedisAcknowledged, result.RedisRecovered + result.RedisLostAcknowledged);
        Assert.Equal(0, result.RedisUnexpectedKeys);
        Assert.InRange(result.RedisRpoSeconds!.Value, 0.1, result.RedisRpoObjectiveSeconds);
        Assert.InRange(result.RedisRtoSeconds!.Value, 0.01, result.RedisRtoObjectiveSeconds);
        Assert.Equal((900, 300), (result.RedisRpoObjectiveSeconds, result.RedisRtoObjectiveSeconds));
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

    [Fact]
    public async Task RunAsync_NoRedisOnTheMachine_SaysThatItWasLeftOutAndPasses()
    {
        RecordingObserver observer = new();

        DrillResult result = await Drill.RunAsync(
            new DrillOptions { SizeBytes = 2_000_000, WorkDirectory = _directory, SearchPath = "" }, observer, null, default);

        Assert.True(result.Succeeded, string.Join('\n', result.Steps.Select(static step => $"{step.Outcome} {step.Name}: {step.Detail}")));
        Assert.StartsWith("No redis-server", result.RedisLeftOut, StringComparison.Ordinal);
        Assert.Equal((null, null, null), (result.RedisAcknowledged, result.RedisRpoSeconds, result.RedisRtoSeconds));
        Assert.Contains(observer.Warnings, static warning => warning.StartsWith("Redis was left out of the drill: No redis-server", StringComparison.Ordinal));
        Assert.DoesNotContain(result.Steps, static step => step.Name.Contains("Redis", StringComparison.Ordinal));
        Assert.Empty(Directory.GetFileSystemEntries(_directory));
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
