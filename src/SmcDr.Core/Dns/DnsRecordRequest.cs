namespace SmcDr.Core.Dns;

/// <summary>What a record is to become.</summary>
public sealed record DnsRecordRequest
{
    /// <summary>The name.</summary>
    public required DnsName Name { get; init; }

    /// <summary>The type; null = the one that is there, else the one that fits the values.</summary>
    public string? Type { get; init; }

    /// <summary>Where it is to lead; null where <see cref="Values"/> say it.</summary>
    public DnsTarget? Target { get; init; }

    /// <summary>The values. Empty where <see cref="Target"/> says it.</summary>
    public IReadOnlyList<string> Values { get; init; } = [];

    /// <summary>For how many seconds resolvers may keep it; null = as it is.</summary>
    public int? Ttl { get; init; }

    /// <summary>The TTL of a record that has none yet.</summary>
    public int DefaultTtl { get; init; } = 60;

    /// <summary>Which of several record sets of the name and type; null = the one there is.</summary>
    public string? SetIdentifier { get; init; }

    /// <summary>Of a weighted record set, its weight from now on; null = as it is.</summary>
    public int? Weight { get; init; }

    /// <summary>Whether an alias may be replaced by a record with values.</summary>
    public bool ReplaceAlias { get; init; }
}
