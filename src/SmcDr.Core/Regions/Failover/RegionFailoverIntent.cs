namespace SmcDr.Core.Regions.Failover;

/// <summary>What was decided when a failover was begun: by it whoever resumes it builds the same steps.</summary>
internal sealed record RegionFailoverIntent
{
    /// <summary>The region that led.</summary>
    public required string From { get; init; }

    /// <summary>The region that is to lead.</summary>
    public required string To { get; init; }

    /// <summary>Whether the site was led there before, so that there is nothing to do but to look; <see cref="From"/> is the same region then.</summary>
    public bool IsDone { get; init; }

    /// <summary>Whether nothing may be lost, for which the old primary must be there and is stopped cleanly.</summary>
    public bool Planned { get; init; }

    /// <summary>Whether it was begun although the primary answered, and what cannot be brought is lost knowingly.</summary>
    public bool Force { get; init; }

    /// <summary>The number of the epoch that ends; 0 where there was none.</summary>
    public required long Epoch { get; init; }

    /// <summary>The database cluster.</summary>
    public required string SystemId { get; init; }

    /// <summary>The timeline that the standby follows.</summary>
    public required uint Timeline { get; init; }

    /// <summary>Whether the old region has writers that can be stopped.</summary>
    public bool StopsWriters { get; init; }

    /// <summary>Whether the new region has writers that can be started.</summary>
    public bool StartsWriters { get; init; }

    public bool HasRedis { get; init; }

    public bool HasDns { get; init; }

    /// <summary>Whether the old primary becomes a standby at the end.</summary>
    public bool Follows { get; init; }

    /// <summary>When it was asked for, in UTC; null for a failback, whose time begins with its switchover.</summary>
    public DateTimeOffset? AskedTime { get; init; }

    /// <summary>What starts smcdr in the <c>restore_command</c> of that standby.</summary>
    public IReadOnlyList<string> Program { get; init; } = [];
}
