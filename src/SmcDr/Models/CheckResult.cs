namespace SmcDr;

/// <summary>The outcome of one check.</summary>
public sealed record CheckResult
{
    /// <summary>What was checked, such as <c>Repository</c> or <c>WalLevel</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The region, component or object that was checked.</summary>
    public required string Target { get; init; }

    /// <summary><c>Passed</c>, <c>Warning</c>, <c>Failed</c> or <c>Skipped</c>.</summary>
    public required string Outcome { get; init; }

    /// <summary>What was found, in a sentence.</summary>
    public required string Message { get; init; }

    /// <summary>What to do about it, where it did not pass.</summary>
    public string? Recommendation { get; init; }

    /// <summary>How long the check took, in seconds.</summary>
    public double DurationSeconds { get; init; }

    /// <summary>The check, its outcome and why.</summary>
    public override string ToString() => $"{Name}: {Outcome}: {Message}";
}
