using System.Net;
using System.Net.Sockets;

namespace SmcDr.Core.Tests.Fixtures;

/// <summary>
/// The network between a client and a server, on the loopback interface: it can be cut, stall, be slow, end one direction, say
/// things twice, be narrow, or forget connections as a firewall does, and it can lead to another server. At most 64 connections at a time.
/// </summary>
public sealed class NetworkProxy : IAsyncDisposable
{
    private const int MostConnections = 64;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly HashSet<Connection> _connections = [];
    private readonly Task _accepting;
    private TaskCompletionSource _flows = Completed();
    private TimeSpan _delay;
    private int _duplicates;
    private int _rate;
    private bool _isCut;

    public NetworkProxy(int targetPort)
    {
        TargetPort = targetPort;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Where new connections lead to.</summary>
    public int TargetPort { get; set; }

    /// <summary>Resets all connections, and new ones as well, until <see cref="Heal"/>.</summary>
    public void Cut()
    {
        lock (_lock)
        {
            _isCut = true;
        }

        Each(static connection => connection.Reset());
    }

    /// <summary>Nothing moves any more, and nobody is told, until <see cref="Heal"/>.</summary>
    public void Stall()
    {
        lock (_lock)
        {
            if (_flows.Task.IsCompleted)
            {
                _flows = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }
    }

    /// <summary>Everything takes a while, until <see cref="Heal"/>.</summary>
    public void Slow(TimeSpan delay)
    {
        lock (_lock)
        {
            _delay = delay;
        }
    }

    /// <summary>
    /// So many bytes a second go through each connection, in either direction, until <see cref="Heal"/>; where it was cut, it is so no more. New connections hold
    /// little on the way, so that what the server has sent is not much more than what the client has received.
    /// </summary>
    public void Narrow(int bytesPerSecond)
    {
        lock (_lock)
        {
            (_isCut, _rate) = (false, bytesPerSecond);
        }
    }

    /// <summary>So many of the next pieces that come from the server arrive twice.</summary>
    public void Duplicate(int pieces)
    {
        lock (_lock)
        {
            _duplicates = pieces;
        }
    }

    /// <summary>How many pieces are still to arrive twice.</summary>
    public int Duplicates
    {
        get
        {
            lock (_lock)
            {
                return _duplicates;
            }
        }
    }

    /// <summary>The connections of this moment are dead from now on, and nobody is ever told; new ones work.</summary>
    public void Forget() => Each(static connection => connection.IsForgotten = true);

    /// <summary>One direction of the connections of this moment ends.</summary>
    public void HalfClose(bool towardsClient) => Each(connection => connection.HalfClose(towardsClient));

    /// <summary>The network is whole again.</summary>
    public void Heal()
    {
        lock (_lock)
        {
            (_isCut, _delay, _rate) = (false, TimeSpan.Zero, 0);
            _flows.TrySetResult();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_stop.IsCancellationRequested)
        {
            return;
        }

        Heal();
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        Each(static connection => connection.Reset());
        Task[] left;
        lock (_lock)
        {
            left = [.. _connections.Select(static connection => connection.Work)];
        }

        await Task.WhenAll(left);
        _stop.Dispose();
    }

    private static TaskCompletionSource Completed()
    {
        TaskCompletionSource source = new();
        source.SetResult();
        return source;
    }

    private void Each(Action<Connection> action)
    {
        Connection[] connections;
        lock (_lock)
        {
            connections = [.. _connections];
        }

        foreach (Connection connection in connections)
        {
            action(connection);
        }
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                TcpClient client = await _listener.AcceptTcpClientAsync(_stop.Token);
                Connection connection = new(client);
                lock (_lock)
                {
                    if (_isCut || _connections.Count >= MostConnections)
                    {
                        connection.Reset();
                        continue;
                    }

                    if (_rate > 0)
                    {
                        connection.HoldLittle();
                    }

                    _connections.Add(connection);
                    connection.Work = Task.Run(() => ServeAsync(connection));
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Stopped.
        }
    }

    private async Task ServeAsync(Connection connection)
    {
        try
        {
            await Flow.WaitAsync(_stop.Token);
            await connection.Server.ConnectAsync(IPAddress.Loopback, TargetPort, _stop.Token);
            await Task.WhenAll(
                PumpAsync(connection, connection.Client, connection.Server),
                PumpAsync(connection, connection.Server, connection.Client));
        }
        catch (Exception exception) when (IsTheEnd(exception))
        {
            // The server does not run, or this is over.
        }
        finally
        {
            connection.Reset();
            lock (_lock)
            {
                _connections.Remove(connection);
            }
        }
    }

    private Task Flow
    {
        get
        {
            lock (_lock)
            {
                return _flows.Task;
            }
        }
    }

    /// <summary>How much is taken at once: of what is narrow a tenth of a second's.</summary>
    private int PieceLength
    {
        get
        {
            lock (_lock)
            {
                return _rate > 0 ? Math.Clamp(_rate / 10, 1, 64 << 10) : 64 << 10;
            }
        }
    }

    private static bool IsTheEnd(Exception exception) =>
        exception is IOException or SocketException or OperationCanceledException or ObjectDisposedException or InvalidOperationException;

    private async Task PumpAsync(Connection connection, TcpClient from, TcpClient to)
    {
        byte[] buffer = new byte[64 << 10];
        try
        {
            int length;
            while ((length = await from.GetStream().ReadAsync(buffer.AsMemory(0, PieceLength), _stop.Token)) > 0)
            {
                TimeSpan delay;
                bool isTwice;
                lock (_lock)
                {
                    delay = _delay + (_rate > 0 ? TimeSpan.FromSeconds((double)length / _rate) : TimeSpan.Zero);
                    isTwice = _duplicates > 0 && from == connection.Server;
                    _duplicates -= isTwice ? 1 : 0;
                }

                if (delay > TimeSpan.Zero)
                {
                    await Task.Delay(delay, _stop.Token);
                }

                await Flow.WaitAsync(_stop.Token);
                if (!connection.IsForgotten)
                {
                    await to.GetStream().WriteAsync(buffer.AsMemory(0, length), _stop.Token);
                    if (isTwice)
                    {
                        await to.GetStream().WriteAsync(buffer.AsMemory(0, length), _stop.Token);
                    }
                }
            }

            if (!connection.IsForgotten)
            {
                await Flow.WaitAsync(_stop.Token);
                to.Client.Shutdown(SocketShutdown.Send);
            }
        }
        catch (Exception exception) when (IsTheEnd(exception))
        {
            if (!connection.IsForgotten)
            {
                connection.Reset();
            }
        }
    }

    private sealed class Connection(TcpClient client)
    {
        public TcpClient Client { get; } = client;

        public TcpClient Server { get; } = new();

        public Task Work { get; set; } = Task.CompletedTask;

        public volatile bool IsForgotten;

        /// <summary>Has the system keep little of what is on its way.</summary>
        public void HoldLittle()
        {
            foreach (TcpClient end in new[] { Client, Server })
            {
                (end.ReceiveBufferSize, end.SendBufferSize) = (8 << 10, 8 << 10);
            }
        }

        public void Reset()
        {
            foreach (TcpClient end in new[] { Client, Server })
            {
                try
                {
                    // RST, not FIN: the other end learns that it is lost, not that it is over.
                    end.LingerState = new LingerOption(true, 0);
                }
                catch (Exception exception) when (IsTheEnd(exception) || exception is NullReferenceException)
                {
                    // Closed already.
                }

                end.Dispose();
            }
        }

        public void HalfClose(bool towardsClient)
        {
            try
            {
                (towardsClient ? Client : Server).Client.Shutdown(SocketShutdown.Send);
            }
            catch (Exception exception) when (IsTheEnd(exception) || exception is NullReferenceException)
            {
                // Closed already.
            }
        }
    }
}
