using System.Collections.Concurrent;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Npgsql;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions;

/// <summary>Whether the databases of a site's regions are on this host.</summary>
/// <remarks>
/// That its data directory is here says so, unless another region's has the same path on a host of its own, as hosts that are set up alike have: on the host of
/// one, the directory would be taken for that of the other, and its server be stopped in the other's place. Then the address of the region decides. It is
/// looked up once: a plan asks before each step.
/// </remarks>
/// <param name="site">The site.</param>
/// <param name="resolve">Gives the addresses of a name; null = as this host does.</param>
internal sealed class RegionHost(Site site, Func<string, IPAddress[]>? resolve = null)
{
    private readonly ConcurrentDictionary<string, bool> _isLocal = new(StringComparer.Ordinal);

    /// <summary>The data directory of a region's database on this host; null where it is on another one, or there is none.</summary>
    public string? FindDirectory(RegionSettings region) =>
        region.Database is { DataDirectory: { } directory } && File.Exists(Path.Combine(directory, "PG_VERSION")) && !IsElsewhere(region)
            ? Full(directory)
            : null;

    /// <summary>Whether the directory on this host that has the path of a region's is surely that of another region.</summary>
    public bool IsElsewhere(RegionSettings region) =>
        region.Database is { DataDirectory: { } directory } database &&
        site.Regions.Values.Any(other => other.Name != region.Name && other.Database?.DataDirectory is { } theirs && Full(theirs) == Full(directory)) &&
        !IsLocal(database.GetConnectionString());

    /// <summary>Whether a connection leads to this host.</summary>
    internal bool IsLocal(string connectionString)
    {
        if (_isLocal.TryGetValue(connectionString, out bool known))
        {
            return known;
        }

        bool isSure = true;
        foreach (string host in (new NpgsqlConnectionStringBuilder(connectionString).Host ?? "localhost").Split(',', StringSplitOptions.TrimEntries))
        {
            // A socket's directory, or an abstract socket.
            if (host.StartsWith('/') || host.StartsWith('@'))
            {
                return true;
            }

            try
            {
                IPAddress[] own = [.. NetworkInterface.GetAllNetworkInterfaces()
                    .SelectMany(static network => network.GetIPProperties().UnicastAddresses).Select(static address => address.Address)];
                if ((resolve ?? System.Net.Dns.GetHostAddresses)(NameOf(host)).Any(address => IPAddress.IsLoopback(address) || own.Contains(address)))
                {
                    return _isLocal[connectionString] = true;
                }
            }
            catch (Exception e) when (e is SocketException or ArgumentException or NetworkInformationException)
            {
                // A name that nobody knows is not that of this host; it may be known the next time.
                isSure = false;
            }
        }

        if (isSure)
        {
            _isLocal[connectionString] = false;
        }

        return false;
    }

    // A host may stand with its port, where there are several.
    private static string NameOf(string host)
    {
        int colon = host.LastIndexOf(':');
        return colon > 0 && (host.IndexOf(':', StringComparison.Ordinal) == colon || host[colon - 1] == ']') ? host[..colon].Trim('[', ']') : host;
    }

    /// <summary>A data directory as it is told and compared.</summary>
    internal static string Full(string directory) => Path.GetFullPath(directory).TrimEnd(Path.DirectorySeparatorChar);
}
