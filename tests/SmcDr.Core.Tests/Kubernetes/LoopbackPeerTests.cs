using System.Net;
using System.Net.Sockets;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.Kubernetes;

/// <summary>Who is at the other end of a connection, by this kernel's own list of them.</summary>
public sealed class LoopbackPeerTests
{
    [LinuxFact]
    public Task FindUser_SocketOfIpv4_IsItsOwnersUntilItIsClosed() => CheckAsync(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));

    /// <summary>As .NET's own clients do it, to ::ffff:127.0.0.1.</summary>
    [LinuxFact]
    public Task FindUser_SocketOfIpv6_IsItsOwnersUntilItIsClosed() =>
        CheckAsync(new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true });

    private static async Task CheckAsync(Socket client)
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        using Socket accepted = await listener.AcceptSocketAsync();
        (IPEndPoint remote, IPEndPoint local) = ((IPEndPoint)accepted.RemoteEndPoint!, (IPEndPoint)accepted.LocalEndPoint!);
        Assert.NotNull(Find());
        Assert.NotEqual(LoopbackPeer.Nobody, Find());
        Assert.True(LoopbackPeer.IsTrusted(accepted));

        // What somebody sends and does not wait for, to a server that asks for no password.
        await client.SendAsync("FLUSHALL\r\n"u8.ToArray());
        client.Dispose();

        Assert.Equal(LoopbackPeer.Nobody, Find());
        Assert.False(LoopbackPeer.IsTrusted(accepted));

        uint? Find() => LoopbackPeer.FindUser(LoopbackPeer.ReadSockets(), remote, local);
    }
}
