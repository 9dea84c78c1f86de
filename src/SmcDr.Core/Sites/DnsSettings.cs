using SmcDr.Core.Dns;

namespace SmcDr.Core.Sites;

/// <summary>The DNS record that leads clients to the primary region.</summary>
public sealed record DnsSettings : ISiteRules
{
    [SiteKey("The hosted zone's id in Route 53.", Kind = SiteValueKind.HostedZone)]
    public required string HostedZoneId { get; init; }

    [SiteKey("The record's name.", Kind = SiteValueKind.HostName)]
    public required string Record { get; init; }

    [SiteKey("The record's type, where it cannot be told by what is there: A, AAAA or CNAME.", Kind = SiteValueKind.RecordType)]
    public string? RecordType { get; init; }

    [SiteKey("For how many seconds resolvers may keep the record.", Minimum = 1, Maximum = 86400)]
    public int Ttl { get; init; } = 60;

    [SiteKey("The profile of the shared AWS configuration that Route 53 is used with; without it, where AWS tools look.", Kind = SiteValueKind.Name)]
    public string? Profile { get; init; }

    [SiteKey("Where Route 53 is, in place of AWS's own address, such as that of another partition.", Kind = SiteValueKind.Url)]
    public string? Endpoint { get; init; }

    [SiteKey("The servers that are asked for the zone, as host and port, in place of its own.", Kind = SiteValueKind.Endpoint)]
    public IReadOnlyList<string> NameServers { get; init; } = [];

    [SiteKey("What the application is asked for after the record was changed, under the record's name.", Kind = SiteValueKind.Url)]
    public string? Probe { get; init; }

    [SiteKey("The HTTP status that says that the application is well.", Minimum = 100, Maximum = 599)]
    public int ProbeStatus { get; init; } = 200;

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (!DnsName.TryParse(Record, out DnsName? record))
        {
            yield return ("record", $"is '{Record}', which is no domain name");
        }
        else if (Probe is not null && SiteDns.FindProbeProblem(Probe, record) is { } problem)
        {
            yield return ("probe", problem);
        }
    }
}
