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

    /// <summary>
    /// How long it will take, by what its recoveries took, one after the other: whoever made them, also in tests. Null where one of them was never measured.
    /// </summary>
    public TimeSpan? Estimated { get; init; }

    /// <summary>How long it took when it was carried out as a whole, from its beginning to its end: the median of the newest five. Null where it never was.</summary>
    public TimeSpan? Measured { get; init; }

    /// <summary>How often it was carried out as a whole, without an interruption, as far as that is looked back.</summary>
    public int MeasuredCount { get; init; }

    /// <summary>The command in PowerShell that carries it out. What stands in angle brackets is to be decided.</summary>
    public required string Command { get; init; }

    /// <summary>The same for a host without PowerShell.</summary>
    public required string Program { get; init; }

    /// <summary>The steps in order.</summary>
    public required IReadOnlyList<RunbookStep> Steps { get; init => field = ResultList.Of(value); }
}
