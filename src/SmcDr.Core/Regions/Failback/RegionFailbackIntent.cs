using SmcDr.Core.Regions.Failover;

namespace SmcDr.Core.Regions.Failback;

/// <summary>What was decided when a failback was begun: by it whoever resumes it builds the same steps.</summary>
internal sealed record RegionFailbackIntent
{
    /// <summary>The planned failover with which it ends: from the region that leads to the one that led before.</summary>
    public required RegionFailoverIntent Switch { get; init; }

    /// <summary>Whether it goes on where what was lost cannot be listed.</summary>
    public bool Force { get; init; }

    /// <summary>Whether pg_rewind is not tried.</summary>
    public bool NoRewind { get; init; }
}
