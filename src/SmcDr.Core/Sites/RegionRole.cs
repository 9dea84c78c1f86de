namespace SmcDr.Core.Sites;

/// <summary>What a region is at rest. After a failover the repository knows which region leads.</summary>
public enum RegionRole
{
    /// <summary>It serves.</summary>
    Primary,

    /// <summary>It follows and takes over.</summary>
    Standby,
}
