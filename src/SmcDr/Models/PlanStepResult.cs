namespace SmcDr;

/// <summary>One step of a plan: as it is planned, or as it ended.</summary>
public sealed record PlanStepResult
{
    /// <summary>The plan's id; none where it was only planned.</summary>
    public string? PlanId { get; init; }

    /// <summary>The step's key, such as <c>restore-database</c>: the same in every plan in which the same is done.</summary>
    public required string Step { get; init; }

    /// <summary>What is done, for people.</summary>
    public required string Title { get; init; }

    /// <summary>To what it is done, such as a database, a workload or a directory.</summary>
    public required string Target { get; init; }

    /// <summary>How far it is.</summary>
    public required PlanStepState State { get; init; }

    /// <summary>The keys of the steps that come before it.</summary>
    public IReadOnlyList<string> After { get; init => field = ResultList.Of(value); } = new ResultList<string>([]);

    /// <summary>When it began, in UTC; none where it did not.</summary>
    public DateTimeOffset? StartTime { get; init; }

    /// <summary>How long it took; none where it did not begin.</summary>
    public TimeSpan? Elapsed { get; init; }

    /// <summary>The same in seconds.</summary>
    public double? ElapsedSeconds => Elapsed?.TotalSeconds;

    /// <summary>How long it is expected to take, in seconds, by earlier runs; none where there was none.</summary>
    public double? PredictedSeconds { get; init; }

    /// <summary>When it is expected to begin, in seconds after the plan does, where steps without a prediction count for nothing.</summary>
    public double? PredictedStartSeconds { get; init; }

    /// <summary>How much it handles, in bytes; none where that says nothing of it.</summary>
    public long? SizeBytes { get; init; }

    /// <summary>What it will do, was done or found, in a sentence.</summary>
    public required string Detail { get; init; }

    /// <summary>What a restore of the system has come to, at the step that measures it; none for all others.</summary>
    public SystemRestoreResult? Recovery { get; init; }

    /// <summary>What leading the site to another region has come to, at the step that measures it; none for all others.</summary>
    public RegionFailoverResult? Failover { get; init; }

    /// <summary>The id of the error where it failed.</summary>
    public string? ErrorId { get; init; }

    /// <summary>The step and its state.</summary>
    public override string ToString() => $"{Step}: {State}";
}
