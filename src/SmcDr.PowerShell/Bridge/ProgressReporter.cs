using System.Globalization;
using System.Management.Automation;
using SmcDr.Core.Operations;

namespace SmcDr.PowerShell.Bridge;

/// <summary>Turns what the engine reports into progress records: nested, throttled, with rate and remaining time.</summary>
internal sealed class ProgressReporter : IDisposable
{
    // PowerShell's console draws progress every 200 ms; more often is work for nobody.
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(200);

    // The rate is that of the last seconds: an average since the start would hide that a store has become slow.
    private static readonly TimeSpan s_rateWindow = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Activity> _activities = new(StringComparer.Ordinal);
    private readonly Action<ProgressRecord> _emit;
    private readonly TimeProvider _clock;
    private readonly ITimer _flush;
    private int _lastId;
    private bool _disposed;

    public ProgressReporter(Action<ProgressRecord> emit, TimeProvider clock)
    {
        _emit = emit;
        _clock = clock;
        _flush = clock.CreateTimer(
            static state => ((ProgressReporter)state!).Flush(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Takes note of a progress and shows it, now or with the next that is due.</summary>
    public void Report(OperationProgress progress)
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            if (progress.IsCompleted)
            {
                if (_activities.Remove(progress.Activity, out Activity? ended))
                {
                    Emit(ended, progress);
                }

                return;
            }

            if (!_activities.TryGetValue(progress.Activity, out Activity? activity))
            {
                activity = new Activity(++_lastId);
                _activities.Add(progress.Activity, activity);
                Emit(activity, progress);
                return;
            }

            TimeSpan since = _clock.GetElapsedTime(activity.EmittedAt);
            if (since >= s_interval)
            {
                Emit(activity, progress);
                return;
            }

            // Held back, not dropped: it may be the last for a long while, such as "waiting for WAL".
            if (activity.Held is null)
            {
                _flush.Change(s_interval - since, Timeout.InfiniteTimeSpan);
            }

            activity.Held = progress;
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
        }

        _flush.Dispose();
    }

    private static double? Rate(Activity activity, OperationProgress progress, TimeProvider clock)
    {
        Queue<(long At, long Done)> samples = activity.Samples;
        long now = clock.GetTimestamp();
        if (activity.LastDone > progress.Done)
        {
            samples.Clear();
        }

        activity.LastDone = progress.Done;
        samples.Enqueue((now, progress.Done));
        while (samples.Count > 2 && clock.GetElapsedTime(samples.Peek().At, now) > s_rateWindow)
        {
            samples.Dequeue();
        }

        (long at, long done) = samples.Peek();
        double seconds = clock.GetElapsedTime(at, now).TotalSeconds;
        return seconds > 0 && progress.Done > done ? (progress.Done - done) / seconds : null;
    }

    private static string Describe(OperationProgress progress, double? rate, double? remaining)
    {
        List<string> parts = [];
        if (!string.IsNullOrWhiteSpace(progress.Status))
        {
            parts.Add(progress.Status);
        }

        bool bytes = progress.Unit == ProgressUnit.Bytes;
        string Count(long value) => bytes ? DisplayText.Size(value) : value.ToString("N0", CultureInfo.InvariantCulture);
        if (progress.Total is long total)
        {
            parts.Add($"{Count(progress.Done)} of {Count(total)}");
        }
        else if (progress.Done > 0)
        {
            parts.Add(Count(progress.Done));
        }

        if (bytes && rate is double perSecond)
        {
            parts.Add($"{DisplayText.Size((long)perSecond)}/s");
        }

        if (remaining is double seconds)
        {
            parts.Add($"{DisplayText.Duration(TimeSpan.FromSeconds(Math.Ceiling(seconds)))} left");
        }

        // PowerShell refuses a record without a description.
        return parts.Count == 0 ? "Working" : string.Join(", ", parts);
    }

    private void Flush()
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            TimeSpan? next = null;
            foreach (Activity activity in _activities.Values)
            {
                if (activity.Held is not OperationProgress held)
                {
                    continue;
                }

                TimeSpan since = _clock.GetElapsedTime(activity.EmittedAt);
                if (since >= s_interval)
                {
                    Emit(activity, held);
                }
                else if (next is null || s_interval - since < next)
                {
                    next = s_interval - since;
                }
            }

            if (next is TimeSpan due)
            {
                _flush.Change(due, Timeout.InfiniteTimeSpan);
            }
        }
    }

    private void Emit(Activity activity, OperationProgress progress)
    {
        double? rate = Rate(activity, progress, _clock);
        double? remaining = !progress.IsCompleted && rate is double r && progress.Total is long all && all >= progress.Done
            ? (all - progress.Done) / r
            : null;
        if (remaining > int.MaxValue)
        {
            // A first few bytes say nothing of when terabytes are done, and no record could say it.
            remaining = null;
        }

        int parent = progress.Parent is not null && _activities.TryGetValue(progress.Parent, out Activity? above) &&
            above.Id != activity.Id
            ? above.Id
            : -1;
        ProgressRecord record = new(activity.Id, progress.Activity, Describe(progress, rate, remaining))
        {
            ParentActivityId = parent,
            PercentComplete = progress.Total is > 0 and long total
                ? (int)Math.Clamp(100.0 * progress.Done / total, 0, 100)
                : -1,
            SecondsRemaining = remaining is double seconds ? (int)Math.Ceiling(seconds) : -1,
            RecordType = progress.IsCompleted ? ProgressRecordType.Completed : ProgressRecordType.Processing,
        };
        activity.EmittedAt = _clock.GetTimestamp();
        activity.Held = null;
        _emit(record);
    }

    private sealed class Activity(int id)
    {
        public int Id => id;

        public long EmittedAt { get; set; }

        public OperationProgress? Held { get; set; }

        public long LastDone { get; set; }

        public Queue<(long At, long Done)> Samples { get; } = new();
    }
}
