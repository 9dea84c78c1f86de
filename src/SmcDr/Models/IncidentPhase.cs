namespace SmcDr;

/// <summary>The phases of an incident.</summary>
public enum IncidentPhase
{
    /// <summary>The first 15 minutes: assess the impact and begin the recovery.</summary>
    Response,

    /// <summary>From 15 to 30 minutes: tell stakeholders and customers.</summary>
    Communication,

    /// <summary>From 30 to 60 minutes: carry out the recovery.</summary>
    Recovery,

    /// <summary>From 60 to 90 minutes: verify that the system works.</summary>
    Verification,

    /// <summary>From 24 to 48 hours: find the cause, and improve the procedures.</summary>
    PostIncident,
}
