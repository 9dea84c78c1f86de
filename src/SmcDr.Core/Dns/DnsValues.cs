using System.Net;
using System.Net.Sockets;

namespace SmcDr.Core.Dns;

/// <summary>The values of records: what is a value of which type, and when two are the same.</summary>
internal static class DnsValues
{
    /// <summary>The types that lead clients to a region, which are the types that are written.</summary>
    public static readonly IReadOnlyList<string> WritableTypes = ["A", "AAAA", "CNAME"];

    /// <summary>A value in the form in which equal ones are equal texts.</summary>
    public static string Canonical(string type, string value) => type switch
    {
        "A" or "AAAA" when IPAddress.TryParse(value, out IPAddress? address) => address.ToString(),
        "CNAME" or "NS" or "PTR" when DnsName.TryParse(value, out DnsName? name) => name.Text,
        _ => value,
    };

    /// <summary>A value as people write it.</summary>
    public static string Display(string type, string value) =>
        type is "CNAME" or "NS" or "PTR" && DnsName.TryParse(value, out DnsName? name) ? name.Display : value;

    /// <summary>Whether both hold the same values.</summary>
    public static bool AreSame(string type, IEnumerable<string> one, IEnumerable<string> other) =>
        one.Select(value => Canonical(type, value)).ToHashSet(StringComparer.Ordinal)
            .SetEquals(other.Select(value => Canonical(type, value)));

    /// <summary>The type that a value is of: an address, or a name.</summary>
    public static string TypeOf(string value) => ParseAddress(value) is { } address
        ? address.AddressFamily == AddressFamily.InterNetwork ? "A" : "AAAA"
        : "CNAME";

    /// <summary>Checks values for a type, and gives them as they are written to Route 53.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>.</exception>
    public static IReadOnlyList<string> Validate(string type, IReadOnlyList<string> values)
    {
        string[] written =
        [
            .. values.Select(value => TypeOf(value) != type
                ? throw Invalid($"'{value}' is no value of a record of type {type}.", value)
                : type == "CNAME" ? DnsName.Parse(value).Text : ParseAddress(value)!.ToString()),
        ];
        return written.Length == 0 ? throw Invalid("A record needs a value.", null)
            : type == "CNAME" && written.Length > 1 ? throw Invalid("A record of type CNAME has one value.", written[1])
            : written.Distinct(StringComparer.Ordinal).Count() < written.Length ? throw Invalid("A value stands there twice.", written[0])
            : written;
    }

    private static IPAddress? ParseAddress(string value) =>
        // 1 and 0x7f.1 are addresses to IPAddress as well, and were hardly meant.
        IPAddress.TryParse(value, out IPAddress? address)
            && (address.AddressFamily == AddressFamily.InterNetworkV6 ? address.ScopeId == 0 && !value.Contains('[', StringComparison.Ordinal) : address.ToString() == value)
            ? address
            : null;

    private static SmcException Invalid(string message, string? target) => new(
        SmcErrorCode.ArgumentInvalid,
        message,
        recommendation: "Give IPv4 addresses for a record of type A, IPv6 addresses for AAAA, or one host name for CNAME.",
        target: target);
}
