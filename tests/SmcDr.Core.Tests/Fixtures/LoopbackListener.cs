using System.Net;
using System.Net.Sockets;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>Takes connections on the loopback interface and serves each beside the others; what fixtures that stand in for a server, or before one, begin with.</summary>
internal sealed class LoopbackListener : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Func<TcpClient, Task> _serve;
    private readonly List<Task> _connections = [];
    private readonly Task _accepting;

    /// <param name="serve">Serves a connection and closes it.</param>
    public LoopbackListener(Func<TcpClient, Task> serve)
    {
        (_serve, Stop) = (serve, _stop.Token);
        _listener.Start();
        EndPoint = (IPEndPoint)_listener.LocalEndpoint;
        _accepting = AcceptAsync();
    }

    public IPEndPoint EndPoint { get; }

    /// <summary>Ends with the listener.</summary>
    public CancellationToken Stop { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        await Task.WhenAll(_connections);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _connections.Add(_serve(await _listener.AcceptTcpClientAsync(Stop)));
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Stopped.
        }
    }
}
