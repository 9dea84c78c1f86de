using System.Globalization;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using SmcDr.Core.Dns;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Sites;

/// <summary>Whether the DNS record can be switched to another region, and how soon clients would follow.</summary>
internal sealed class DnsChecks(Site site, Route53Options route53, TimeProvider clock)
{
    // Beyond that a switched record is waited for longer than everything else of a failover.
    private const int LongestTtl = 60;

    private readonly DnsSettings _dns = site.GetDns();
    private readonly DnsName _record = DnsName.Parse(site.GetDns().Record);

    public async IAsyncEnumerable<CheckResult> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        CheckRun run = new(_record.Display, clock);
        using DnsRecords records = site.CreateDns(route53, NullObserver.Instance);
        CheckResult zone = await run.CheckAsync("DnsZone", () => CheckZoneAsync(records, cancellationToken)).ConfigureAwait(false);
        yield return zone;
        IReadOnlyList<DnsRecordInfo> found = [];
        (string Name, Func<Task<CheckFinding>> Check)[] checks =
        [
            ("DnsRecord", async () => CheckRecord(found = await records.ReadAsync(_record, null, askServers: true, cancellationToken).ConfigureAwait(false))),
            ("DnsTtl", () => Task.FromResult(CheckTtl(found))),
            ("DnsServers", () => Task.FromResult(CheckServers(found))),
        ];
        foreach ((string name, Func<Task<CheckFinding>> check) in checks)
        {
            yield return zone.Outcome == CheckOutcomes.Failed
                ? run.Skip(name, "DnsZone did not pass.")
                : await run.CheckAsync(name, check).ConfigureAwait(false);
        }

        yield return await run.CheckAsync("DnsEndpoints", () => CheckEndpointsAsync(cancellationToken)).ConfigureAwait(false);
    }

    private async Task<CheckFinding> CheckZoneAsync(DnsRecords records, CancellationToken cancellationToken)
    {
        DnsZone zone;
        try
        {
            zone = await records.GetZoneAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.DnsRecordUnsuitable)
        {
            DnsZone[] others = [.. (await ListZonesAsync(records, cancellationToken).ConfigureAwait(false)).Zones];
            return CheckFinding.Failed(
                others.Length == 0 ? e.Message : $"{e.Message} There is {string.Join(", and ", others.Select(static other => "the " + other.Display))}.",
                e.Recommendation);
        }

        if (!_record.IsWithin(zone.Name))
        {
            return CheckFinding.Failed(
                $"The record {_record.Display} does not lie in the {zone.Display}.", "Correct hostedZoneId or record under dns in the site file.");
        }

        (IEnumerable<DnsZone> zones, bool isSeen) = await ListZonesAsync(records, cancellationToken).ConfigureAwait(false);
        string message = $"The {zone.Display} can be read. Whether its records may be changed cannot be tried without a change (route53:ChangeResourceRecordSets).";
        // One of the name, or of a part of it: clients in one network get the answers of the one, all others those of the other.
        if (zones.FirstOrDefault(other => other.Id != zone.Id && other.IsPrivate != zone.IsPrivate) is { } twin)
        {
            return CheckFinding.Warning(
                $"{message} Beside it there is the {twin.Display}: clients for which that one answers do not see changes of this one.",
                "Change the record in both zones in a failover, or make sure that the clients ask the one in the site file.");
        }

        return zone.IsPrivate
            ? CheckFinding.Warning(
                $"{message} It is private: only clients in its VPCs see the record, and its servers cannot be asked from elsewhere.",
                "Correct hostedZoneId in the site file if clients come from the internet.")
            : CheckFinding.Passed(isSeen ? message : $"{message} Whether a private zone of the same name is beside it cannot be seen (route53:ListHostedZonesByName).");
    }

    /// <summary>The zones that the record may lie in: those of its own name, and of what it lies below.</summary>
    private async Task<(IEnumerable<DnsZone> Zones, bool IsSeen)> ListZonesAsync(DnsRecords records, CancellationToken cancellationToken)
    {
        List<DnsZone> zones = [];
        try
        {
            string[] labels = _record.Display.Split('.');
            for (int i = 0; i < labels.Length - 1; i++)
            {
                zones.AddRange(await records.ListZonesAsync(DnsName.Parse(string.Join('.', labels[i..])), cancellationToken).ConfigureAwait(false));
            }

            return (zones, true);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.DnsAccessDenied)
        {
            return (zones, false);
        }
    }

    private CheckFinding CheckRecord(IReadOnlyList<DnsRecordInfo> found)
    {
        DnsRecordInfo[] sets = [.. found.Where(static set => DnsValues.WritableTypes.Contains(set.Type))];
        if (sets.Length == 0)
        {
            return CheckFinding.Failed(
                $"There is no record {_record.Display} that leads clients anywhere.",
                $"Make it by Set-SmcDnsRecord -Region {site.PrimaryRegion.Name} (or smcdr dns set --region {site.PrimaryRegion.Name}).");
        }

        string types = string.Join(", ", sets.Select(static set => set.Type).Distinct());
        if (_dns.RecordType is { } wanted && sets.FirstOrDefault(set => set.Type != wanted) is { } other)
        {
            return CheckFinding.Failed(
                $"{_record.Display} has a record of type {other.Type}, and the site file says {wanted}.", "Correct recordType under dns in the site file.");
        }

        if (sets.FirstOrDefault(static set => set.Routing is not ("Simple" or "Weighted" or "Failover")) is { } foreign)
        {
            return CheckFinding.Failed(
                $"{_record.Display} is chosen by {foreign.Routing}: such records are not changed here.",
                "Use simple, weighted or failover records, or switch this one in Route 53 itself.");
        }

        if (sets.FirstOrDefault(static set => set.AliasTarget is not null) is { } alias)
        {
            return CheckFinding.Warning(
                $"{_record.Display} is an alias of {alias.AliasTarget}, which is not replaced unless -ReplaceAlias is given.",
                "Use records with values, or plan for -ReplaceAlias in a failover.");
        }

        string[] regions = [.. sets.Where(static set => set.Weight is not 0).Select(static set => set.Region ?? "elsewhere").Distinct()];
        string leads = $"{_record.Display} ({types}, {sets[0].Routing.ToLowerInvariant()}) leads to {string.Join(" and ", regions)}";
        return regions is [{ } region] && region == site.PrimaryRegion.Name
            ? CheckFinding.Passed($"{leads}, the primary region.")
            : sets.All(static set => set.Routing == "Failover") && regions.Contains(site.PrimaryRegion.Name)
                ? CheckFinding.Warning(
                    $"{leads}, and Route 53 chooses between them by itself: it can go back to a region whose data has fallen behind.",
                    "Make sure that the primary's health check fails, and stays so, after a failover; Set-SmcDnsRecord -Region points both at one region.")
                : CheckFinding.Warning(
                    site.Leader is null
                        ? $"{leads}, and the site file says that '{site.PrimaryRegion.Name}' is primary."
                        : $"{leads}, and '{site.PrimaryRegion.Name}' leads the site.",
                    "Correct the roles or endpoints in the site file, or the record by Set-SmcDnsRecord -Region.");
    }

    private CheckFinding CheckTtl(IReadOnlyList<DnsRecordInfo> found)
    {
        int limit = Math.Min(_dns.Ttl, LongestTtl);
        int[] ttls = [.. found.Where(static set => DnsValues.WritableTypes.Contains(set.Type)).Select(static set => set.TtlSeconds ?? DnsRecordSet.AliasTtl)];
        return ttls.Length == 0 ? CheckFinding.Skipped("There is no record.")
            : ttls.Max() > limit
                ? CheckFinding.Warning(
                    string.Create(CultureInfo.InvariantCulture, $"Resolvers may keep the record for {DisplayText.Seconds(ttls.Max())}: after a failover clients go to the lost region for so long."),
                    string.Create(CultureInfo.InvariantCulture, $"Lower the TTL to {limit} seconds now, before a disaster: Set-SmcDnsRecord -Region {site.PrimaryRegion.Name} -Ttl {limit}. In the disaster it is too late."))
                : CheckFinding.Passed(string.Create(CultureInfo.InvariantCulture, $"Resolvers may keep the record for {DisplayText.Seconds(ttls.Max())}."));
    }

    private static CheckFinding CheckServers(IReadOnlyList<DnsRecordInfo> found)
    {
        // Those of one type have the same answers.
        DnsServerAnswer[] answers = [.. found.DistinctBy(static set => set.Type).SelectMany(static set => set.Servers)];
        string[] problems = [.. answers.Select(static answer => answer.Problem).OfType<string>()];
        return answers.Length == 0 ? CheckFinding.Skipped(found.Any(static set => set.IsPrivateZone) ? "The zone is private: its servers cannot be asked." : "There is no record.")
            : problems.Length == 0 ? CheckFinding.Passed(string.Create(
                CultureInfo.InvariantCulture, $"All {answers.DistinctBy(static answer => answer.Server).Count()} servers of the zone answer so of their own."))
            : problems.Length < answers.Length
                ? CheckFinding.Warning(string.Join(' ', problems), "Find out why those servers answer otherwise: clients get their answers, too.")
                : CheckFinding.Failed(
                    string.Join(' ', problems),
                    "Let this machine reach the zone's servers on port 53 (UDP and TCP), and check that the zone's name servers are those that its parent delegates to.");
    }

    private async Task<CheckFinding> CheckEndpointsAsync(CancellationToken cancellationToken)
    {
        List<string> problems = [];
        foreach (RegionSettings region in site.Regions.Values)
        {
            if (region.Endpoint is not { } endpoint)
            {
                problems.Add($"The region '{region.Name}' has no endpoint, so that the record cannot be led there by its name.");
                continue;
            }

            try
            {
                await System.Net.Dns.GetHostAddressesAsync(endpoint, cancellationToken).ConfigureAwait(false);
            }
            catch (SocketException e)
            {
                problems.Add($"The endpoint {endpoint} of the region '{region.Name}' is not found: {e.Message.TrimEnd('.')}.");
            }
        }

        return problems.Count == 0
            ? CheckFinding.Passed($"The endpoints of the regions are found: {string.Join(", ", site.Regions.Values.Select(static region => region.Endpoint))}.")
            : CheckFinding.Warning(string.Join(' ', problems), "Give each region an endpoint in the site file, and make its name known in DNS.");
    }
}
