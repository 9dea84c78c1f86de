using SmcDr.Core.Dns;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Sites;

/// <summary>From what a site file says of DNS to the engine, so that every front end means the same by it.</summary>
public static class SiteDns
{
    /// <summary>The site's settings of DNS.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SiteInvalid"/>: it has none.</exception>
    public static DnsSettings GetDns(this Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        return site.Dns ?? throw new SmcException(
            SmcErrorCode.SiteInvalid,
            $"The site '{site.Name}' does not say which DNS record leads to it.",
            recommendation: $"Add 'dns' to '{site.Path}', such as: dns: {{ hostedZoneId: Z0123456789ABC, record: api.example.com }}.",
            target: site.Name);
    }

    /// <summary>The records of the site's hosted zone.</summary>
    public static DnsRecords CreateDns(this Site site, IOperationObserver observer) => site.CreateDns(new Route53Options(), observer);

    /// <summary>The record sets of a name.</summary>
    /// <param name="site">The site.</param>
    /// <param name="records">The records of its zone.</param>
    /// <param name="name">The name; null = the site's record.</param>
    /// <param name="type">Only those of this type.</param>
    /// <param name="askServers">Whether the zone's own servers are asked.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.DnsRecordUnsuitable"/>: there is none.</exception>
    public static async Task<IReadOnlyList<DnsRecordInfo>> ReadDnsAsync(
        this Site site, DnsRecords records, string? name, string? type, bool askServers, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(records);
        DnsName asked = DnsName.Parse(name ?? site.GetDns().Record);
        IReadOnlyList<DnsRecordInfo> found = await records
            .ReadAsync(asked, type?.ToUpperInvariant(), askServers, cancellationToken).ConfigureAwait(false);
        return found.Count > 0
            ? found
            : throw new SmcException(
                SmcErrorCode.DnsRecordUnsuitable,
                $"There is no record {asked.Display}{(type is null ? "" : $" of type {type.ToUpperInvariant()}")} in zone {site.GetDns().HostedZoneId}.",
                recommendation: "Check the name and the zone; Set-SmcDnsRecord makes a record that is not there.",
                target: asked.Display);
    }

    /// <summary>What a record is to become, as arguments and site file say it together.</summary>
    /// <param name="site">The site.</param>
    /// <param name="name">The name; null = the site's record.</param>
    /// <param name="type">The type; null = the site's, or what is there.</param>
    /// <param name="region">The region that it is to lead to; null where values are given.</param>
    /// <param name="values">The values, where no region is given.</param>
    /// <param name="ttl">The TTL in seconds; null = the site's for its record, else as it is.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>; <see cref="SmcErrorCode.SiteInvalid"/>.</exception>
    public static DnsRecordRequest CreateDnsRequest(
        this Site site, string? name, string? type, string? region, IReadOnlyList<string> values, int? ttl)
    {
        DnsSettings dns = site.GetDns();
        ArgumentNullException.ThrowIfNull(values);
        if ((region is null) == (values.Count == 0))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "A record is changed to lead to a region, or to values that are given: one of the two.",
                recommendation: "Give -Region or -Value (--region or --value).");
        }

        if (ttl is < 0 or > 604800)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid, $"The TTL is {ttl} seconds.", recommendation: "Give 0 to 604800 seconds; 60 is right for a record that is switched in a disaster.");
        }

        DnsName own = DnsName.Parse(dns.Record);
        DnsName asked = name is null ? own : DnsName.Parse(name);
        return new DnsRecordRequest
        {
            Name = asked,
            Type = type?.ToUpperInvariant() ?? (asked == own && values.Count == 0 ? dns.RecordType : null),
            Target = region is null ? null : TargetOf(site.GetRegion(region)) ?? throw new SmcException(
                SmcErrorCode.SiteInvalid,
                $"The region '{region}' of the site '{site.Name}' does not say where clients find it.",
                recommendation: $"Add 'endpoint' to the region in '{site.Path}', or give the values by -Value (--value).",
                target: region),
            Values = values,
            Ttl = ttl ?? (asked == own ? dns.Ttl : null),
            DefaultTtl = dns.Ttl,
        };
    }

    /// <summary>How far a change is followed.</summary>
    /// <param name="site">The site.</param>
    /// <param name="name">The name that was changed.</param>
    /// <param name="probe">What the application is asked for; null = what the site says, for its own record.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: the address is not one of the record's name.</exception>
    public static DnsApplyOptions CreateDnsApplyOptions(this Site site, DnsName name, string? probe)
    {
        DnsSettings dns = site.GetDns();
        ArgumentNullException.ThrowIfNull(name);
        if (probe is not null && FindProbeProblem(probe, name) is { } problem)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid, $"The address '{probe}' {problem}.", recommendation: $"Give one such as https://{name.Display}/health.", target: probe);
        }

        string? url = probe ?? (name == DnsName.Parse(dns.Record) ? dns.Probe : null);
        return new DnsApplyOptions { ProbeUrl = url is null ? null : new Uri(url), ProbeStatus = dns.ProbeStatus };
    }

    /// <summary>The records of the site's hosted zone, over a Route 53 that tests choose.</summary>
    internal static DnsRecords CreateDns(this Site site, Route53Options options, IOperationObserver observer)
    {
        DnsSettings dns = site.GetDns();
        return new DnsRecords(
            dns.HostedZoneId,
            [.. site.Regions.Values.Select(TargetOf).OfType<DnsTarget>()],
            dns.NameServers,
            options with { Endpoint = dns.Endpoint is { } endpoint ? new Uri(endpoint) : options.Endpoint, Profile = dns.Profile },
            observer);
    }

    /// <summary>What is wrong with an address that is probed after a change of a name, as the rest of a sentence, or null.</summary>
    internal static string? FindProbeProblem(string probe, DnsName name) =>
        !Uri.TryCreate(probe, UriKind.Absolute, out Uri? url) || url.Scheme is not ("http" or "https") ? "is no http or https address"
        : !DnsName.TryParse(url.IdnHost, out DnsName? host) || host != name ? $"is not one of {name.Display}: the application is asked under the record's name"
        : null;

    private static DnsTarget? TargetOf(RegionSettings region) => region.Endpoint is { } endpoint ? new DnsTarget(region.Name, endpoint) : null;
}
