namespace SmcDr;

/// <summary>One step of a restore or a recovery of a database.</summary>
public sealed record RestoreStep
{
    /// <summary>The step's name, such as <c>Emergency backup</c>.</summary>
    public required string Name { get; init; }

    /// <summary><c>Passed</c>, <c>Warning</c> or <c>Failed</c>.</summary>
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
