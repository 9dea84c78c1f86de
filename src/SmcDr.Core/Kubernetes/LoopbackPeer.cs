using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace SmcDr.Core.Kubernetes;

/// <summary>Who is at the other end of a connection over this host's loopback interface.</summary>
internal static partial class LoopbackPeer
{
    /// <summary>An id that no account has (chown(2) takes it for none).</summary>
    internal const uint Nobody = uint.MaxValue;

    /// <summary>What stands before the address in the list of IPv6: four numbers of this machine, of which the third is of the bytes 0, 0, 255, 255.</summary>
    private static readonly string s_mappedPrefix = BitConverter.IsLittleEndian ? "0000000000000000FFFF0000" : "00000000000000000000FFFF";

    /// <summary>Whether a connection comes from this account or from root. Where the system does not tell, it is taken for one that does.</summary>
    public static bool IsTrusted(Socket socket)
    {
        if (!OperatingSystem.IsLinux() || socket.RemoteEndPoint is not IPEndPoint remote || socket.LocalEndPoint is not IPEndPoint local)
        {
            return true;
        }

        try
        {
            // The list is no picture of one moment: what is not found is looked for again.
            const int Looks = 3;
            for (int look = 1; ; look++)
            {
                List<string> sockets = ReadSockets();
                if (FindUser(sockets, remote, local) is { } user)
                {
                    return user == 0 || user == geteuid();
                }

                if (FindUser(sockets, local, remote) is null)
                {
                    // Not even our own end is listed: such a system does not tell.
                    return true;
                }

                if (look == Looks)
                {
                    return false;
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }

    /// <summary>
    /// The user whose socket has these two ends, as the kernel lists its sockets (proc(5), /proc/net/tcp); null where there is none. A socket that was closed
    /// while it still sends has no inode any more and is listed as root's, whosever it was (net/ipv4/tcp_ipv4.c, get_tcp4_sock; net/core/sock.c, sock_i_uid):
    /// it is nobody's.
    /// </summary>
    internal static uint? FindUser(IEnumerable<string> sockets, IPEndPoint own, IPEndPoint other)
    {
        string wanted = $"{Text(own, "")} {Text(other, "")}";
        string mapped = $"{Text(own, s_mappedPrefix)} {Text(other, s_mappedPrefix)}";
        foreach (string line in sockets)
        {
            // number, local address, remote address, state, queues, timer, retransmissions, user, timeout, inode
            string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length > 9 && $"{fields[1]} {fields[2]}" is { } ends && (ends == wanted || ends == mapped) &&
                uint.TryParse(fields[7], CultureInfo.InvariantCulture, out uint user))
            {
                return fields[9] == "0" ? Nobody : user;
            }
        }

        return null;
    }

    /// <summary>All sockets of TCP. Many programs reach 127.0.0.1 by one of IPv6, as ::ffff:127.0.0.1, and such are in a list of their own.</summary>
    internal static List<string> ReadSockets()
    {
        List<string> sockets = [.. File.ReadLines("/proc/self/net/tcp")];
        if (File.Exists("/proc/self/net/tcp6"))
        {
            sockets.AddRange(File.ReadLines("/proc/self/net/tcp6"));
        }

        return sockets;
    }

    // The four bytes of the address as a number of this machine, then the port.
    private static string Text(IPEndPoint end, string prefix)
    {
        Span<byte> address = stackalloc byte[4];
        end.Address.MapToIPv4().TryWriteBytes(address, out _);
        return string.Create(CultureInfo.InvariantCulture, $"{prefix}{MemoryMarshal.Read<uint>(address):X8}:{end.Port:X4}");
    }

    [LibraryImport("libc")]
    private static partial uint geteuid();
}
