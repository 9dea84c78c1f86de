using System.Diagnostics;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Postgres.Logical;

/// <summary>Carries steps out one after the other and remembers how each went.</summary>
internal sealed class StepLog(string activity, IOperationObserver observer)
{
    private readonly List<RestoreStep> _steps = [];

    public IReadOnlyList<RestoreStep> Steps => [.. _steps];

    public DateTimeOffset StartTime { get; } = DateTimeOffset.UtcNow;

    /// <summary>The step that is at work, or that failed.</summary>
    public string Current { get; private set; } = "";

    /// <summary>Carries a step out. What it returns says what was done.</summary>
    public async Task RunAsync(string name, Func<Task<string>> work)
    {
        Current = name;
        observer.Progress(new OperationProgress(activity, name));
        DateTimeOffset start = DateTimeOffset.UtcNow;
        long clock = Stopwatch.GetTimestamp();
        try
        {
            Add(await work().ConfigureAwait(false), "Passed");
        }
        catch (Exception e) when (e is SmcException or OperationCanceledException)
        {
            Add(e.Message, "Failed");
            throw;
        }

        void Add(string detail, string outcome)
        {
            _steps.Add(new RestoreStep
            {
                Name = name,
                Outcome = outcome,
                StartTime = start,
                DurationSeconds = Stopwatch.GetElapsedTime(clock).TotalSeconds,
                Detail = detail,
            });
            observer.Verbose($"{name}: {detail}");
        }
    }

    /// <summary>Turns the last step into one that went on although something was wrong.</summary>
    public void Soften()
    {
        _steps[^1] = _steps[^1] with { Outcome = "Warning" };
    }
}
