using System.Globalization;
using System.Net.Sockets;

namespace SmcDr.Core.Dns;

/// <summary>From what a record is to become to the record sets that change, refusing beforehand what Route 53 would refuse, in words that help.</summary>
internal sealed class DnsChangePlanner(DnsZone zone, IReadOnlyList<DnsRecordSet> present, DnsRecordRequest request)
{
    private const int DefaultWeight = 100;

    private readonly List<DnsRecordChange> _changes = [];
    private readonly List<string> _warnings = [];

    public async Task<DnsChangePlan> PlanAsync(CancellationToken cancellationToken)
    {
        if (!request.Name.IsWithin(zone.Name))
        {
            throw Unsuitable(
                $"{request.Name.Display} does not lie in the {zone.Display}.",
                "Give a name in the zone, or correct hostedZoneId or record under dns in the site file.");
        }

        string[] types = ChooseTypes();
        foreach (string type in types)
        {
            CheckNeighbours(type);
            await PlanTypeAsync(type, cancellationToken).ConfigureAwait(false);
        }

        return new DnsChangePlan
        {
            Zone = zone,
            Name = request.Name,
            Types = types,
            Changes = [.. _changes.Where(static change => !change.After!.IsEquivalent(change.Before))],
            Warnings = _warnings,
            Present = present,
        };
    }

    private string[] ChooseTypes()
    {
        if (request.Type is { } type)
        {
            return DnsValues.WritableTypes.Contains(type)
                ? [type]
                : throw new SmcException(
                    SmcErrorCode.ArgumentInvalid,
                    $"Records of type {type} are shown and not changed.",
                    recommendation: $"Give one of the types that lead clients to a server: {string.Join(", ", DnsValues.WritableTypes)}.",
                    target: type);
        }

        // A name may have addresses of both kinds: a region is left by both, or half of the clients stay.
        string[] there = [.. DnsValues.WritableTypes.Where(candidate => present.Any(set => set.Type == candidate))];
        return request.Values.Count > 0
            ? [.. request.Values.Select(DnsValues.TypeOf).Distinct()]
            : there.Length > 0 ? there : [DnsValues.TypeOf(request.Target!.Endpoint)];
    }

    private void CheckNeighbours(string type)
    {
        if (type == "CNAME" && request.Name == zone.Name)
        {
            throw Unsuitable(
                $"{request.Name.Display} is the zone itself, which cannot have a record of type CNAME.",
                "Give addresses (-Type A), or a name below the zone.");
        }

        if (present.FirstOrDefault(set => (set.Type == "CNAME") != (type == "CNAME")) is { } other)
        {
            throw Unsuitable(
                type == "CNAME"
                    ? $"{request.Name.Display} has a record of type {other.Type}, and a CNAME has nothing beside it."
                    : $"{request.Name.Display} is a CNAME, {other.Display}, beside which nothing else can be.",
                type == "CNAME" ? $"Give -Type {other.Type}, or remove the other records first." : "Give -Type CNAME, or remove the CNAME first.");
        }
    }

    private async Task PlanTypeAsync(string type, CancellationToken cancellationToken)
    {
        DnsRecordSet[] sets = [.. present.Where(set => set.Type == type)];
        if (sets.FirstOrDefault(static set => set.OtherRouting is not null || set.Routing == "Other") is { } foreign)
        {
            throw Unsuitable(
                $"{Named(type)} is chosen by {foreign.Routing}, and only simple, weighted and failover records are changed here.",
                "Change it in Route 53 itself (console or aws route53 change-resource-record-sets).");
        }

        if (request.SetIdentifier is not null || sets.All(static set => set.SetIdentifier is null))
        {
            DnsRecordSet? before = FindOne(type, sets);
            Add(before, await ValuesAsync(type, cancellationToken).ConfigureAwait(false), type);
        }
        else if (request.Target is not null)
        {
            await PlanGroupAsync(type, sets, cancellationToken).ConfigureAwait(false);
        }
        else if (sets.Length == 1)
        {
            Add(sets[0], DnsValues.Validate(type, request.Values), type);
        }
        else
        {
            throw Unsuitable(
                $"{Named(type)} has {sets.Length.ToString(CultureInfo.InvariantCulture)} {sets[0].Routing.ToLowerInvariant()} records, and a simple one cannot be beside them.",
                $"Say which one is meant: -SetIdentifier {Identifiers(sets)}.");
        }
    }

    /// <summary>The record set that is meant where one is, or null where it is to be made.</summary>
    private DnsRecordSet? FindOne(string type, DnsRecordSet[] sets)
    {
        if (request.SetIdentifier is not { } identifier)
        {
            return request.Weight is null
                ? sets.SingleOrDefault()
                : throw Unsuitable(
                    $"{Named(type)} has no weighted records, and a weight is given.", "Leave -Weight out, or give -SetIdentifier as well for a new weighted record.");
        }

        if (sets.FirstOrDefault(set => set.SetIdentifier == identifier) is { } found)
        {
            return request.Weight is null || found.Weight is not null
                ? found
                : throw Unsuitable($"'{identifier}' of {Named(type)} is a failover record, which has no weight.", "Leave -Weight out.");
        }

        return sets.Length == 0 || sets.All(static set => set.Weight is not null)
            ? request.Weight is not null
                ? null
                : throw Unsuitable(
                    $"{Named(type)} has no record '{identifier}'.",
                    sets.Length > 0 ? $"Give one that there is, {Identifiers(sets)}, or -Weight for a new one." : "Give -Weight as well for a new weighted record.")
            : throw Unsuitable(
                $"{Named(type)} has {(sets[0].Failover is null ? "a simple record" : "failover records")}, and a weighted one cannot be beside {(sets.Length == 1 ? "it" : "them")}.",
                sets[0].Failover is null ? "Leave -SetIdentifier out, or remove the simple record first." : $"Give one that there is: {Identifiers(sets)}.");
    }

    /// <summary>
    /// All record sets of a weighted or failover group, so that the name leads to one region alone: clients are sent there by weight, or by
    /// both halves of a failover pair, which then cannot go back by itself to a region whose data has fallen behind.
    /// </summary>
    private async Task PlanGroupAsync(string type, DnsRecordSet[] sets, CancellationToken cancellationToken)
    {
        DnsTarget target = request.Target!;
        if (sets[0].Failover is not null)
        {
            IReadOnlyList<string> values = await ValuesAsync(type, cancellationToken).ConfigureAwait(false);
            foreach (DnsRecordSet set in sets)
            {
                Add(set, values, type);
            }

            return;
        }

        List<DnsRecordSet> own = [];
        foreach (DnsRecordSet set in sets)
        {
            if (await target.IsTargetOfAsync(set, cancellationToken).ConfigureAwait(false))
            {
                own.Add(set);
            }
        }

        if (own.Count == 0)
        {
            throw Unsuitable(
                $"None of the weighted records of {Named(type)} leads to the region '{target.Region}' ({target.Endpoint}).",
                $"Correct the region's endpoint in the site file, or give -SetIdentifier and -Value. There are {Identifiers(sets)}.");
        }

        int most = sets.Max(static set => set.Weight!.Value);
        foreach (DnsRecordSet set in sets)
        {
            int weight = !own.Contains(set) ? 0
                : request.Weight ?? (set.Weight is > 0 and int present ? present : own.Any(static other => other.Weight > 0) ? 0 : most > 0 ? most : DefaultWeight);
            _changes.Add(new DnsRecordChange(set, set with { Weight = weight, Ttl = set.Alias is null ? request.Ttl ?? set.Ttl : null }));
        }
    }

    private async Task<IReadOnlyList<string>> ValuesAsync(string type, CancellationToken cancellationToken)
    {
        if (request.Target is not { } target)
        {
            // Without a type, addresses of both kinds may be given, and each goes to the records of its own.
            return DnsValues.Validate(
                type, request.Type is null ? [.. request.Values.Where(value => DnsValues.TypeOf(value) == type)] : request.Values);
        }

        IReadOnlyList<string> values;
        try
        {
            values = await target.GetValuesAsync(type, cancellationToken).ConfigureAwait(false);
        }
        catch (SocketException e)
        {
            throw Unsuitable(
                $"The addresses of the region '{target.Region}' ({target.Endpoint}) cannot be found: {e.Message.TrimEnd('.')}.",
                "Correct the region's endpoint in the site file, or give the addresses by -Value.");
        }

        if (values.Count == 0)
        {
            throw Unsuitable(
                $"The region '{target.Region}' ({target.Endpoint}) has no value for a record of type {type}.",
                "Give another -Type, or the values by -Value.");
        }

        if (type == "CNAME" && !await ResolvesAsync(target.Endpoint, cancellationToken).ConfigureAwait(false))
        {
            // This machine's resolver may be what is broken: no reason to refuse a failover.
            _warnings.Add($"The name {target.Endpoint} of the region '{target.Region}' is not found from here.");
        }

        return values;
    }

    private void Add(DnsRecordSet? before, IReadOnlyList<string> values, string type)
    {
        if (before?.Alias is { } alias && !request.ReplaceAlias)
        {
            throw Unsuitable(
                $"{Named(type)} is an alias of {alias.Name.Display}, which is not replaced unasked: it follows its target's addresses, and a record with values does not.",
                "Add -ReplaceAlias if that is what you want.");
        }

        DnsRecordSet after = (before ?? new DnsRecordSet { Name = request.Name, Type = type, SetIdentifier = request.SetIdentifier }) with
        {
            Alias = null,
            Values = values,
            Ttl = request.Ttl ?? before?.Ttl ?? request.DefaultTtl,
            Weight = request.Weight ?? before?.Weight,
        };
        // Route 53's order and spelling of values stays where they say the same.
        _changes.Add(new DnsRecordChange(before, after.IsEquivalent(before) ? before! : after));
    }

    private static async Task<bool> ResolvesAsync(string host, CancellationToken cancellationToken)
    {
        try
        {
            return (await System.Net.Dns.GetHostAddressesAsync(host, cancellationToken).ConfigureAwait(false)).Length > 0;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private string Named(string type) => $"{request.Name.Display} {type}";

    private static string Identifiers(IEnumerable<DnsRecordSet> sets) => string.Join(", ", sets.Select(static set => $"'{set.SetIdentifier}'"));

    private SmcException Unsuitable(string message, string recommendation) => new(
        SmcErrorCode.DnsRecordUnsuitable, message, recommendation: recommendation, target: request.Name.Display);
}
