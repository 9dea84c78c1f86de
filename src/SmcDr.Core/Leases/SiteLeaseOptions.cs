namespace SmcDr.Core.Leases;

/// <summary>How a site's lease is taken and kept.</summary>
public sealed record SiteLeaseOptions
{
    /// <summary>Whether another's lease that still counts is broken.</summary>
    public bool Break { get; init; }

    /// <summary>How often it is renewed.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// How long the holder goes on without a renewal. The rest until <see cref="Expiry"/> is the time in which its running steps unwind.
    /// </summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(45);

    /// <summary>How long the lease counts after its last sign of life, by the clock of the store.</summary>
    public TimeSpan Expiry { get; init; } = TimeSpan.FromSeconds(90);
}
