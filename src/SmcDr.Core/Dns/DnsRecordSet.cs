using System.Globalization;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Dns;

/// <summary>A record set as Route 53 has it: the records of one name and type, or of several that share them, one of these.</summary>
public sealed record DnsRecordSet
{
    /// <summary>For how long answers that come from an alias are kept: a load balancer's, and Route 53's default elsewhere.</summary>
    internal const int AliasTtl = 60;

    /// <summary>The name.</summary>
    public required DnsName Name { get; init; }

    /// <summary>The type, such as <c>CNAME</c>.</summary>
    public required string Type { get; init; }

    /// <summary>What tells it from others of the same name and type; null for a simple one, which has none beside it.</summary>
    public string? SetIdentifier { get; init; }

    /// <summary>Of a weighted one, its share against that of the others, 0 to 255.</summary>
    public int? Weight { get; init; }

    /// <summary>Of a failover one, <c>PRIMARY</c> or <c>SECONDARY</c>.</summary>
    public string? Failover { get; init; }

    /// <summary>For how many seconds resolvers may keep it; null for an alias.</summary>
    public int? Ttl { get; init; }

    /// <summary>The values as Route 53 has them. Empty for an alias.</summary>
    public IReadOnlyList<string> Values { get; init; } = [];

    /// <summary>What it is an alias of.</summary>
    public DnsAlias? Alias { get; init; }

    /// <summary>The health check without whose success it is not answered with.</summary>
    public string? HealthCheckId { get; init; }

    /// <summary>Another way of choosing among record sets, such as <c>Latency</c>: what is shown and never written here.</summary>
    [JsonIgnore]
    public string? OtherRouting { get; init; }

    /// <summary>How it is chosen: <c>Simple</c>, <c>Weighted</c>, <c>Failover</c> or another.</summary>
    [JsonIgnore]
    public string Routing => OtherRouting
        ?? (Weight is not null ? "Weighted" : Failover is not null ? "Failover" : SetIdentifier is not null ? "Other" : "Simple");

    /// <summary>What it answers with, for messages: <c>east.example.com (TTL 60, weight 100)</c>.</summary>
    [JsonIgnore]
    public string Display
    {
        get
        {
            List<string> details = [];
            if (Ttl is int ttl)
            {
                details.Add(string.Create(CultureInfo.InvariantCulture, $"TTL {ttl}"));
            }

            if (Weight is int weight)
            {
                details.Add(string.Create(CultureInfo.InvariantCulture, $"weight {weight}"));
            }

            if (Failover is not null)
            {
                details.Add(Failover.ToLowerInvariant());
            }

            string values = Alias is { } alias
                ? $"alias of {alias.Name.Display}"
                : string.Join(", ", Values.Select(value => DnsValues.Display(Type, value)));
            return details.Count == 0 ? values : $"{values} ({string.Join(", ", details)})";
        }
    }

    /// <summary>Whether both are the same to Route 53: it knows a record set by name, type and identifier.</summary>
    public bool IsSameSet(DnsRecordSet other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return Name == other.Name && Type == other.Type && SetIdentifier == other.SetIdentifier;
    }

    /// <summary>Whether both say the same, in whatever order and spelling of values.</summary>
    public bool IsEquivalent(DnsRecordSet? other) => other is not null && IsSameSet(other)
        && (Weight, Failover, Ttl, Alias, HealthCheckId, OtherRouting)
            == (other.Weight, other.Failover, other.Ttl, other.Alias, other.HealthCheckId, other.OtherRouting)
        && DnsValues.AreSame(Type, Values, other.Values);
}
