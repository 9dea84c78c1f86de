namespace SmcDr.Core.Sites;

/// <summary>The DNS record that leads clients to the primary region.</summary>
public sealed record DnsSettings
{
    [SiteKey("The hosted zone's id in Route 53.", Kind = SiteValueKind.Name)]
    public required string HostedZoneId { get; init; }

    [SiteKey("The record's name.", Kind = SiteValueKind.HostName)]
    public required string Record { get; init; }

    [SiteKey("For how many seconds resolvers may keep the record.", Minimum = 1, Maximum = 86400)]
    public int Ttl { get; init; } = 60;
}
