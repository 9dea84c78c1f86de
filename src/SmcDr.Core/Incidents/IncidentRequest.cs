namespace SmcDr.Core.Incidents;

/// <summary>An incident that is to be opened.</summary>
/// <param name="Title">What happened, in a line.</param>
/// <param name="Severity">How much it matters.</param>
/// <param name="Scenario">What it is, as far as procedures go.</param>
public sealed record IncidentRequest(string Title, AlertSeverity Severity, IncidentScenario Scenario);
