namespace SmcDr.Core.Dns;

/// <summary>What a DNS server said to one question.</summary>
internal sealed record DnsAnswer
{
    /// <summary>The response code, such as <c>NOERROR</c> or <c>NXDOMAIN</c>.</summary>
    public required string Code { get; init; }

    /// <summary>Whether the server answers of its own, and does not repeat what it has heard.</summary>
    public required bool IsAuthoritative { get; init; }

    /// <summary>Whether something was cut off.</summary>
    public bool IsTruncated { get; init; }

    /// <summary>The values of the type that was asked for. Empty where there is no such record.</summary>
    public required IReadOnlyList<string> Values { get; init; }

    /// <summary>What the name stands for, where it has a CNAME and another type was asked for.</summary>
    public string? Alias { get; init; }

    /// <summary>For how many seconds the answer may be kept.</summary>
    public int? Ttl { get; init; }

    /// <summary>For how many seconds may be kept that there is no such record.</summary>
    public int? NegativeTtl { get; init; }

    /// <summary><c>UDP</c> or <c>TCP</c>.</summary>
    public string Transport { get; init; } = "UDP";
}
