using System.Text.Json.Serialization;

namespace SmcDr.Core.Dns;

/// <summary>One record set before and after a change.</summary>
/// <param name="Before">What there was; null where there was none.</param>
/// <param name="After">What there is to be; null where it goes.</param>
public sealed record DnsRecordChange(DnsRecordSet? Before, DnsRecordSet? After)
{
    /// <summary>Which record set it is.</summary>
    [JsonIgnore]
    internal DnsRecordSet Set => After ?? Before ?? throw new InvalidOperationException("A change of nothing.");

    /// <summary>What changes, in a sentence without its end.</summary>
    [JsonIgnore]
    public string Display
    {
        get
        {
            string set = $"{Set.Name.Display} {Set.Type}{(Set.SetIdentifier is { } id ? $" '{id}'" : "")}";
            return Before is null ? $"{set} becomes {After!.Display}; there is none now"
                : After is null ? $"{set}, {Before.Display}, is removed"
                : $"{set} changes from {Before.Display} to {After.Display}";
        }
    }
}
