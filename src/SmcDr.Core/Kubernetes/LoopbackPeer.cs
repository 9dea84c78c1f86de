using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace SmcDr.Core.Kubernetes;

/// <summary>Who is at the other end of a connection over this host's loopback interface.</summary>
internal static partial class LoopbackPeer
{
    /// <summary>Whether a connection comes from this account or from root. Where the system does not tell, it is taken for one that does.</summary>
    public static bool IsTrusted(Socket socket)
    {
        if (!OperatingSystem.IsLinux() || socket.RemoteEndPoint is not IPEndPoint remote || socket.LocalEndPoint is not IPEndPoint local)
        {
            return true;
        }

        try
        {
            return FindUser(File.ReadLines("/proc/self/net/tcp"), remote, local) is not { } user || user == 0 || user == geteuid();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }

    /// <summary>The user whose socket has these two ends, as the kernel lists its sockets (proc(5), /proc/net/tcp); null where there is none.</summary>
    internal static uint? FindUser(IEnumerable<string> sockets, IPEndPoint own, IPEndPoint other)
    {
        string wanted = $"{Text(own)} {Text(other)}";
        foreach (string line in sockets)
        {
            // number, local address, remote address, state, queues, timer, retransmissions, user
            string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length > 7 && $"{fields[1]} {fields[2]}" == wanted && uint.TryParse(fields[7], CultureInfo.InvariantCulture, out uint user))
            {
                return user;
            }
        }

        return null;
    }

    // The four bytes of the address as a number of this machine, then the port.
    private static string Text(IPEndPoint end)
    {
        Span<byte> address = stackalloc byte[4];
        end.Address.MapToIPv4().TryWriteBytes(address, out _);
        return string.Create(CultureInfo.InvariantCulture, $"{MemoryMarshal.Read<uint>(address):X8}:{end.Port:X4}");
    }

    [LibraryImport("libc")]
    private static partial uint geteuid();
}
