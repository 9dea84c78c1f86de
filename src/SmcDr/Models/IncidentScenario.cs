namespace SmcDr;

/// <summary>What an incident is, as far as procedures go.</summary>
public enum IncidentScenario
{
    /// <summary>Something else.</summary>
    Other,

    /// <summary>A single pod has failed.</summary>
    PodFailure,

    /// <summary>The database is damaged, or has lost data.</summary>
    DatabaseCorruption,

    /// <summary>A region is gone.</summary>
    RegionFailure,

    /// <summary>A data centre is gone, with all that is in it.</summary>
    DataCenterFailure,

    /// <summary>Somebody has encrypted or destroyed data on purpose.</summary>
    Ransomware,
}
