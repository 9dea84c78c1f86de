using System.Globalization;

namespace SmcDr;

/// <summary>A step of a runbook.</summary>
public sealed record RunbookStep
{
    /// <summary>Its place, from 1 on.</summary>
    public required int Number { get; init; }

    /// <summary>What is done, and what to look at before the next one.</summary>
    public required string Title { get; init; }

    /// <summary>The command in PowerShell. What stands in angle brackets is to be filled in.</summary>
    public required string Command { get; init; }

    /// <summary>The same for a host without PowerShell; null where there is none.</summary>
    public string? Program { get; init; }

    /// <summary>The component that it recovers; null where it recovers none.</summary>
    public string? Component { get; init; }

    /// <summary>The site's objective for the time of that recovery.</summary>
    public TimeSpan? Objective { get; init; }

    /// <summary>How long it took: the median of the newest five recoveries, or of the newest five times that a plan did it. Null where none was measured.</summary>
    public TimeSpan? Measured { get; init; }

    /// <summary>How many measurements that is of; what plans have learned counts as one.</summary>
    public int MeasuredCount { get; init; }

    /// <summary>The step and its command.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Number}. {Title} {Command}");
}
