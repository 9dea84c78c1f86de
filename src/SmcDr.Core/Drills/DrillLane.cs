namespace SmcDr.Core.Drills;

/// <summary>A lane of the report's chart that holds bars.</summary>
public enum DrillLane
{
    /// <summary>When the server was up, and on which timeline.</summary>
    Server,

    /// <summary>When Redis was up.</summary>
    Redis,

    /// <summary>Backups.</summary>
    Backup,

    /// <summary>Recoveries.</summary>
    Recovery,

    /// <summary>Checks of what was recovered.</summary>
    Check,
}
