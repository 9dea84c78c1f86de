namespace SmcDr;

/// <summary>What is to be done in a scenario, for a site as it is.</summary>
public sealed record RunbookInfo
{
    /// <summary>The site.</summary>
    public required string Site { get; init; }

    /// <summary>The scenario.</summary>
    public required IncidentScenario Scenario { get; init; }

    /// <summary>What has happened.</summary>
    public required string Title { get; init; }

    /// <summary>How long it may take until the system is back: the longest of the site's objectives for what is recovered; null where it has none.</summary>
    public TimeSpan? Objective { get; init; }

    /// <summary>How long the recoveries took that were measured, one after the other; null where one of the steps was never measured.</summary>
    public TimeSpan? Measured { get; init; }

    /// <summary>The steps in order.</summary>
    public required IReadOnlyList<RunbookStep> Steps { get; init; }
}
