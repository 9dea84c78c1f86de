namespace SmcDr.Core.Drills;

/// <summary>Turns instants into a rate.</summary>
public static class CommitRate
{
    private const int MaximumBuckets = 240;
    private const double SmallestBucketSeconds = 0.5;

    /// <summary>Commits per second in equal buckets between two instants, each at its middle. Buckets without commits are zero.</summary>
    public static IReadOnlyList<DrillSample> Of(IEnumerable<DateTimeOffset> commits, DateTimeOffset start, DateTimeOffset end)
    {
        ArgumentNullException.ThrowIfNull(commits);
        double seconds = (end - start).TotalSeconds;
        if (seconds <= 0)
        {
            return [];
        }

        int[] counts = new int[Math.Clamp((int)(seconds / SmallestBucketSeconds), 1, MaximumBuckets)];
        double width = seconds / counts.Length;
        foreach (DateTimeOffset time in commits)
        {
            double offset = (time - start).TotalSeconds;
            if (offset >= 0 && offset <= seconds)
            {
                counts[Math.Min((int)(offset / width), counts.Length - 1)]++;
            }
        }

        return [.. counts.Select((count, i) => new DrillSample(start.AddSeconds((i + 0.5) * width), count / width))];
    }
}
