namespace SmcDr.Core.Dns;

/// <summary>What a zone's servers may answer for a name and type, by what Route 53 has.</summary>
/// <param name="Name">The name.</param>
/// <param name="Type">The type.</param>
/// <param name="Answers">Each the values of one right answer; none where there is no such record; null where it cannot be foreseen.</param>
internal sealed record DnsExpectation(DnsName Name, string Type, IReadOnlyList<IReadOnlyList<string>>? Answers)
{
    /// <summary>From all record sets of a name and type.</summary>
    public static DnsExpectation Of(DnsName name, string type, IEnumerable<DnsRecordSet> sets)
    {
        DnsRecordSet[] candidates = [.. sets.Where(set => set.Name == name && set.Type == type)];
        // With weights of zero alone, all are answered with alike.
        DnsRecordSet[] weighted = [.. candidates.Where(static set => set.Weight is not 0)];
        candidates = weighted.Length > 0 ? weighted : candidates;
        bool isOpen = !DnsMessage.CanAsk(type) || candidates.Any(static set => set.Alias is not null || set.OtherRouting == "MultiValue");
        return new DnsExpectation(name, type, isOpen ? null : [.. candidates.Select(static set => set.Values)]);
    }
}
