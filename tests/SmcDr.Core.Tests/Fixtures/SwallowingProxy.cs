using System.Net;
using System.Net.Sockets;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>
/// A proxy on the loopback interface that takes all that a client sends, also where the server behind it has closed the connection: as a network with large
/// buffers does, so that the client reads the server's last words before it hears that the connection is gone.
/// </summary>
internal sealed class SwallowingProxy : IAsyncDisposable
{
    private readonly LoopbackListener _listener;
    private readonly int _serverPort;

    public SwallowingProxy(int serverPort)
    {
        _serverPort = serverPort;
        _listener = new LoopbackListener(ServeAsync);
    }

    public int Port => _listener.EndPoint.Port;

    public ValueTask DisposeAsync() => _listener.DisposeAsync();

    private async Task ServeAsync(TcpClient client)
    {
        using TcpClient server = new();
        using (client)
        {
            await server.ConnectAsync(IPAddress.Loopback, _serverPort);
            Task forth = PassAsync(client.GetStream(), server.GetStream());
            await PassAsync(server.GetStream(), client.GetStream());
            // The answers are through: no more of them comes, and what the client still sends goes nowhere.
            client.Client.Shutdown(SocketShutdown.Send);
            await forth;
        }
    }

    private async Task PassAsync(NetworkStream from, NetworkStream to)
    {
        byte[] buffer = new byte[64 << 10];
        bool takes = true;
        while (true)
        {
            int count;
            try
            {
                count = await from.ReadAsync(buffer, _listener.Stop);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                return;
            }

            if (count == 0)
            {
                return;
            }

            try
            {
                if (takes)
                {
                    await to.WriteAsync(buffer.AsMemory(0, count), _listener.Stop);
                }
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                takes = false;
            }
        }
    }
}
