using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Offline;

/// <summary>A server that is only started to see that it loads the data: on a port of the loopback interface, with a password that nobody knows.</summary>
/// <param name="Connector">How it is reached.</param>
/// <param name="Configuration">What it is told, on its standard input: its password stands in no file and no argument.</param>
internal sealed record TemporaryRedis(RedisConnector Connector, string Configuration)
{
    public static TemporaryRedis Create(OfflineLayout layout, RedisContent? content, string directory)
    {
        const int UsualDatabases = 16;
        string password = Convert.ToHexString(RandomNumberGenerator.GetBytes(16));
        int port = FreePort();
        int databases = Math.Max(UsualDatabases, 1 + (content?.Databases.Select(static database => database.Database).DefaultIfEmpty().Max() ?? 0));
        string configuration = string.Create(CultureInfo.InvariantCulture, $"""
            bind 127.0.0.1
            port {port}
            requirepass {password}
            dir "{directory}"
            dbfilename "{layout.FileName}"
            appendonly {(layout.IsAppendOnly ? "yes" : "no")}
            appendfilename "{layout.AppendFileName}"
            {(layout.IsDirectory ? $"appenddirname \"{layout.AppendDirectoryName}\"" : "")}
            databases {databases}
            save ""
            daemonize yes
            logfile "{Path.Combine(directory, OfflineStart.LogName)}"
            pidfile "{Path.Combine(directory, OfflineStart.PidName)}"

            """);
        return new TemporaryRedis(
            new RedisConnector(
                string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}"), null, _ => ValueTask.FromResult<string?>(password)),
            configuration);
    }

    private static int FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
