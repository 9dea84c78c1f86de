namespace SmcDr;

/// <summary>What one of a zone's own servers answers for a record.</summary>
public sealed record DnsServerAnswer
{
    /// <summary>The server: its name, or host and port.</summary>
    public required string Server { get; init; }

    /// <summary>The address and port that were asked; null where the server's name has none here.</summary>
    public string? Address { get; init; }

    /// <summary>The type that was asked for.</summary>
    public required string Type { get; init; }

    /// <summary>
    /// <c>Current</c>: the answer is the server's own and what Route 53 has; <c>Different</c>; <c>Missing</c>: it says that there is no such record;
    /// <c>NotAuthoritative</c>: it does not answer of its own; <c>Failed</c>: it refuses, or says that it cannot; <c>Invalid</c>: what it sends is no
    /// answer; <c>Silent</c>: it cannot be reached, or says nothing; <c>Unknown</c>: the answer cannot be compared, such as an alias's.
    /// </summary>
    public required string Outcome { get; init; }

    /// <summary>The values it answers with.</summary>
    public IReadOnlyList<string> Values { get; init => field = ResultList.Of(value); } = new ResultList<string>([]);

    /// <summary>For how long its answer may be kept, in seconds.</summary>
    public int? TtlSeconds { get; init; }

    /// <summary>DNS's own code of the answer, such as <c>NOERROR</c>, <c>NXDOMAIN</c> or <c>REFUSED</c>.</summary>
    public string? ResponseCode { get; init; }

    /// <summary><c>UDP</c> or <c>TCP</c>: the latter where the answer was too long for the former.</summary>
    public string? Transport { get; init; }

    /// <summary>What is wrong, in a sentence.</summary>
    public string? Problem { get; init; }

    /// <summary>How long the server took, in seconds.</summary>
    public double DurationSeconds { get; init; }

    /// <summary>The server and what it answered.</summary>
    public override string ToString() => $"{Server}: {Outcome}{(Values.Count == 0 ? "" : $" ({string.Join(", ", Values)})")}";
}
