using System.Text.Json;
using System.Text.Json.Serialization;

namespace SmcDr.Core.Dns;

/// <summary>A change that was made, kept so that it can be taken back: in results, and in the journals of plans.</summary>
public sealed record DnsUndo
{
    private const string CurrentFormat = "smcdr-dns-change-1";
    private const int MaximumLength = 1 << 20;

    /// <summary>What it is, and which version of it.</summary>
    public string Format { get; init; } = CurrentFormat;

    /// <summary>The zone's id.</summary>
    public required string ZoneId { get; init; }

    /// <summary>When Route 53 took the change, in UTC.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>The record sets before and after.</summary>
    public required IReadOnlyList<DnsRecordChange> Changes { get; init; }

    /// <summary>Reads what <see cref="ToJson"/> wrote.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: it is something else.</exception>
    public static DnsUndo Parse(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        try
        {
            return json.Length <= MaximumLength && JsonSerializer.Deserialize(json, DnsJson.Default.DnsUndo) is { Format: CurrentFormat } undo && undo.IsSound()
                ? undo
                : throw Invalid(null);
        }
        catch (JsonException e)
        {
            throw Invalid(e);
        }

        static SmcException Invalid(Exception? inner) => new(
            SmcErrorCode.ArgumentInvalid,
            "This is not a change of DNS records that can be taken back.",
            inner,
            "Give the Undo of a result of Set-SmcDnsRecord (or smcdr dns set --json) as it is.");
    }

    /// <summary>The change in one line of JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, DnsJson.Default.DnsUndo);

    private bool IsSound() => ZoneId is { Length: > 0 } && Changes is { Count: > 0 } && Changes.All(static change =>
        change is not null && (change.Before is not null || change.After is not null)
        && new[] { change.Before, change.After }.OfType<DnsRecordSet>().All(set =>
            set.Name is not null && set.Type is { Length: > 0 } && set.IsSameSet(change.Set)
            && (set.Alias is not null || (set.Ttl is not null && set.Values is { Count: > 0 }))));
}
