namespace SmcDr;

/// <summary>A record set as Route 53 has it, and as the zone's own servers answer where they were asked.</summary>
public sealed record DnsRecordInfo
{
    /// <summary>The name, such as <c>api.example.com</c>.</summary>
    public required string Name { get; init; }

    /// <summary>The type, such as <c>CNAME</c>.</summary>
    public required string Type { get; init; }

    /// <summary>
    /// How Route 53 chooses it: <c>Simple</c>, <c>Weighted</c> or <c>Failover</c>; <c>Latency</c>, <c>Geolocation</c>, <c>Geoproximity</c>,
    /// <c>IpBased</c>, <c>MultiValue</c>, <c>TrafficPolicy</c> and <c>Other</c> are shown and never changed.
    /// </summary>
    public required string Routing { get; init; }

    /// <summary>What tells it from others of the same name and type; null for a simple one.</summary>
    public string? SetIdentifier { get; init; }

    /// <summary>Of a weighted one, its share against that of the others, 0 to 255.</summary>
    public int? Weight { get; init; }

    /// <summary>Of a failover one, <c>PRIMARY</c> or <c>SECONDARY</c>.</summary>
    public string? Failover { get; init; }

    /// <summary>For how long resolvers may keep it, in seconds; null for an alias.</summary>
    public int? TtlSeconds { get; init; }

    /// <summary>The values: addresses, or a host name. Empty for an alias.</summary>
    public IReadOnlyList<string> Values { get; init => field = ResultList.Of(value); } = new ResultList<string>([]);

    /// <summary>What it is an alias of.</summary>
    public string? AliasTarget { get; init; }

    /// <summary>The health check without whose success it is not answered with.</summary>
    public string? HealthCheckId { get; init; }

    /// <summary>The region of the site that it leads to; null where it is none of them.</summary>
    public string? Region { get; init; }

    /// <summary>The hosted zone's id.</summary>
    public required string ZoneId { get; init; }

    /// <summary>The domain that the zone is for.</summary>
    public required string Zone { get; init; }

    /// <summary>Whether the zone answers in its VPCs only.</summary>
    public bool IsPrivateZone { get; init; }

    /// <summary>
    /// Whether the zone's own servers answer so: <c>Served</c> by all, <c>Partial</c> by some, <c>NotServed</c> by none. Null where they were not asked.
    /// </summary>
    public string? State { get; init; }

    /// <summary>What each of the zone's own servers answers. Empty where they were not asked.</summary>
    public IReadOnlyList<DnsServerAnswer> Servers { get; init => field = ResultList.Of(value); } = new ResultList<DnsServerAnswer>([]);
}
