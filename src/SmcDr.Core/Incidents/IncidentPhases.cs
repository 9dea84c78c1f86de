namespace SmcDr.Core.Incidents;

/// <summary>The phases of an incident, and when they should be.</summary>
internal static class IncidentPhases
{
    private static readonly (IncidentPhase Phase, TimeSpan Start, TimeSpan End, string Task)[] s_all =
    [
        (IncidentPhase.Response, TimeSpan.Zero, TimeSpan.FromMinutes(15), "Assess the impact and begin the recovery."),
        (IncidentPhase.Communication, TimeSpan.FromMinutes(15), TimeSpan.FromMinutes(30), "Tell stakeholders and customers."),
        (IncidentPhase.Recovery, TimeSpan.FromMinutes(30), TimeSpan.FromMinutes(60), "Carry out the recovery."),
        (IncidentPhase.Verification, TimeSpan.FromMinutes(60), TimeSpan.FromMinutes(90), "Verify that the system works."),
        (IncidentPhase.PostIncident, TimeSpan.FromHours(24), TimeSpan.FromHours(48), "Find the cause, and improve the procedures."),
    ];

    /// <summary>The phases of an incident that began at an instant, with what its notes say of them.</summary>
    public static IReadOnlyList<IncidentPhaseInfo> Of(DateTimeOffset start, IReadOnlyCollection<IncidentEntry> timeline) =>
    [
        .. s_all.Select(phase => new IncidentPhaseInfo
        {
            Phase = phase.Phase,
            Task = phase.Task,
            PlannedTime = start + phase.Start,
            PlannedEndTime = start + phase.End,
            StartTime = timeline.FirstOrDefault(entry => entry.Phase == phase.Phase)?.Time,
        }),
    ];
}
