namespace SmcDr.Core.Runbooks;

/// <summary>Which runbook is carried out, and what an operator has decided for it.</summary>
public sealed record RunbookOptions
{
    /// <summary>What has happened.</summary>
    public required IncidentScenario Scenario { get; init; }

    /// <summary>The instant to go back to; null = the end of the log. After an attack it must be given.</summary>
    public DateTimeOffset? TargetTime { get; init; }

    /// <summary>Where a region has failed, the one that is to lead; null = the only other one.</summary>
    public string? Region { get; init; }

    /// <summary>Whether every question is answered with yes beforehand, and a region is left although its primary gives signs of life.</summary>
    public bool Force { get; init; }

    /// <summary>Whether it is only looked at: then a primary that is alive is told of, and hides no step.</summary>
    public bool IsPreview { get; init; }

    /// <summary>How long a pod that has failed is given to come back by itself.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromMinutes(2);
}
