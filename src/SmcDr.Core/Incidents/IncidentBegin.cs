namespace SmcDr.Core.Incidents;

/// <summary>What an incident is: with the entry of number 0.</summary>
internal sealed record IncidentBegin
{
    public required string Site { get; init; }

    public required string Title { get; init; }

    public required AlertSeverity Severity { get; init; }

    public required IncidentScenario Scenario { get; init; }

    public required IReadOnlyList<IncidentContact> Contacts { get; init; }
}
