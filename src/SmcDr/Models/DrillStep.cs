namespace SmcDr;

/// <summary>One step of a drill.</summary>
public sealed record DrillStep
{
    /// <summary>The step's name, such as <c>Base backup</c>.</summary>
    public required string Name { get; init; }

    /// <summary><c>Passed</c> or <c>Failed</c>; <c>Running</c> only where a step is reported while it is at work.</summary>
    public required string Outcome { get; init; }

    /// <summary>When it began, in UTC.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>How long it took, in seconds.</summary>
    public required double DurationSeconds { get; init; }

    /// <summary>What was done or found, in a sentence.</summary>
    public required string Detail { get; init; }

    /// <summary>The step and its outcome.</summary>
    public override string ToString() => $"{Name}: {Outcome}";
}
