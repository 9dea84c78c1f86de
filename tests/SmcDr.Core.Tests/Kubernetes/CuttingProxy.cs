using System.Net;
using System.Net.Sockets;

namespace SmcDr.Core.Tests.Kubernetes;

/// <summary>A network on the loopback interface that resets each connection after so many bytes as a test says, in the middle of whatever is said.</summary>
internal sealed class CuttingProxy : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly int _targetPort;
    private readonly Func<long?> _budget;
    private readonly List<Task> _work = [];
    private readonly Task _accepting;
    private int _cuts;
    private int _isDisposed;

    /// <param name="targetPort">What it leads to.</param>
    /// <param name="budget">How many bytes the next connection lives for; null = for ever.</param>
    /// <param name="port">Where it listens, such as where another one did; 0 = anywhere.</param>
    public CuttingProxy(int targetPort, Func<long?> budget, int port = 0)
    {
        _listener = new TcpListener(IPAddress.Loopback, port);
        _targetPort = targetPort;
        _budget = budget;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public int Cuts => _cuts;

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            return;
        }

        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        Task[] left;
        lock (_work)
        {
            left = [.. _work];
        }

        await Task.WhenAll(left);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                Socket client = await _listener.AcceptSocketAsync(_stop.Token);
                lock (_work)
                {
                    _work.Add(Task.Run(() => ServeAsync(client, _budget())));
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Stopped.
        }
    }

    private async Task ServeAsync(Socket client, long? budget)
    {
        using Socket server = new(SocketType.Stream, ProtocolType.Tcp);
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        long left = budget ?? long.MaxValue;
        try
        {
            await server.ConnectAsync(IPAddress.Loopback, _targetPort, _stop.Token);
            async Task PumpAsync(Socket from, Socket to)
            {
                byte[] buffer = new byte[16 << 10];
                int length;
                while ((length = await from.ReceiveAsync(buffer, end.Token)) > 0)
                {
                    long after = Interlocked.Add(ref left, -length);
                    int allowed = (int)Math.Clamp(length + Math.Min(after, 0), 0, length);
                    await to.SendAsync(buffer.AsMemory(0, allowed), end.Token);
                    if (after <= 0)
                    {
                        if (after + length > 0)
                        {
                            Interlocked.Increment(ref _cuts);
                        }

                        throw new IOException("Cut.");
                    }
                }

                to.Shutdown(SocketShutdown.Send);
            }

            Task[] pumps = [PumpAsync(client, server), PumpAsync(server, client)];
            if ((await Task.WhenAny(pumps)).IsFaulted)
            {
                await end.CancelAsync();
            }

            await Task.WhenAll(pumps);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            foreach (Socket socket in new[] { client, server })
            {
                try
                {
                    socket.LingerState = new LingerOption(true, 0);
                }
                catch (Exception f) when (f is SocketException or ObjectDisposedException)
                {
                    // Its other end was quicker.
                }
            }
        }
        finally
        {
            client.Dispose();
        }
    }
}
