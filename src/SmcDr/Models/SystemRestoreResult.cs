namespace SmcDr;

/// <summary>What a restore of a system has come to, measured beside what the site allows.</summary>
public sealed record SystemRestoreResult
{
    /// <summary>The site's name.</summary>
    public required string Site { get; init; }

    /// <summary>The plan's id; none where it kept no journal.</summary>
    public string? PlanId { get; init; }

    /// <summary><c>Missed</c> where a part misses an objective, otherwise <c>Met</c>; none where the site has no objective for any of them.</summary>
    public string? Verdict { get; init; }

    /// <summary>The instant that was gone back to, in UTC; none = as late as could be.</summary>
    public DateTimeOffset? TargetTime { get; init; }

    /// <summary>When it was decided, in UTC: from here on the time to recover counts.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>How long it took from then until the system was verified, pauses between runs among it.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>The same in seconds.</summary>
    public double DurationSeconds => Duration.TotalSeconds;

    /// <summary>What was restored, each for itself.</summary>
    public required IReadOnlyList<ComponentRecovery> Components { get; init => field = ResultList.Of(value); }
}
