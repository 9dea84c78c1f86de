using System.Diagnostics;

namespace SmcDr.Core.Drills;

/// <summary>Times the steps of a drill and keeps what they found.</summary>
internal sealed class DrillRecorder(IProgress<DrillStep>? progress)
{
    private readonly List<DrillStep> _steps = [];
    private readonly List<DrillCheck> _checks = [];

    public IReadOnlyList<DrillStep> Steps => _steps;

    public IReadOnlyList<DrillCheck> Checks => _checks;

    public List<DrillComparison> Comparisons { get; } = [];

    public List<DrillSpan> Spans { get; } = [];

    public List<DrillMark> Marks { get; } = [];

    /// <summary>Runs a step. It fails by an exception, or by a check in it that did not pass.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="work">The step; returns what was done or found, in a sentence.</param>
    public async Task RunAsync(string name, Func<Task<string>> work)
    {
        DrillStep step = new()
        {
            Name = name,
            Outcome = "Running",
            StartTime = DateTimeOffset.UtcNow,
            DurationSeconds = 0,
            Detail = "",
        };
        progress?.Report(step);
        long start = Stopwatch.GetTimestamp();
        int checks = _checks.Count;
        string outcome = "Failed";
        string detail = "It was stopped.";
        try
        {
            detail = await work().ConfigureAwait(false);
            outcome = _checks.Skip(checks).All(static check => check.Passed) ? "Passed" : "Failed";
        }
        catch (SmcException e)
        {
            detail = $"{e.Message} ({e.ErrorId})";
            throw;
        }
        finally
        {
            step = step with
            {
                Outcome = outcome,
                Detail = detail,
                DurationSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds,
            };
            _steps.Add(step);
            progress?.Report(step);
        }
    }

    /// <summary>Runs a step that shows as a bar in the chart.</summary>
    public async Task RunAsync(string name, DrillLane lane, string label, Func<Task<string>> work)
    {
        DateTimeOffset start = DateTimeOffset.UtcNow;
        await RunAsync(name, work).ConfigureAwait(false);
        Spans.Add(new DrillSpan(lane, label, start, DateTimeOffset.UtcNow));
    }

    /// <summary>Notes something that was compared.</summary>
    public void Check(string disaster, string name, string expected, string found, bool? passed = null) =>
        _checks.Add(new DrillCheck(disaster, name, expected, found, passed ?? expected == found));
}
