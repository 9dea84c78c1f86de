namespace SmcDr;

/// <summary>An incident: what happened, who was called, and what was done when.</summary>
public sealed record IncidentInfo
{
    /// <summary>The incident's id.</summary>
    public required string IncidentId { get; init; }

    /// <summary>The site.</summary>
    public required string Site { get; init; }

    /// <summary>What happened, in a line.</summary>
    public required string Title { get; init; }

    /// <summary>How much it matters.</summary>
    public AlertSeverity Severity { get; init; }

    /// <summary>What it is, as far as procedures go.</summary>
    public IncidentScenario Scenario { get; init; }

    /// <summary><c>Open</c> or <c>Closed</c>.</summary>
    public required string State { get; init; }

    /// <summary>When it was opened, in UTC.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>When it was closed, in UTC; null where it is open.</summary>
    public DateTimeOffset? EndTime { get; init; }

    /// <summary>How long it took, or takes by now.</summary>
    public TimeSpan Duration { get; init; }

    /// <summary>The account and the host that opened it.</summary>
    public required string OpenedBy { get; init; }

    /// <summary>What became of it; null where it is open.</summary>
    public string? Summary { get; init; }

    /// <summary>Why it happened, as far as it is known.</summary>
    public string? RootCause { get; init; }

    /// <summary>Who is called, as the site file had them when the incident was opened.</summary>
    public IReadOnlyList<IncidentContact> Contacts { get; init => field = ResultList.Of(value); } = new ResultList<IncidentContact>([]);

    /// <summary>The phases, when they should be and when they were.</summary>
    public IReadOnlyList<IncidentPhaseInfo> Phases { get; init => field = ResultList.Of(value); } = new ResultList<IncidentPhaseInfo>([]);

    /// <summary>What was done and noted, in the order of time.</summary>
    public IReadOnlyList<IncidentEntry> Timeline { get; init => field = ResultList.Of(value); } = new ResultList<IncidentEntry>([]);

    /// <summary>The repository that it is noted in.</summary>
    public required string Repository { get; init; }
}
