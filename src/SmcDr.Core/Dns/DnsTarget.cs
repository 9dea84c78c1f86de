using System.Net;
using System.Net.Sockets;

namespace SmcDr.Core.Dns;

/// <summary>Where a region is to be found: what the record leads to while the region serves.</summary>
/// <param name="Region">The region's name.</param>
/// <param name="Endpoint">A host name or an address.</param>
public sealed record DnsTarget(string Region, string Endpoint)
{
    /// <summary>The region's values for a record of a type: the name itself, or its addresses of that kind as this machine finds them.</summary>
    /// <exception cref="SocketException">The name is not found.</exception>
    internal async Task<IReadOnlyList<string>> GetValuesAsync(string type, CancellationToken cancellationToken)
    {
        if (type == "CNAME")
        {
            return DnsValues.TypeOf(Endpoint) == "CNAME" ? [DnsName.Parse(Endpoint).Text] : [];
        }

        AddressFamily family = type == "A" ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;
        IPAddress[] addresses = await System.Net.Dns.GetHostAddressesAsync(Endpoint, family, cancellationToken).ConfigureAwait(false);
        return [.. addresses.Select(static address => address.ToString()).Order(StringComparer.Ordinal)];
    }

    /// <summary>Whether a record set leads here.</summary>
    internal async Task<bool> IsTargetOfAsync(DnsRecordSet set, CancellationToken cancellationToken)
    {
        if (set.Alias is { } alias)
        {
            // The console puts this before the names of load balancers.
            const string DualStack = "dualstack.";
            string name = alias.Name.Text;
            return DnsName.TryParse(Endpoint, out DnsName? own)
                && (name == own.Text || name == DualStack + own.Text);
        }

        try
        {
            IReadOnlyList<string> values = DnsValues.WritableTypes.Contains(set.Type)
                ? await GetValuesAsync(set.Type, cancellationToken).ConfigureAwait(false)
                : [];
            return set.Values.Count > 0 && set.Values.All(value => values.Contains(DnsValues.Canonical(set.Type, value)));
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
