namespace SmcDr.Core.Dns;

/// <summary>Changes that are to be made to a zone, and what it will then hold under the name.</summary>
public sealed record DnsChangePlan
{
    /// <summary>The zone.</summary>
    public required DnsZone Zone { get; init; }

    /// <summary>The name whose records change.</summary>
    public required DnsName Name { get; init; }

    /// <summary>The types that are meant.</summary>
    public required IReadOnlyList<string> Types { get; init; }

    /// <summary>What changes. Empty where all is as it should be.</summary>
    public required IReadOnlyList<DnsRecordChange> Changes { get; init; }

    /// <summary>What the operator should know beforehand, in sentences.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>The record sets of the name before the change, of all types.</summary>
    internal IReadOnlyList<DnsRecordSet> Present { get; init; } = [];

    /// <summary>The plan in sentences.</summary>
    public string Describe() => string.Join(
        Environment.NewLine,
        (Changes.Count == 0
            ? [$"{Name.Display} {string.Join(", ", Types)} in {Zone.Display} is as it should be; nothing is changed."]
            : Changes.Select(change => $"{change.Display}, in {Zone.Display}."))
        .Concat(Warnings));

    /// <summary>What takes the changes back, where there are any. It does no harm where they were not made.</summary>
    /// <param name="time">When they are made.</param>
    internal DnsUndo ToUndo(DateTimeOffset time) => new() { ZoneId = Zone.Id, Time = time, Changes = Changes };

    /// <summary>The record sets of the name after the change, of all types.</summary>
    internal IReadOnlyList<DnsRecordSet> Wanted() =>
    [
        .. Present.Where(set => !Changes.Any(change => change.Set.IsSameSet(set))),
        .. Changes.Select(static change => change.After).OfType<DnsRecordSet>(),
    ];
}
