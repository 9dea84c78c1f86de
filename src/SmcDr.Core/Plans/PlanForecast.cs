namespace SmcDr.Core.Plans;

/// <summary>When the steps of a plan are expected to begin, carried out as <see cref="PlanRun"/> does it.</summary>
internal static class PlanForecast
{
    /// <summary>The seconds after the plan's beginning at which each step begins.</summary>
    /// <param name="steps">The steps that are to be done, each behind those that it comes after.</param>
    /// <param name="seconds">How long each takes.</param>
    /// <param name="parallelism">How many are at work at a time.</param>
    public static IReadOnlyDictionary<string, double> FindStarts(
        IReadOnlyList<PlanStep> steps, IReadOnlyDictionary<string, double> seconds, int parallelism)
    {
        Dictionary<string, double> starts = new(StringComparer.Ordinal);
        HashSet<string> awaited = [.. steps.Select(static step => step.Key)];
        PriorityQueue<string, double> running = new();
        double now = 0;
        while (starts.Count < steps.Count || running.Count > 0)
        {
            foreach (PlanStep step in steps)
            {
                if (running.Count < parallelism && !starts.ContainsKey(step.Key) && !step.After.Any(awaited.Contains))
                {
                    starts[step.Key] = now;
                    running.Enqueue(step.Key, now + seconds.GetValueOrDefault(step.Key));
                }
            }

            running.TryDequeue(out string? ended, out now);
            awaited.Remove(ended!);
        }

        return starts;
    }
}
