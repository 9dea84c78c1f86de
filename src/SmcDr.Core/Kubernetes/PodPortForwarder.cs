using System.Globalization;
using System.Net;
using System.Net.Sockets;
using SmcDr.Core.Operations;
using SmcDr.Core.Platform;

namespace SmcDr.Core.Kubernetes;

/// <summary>
/// Leads connections from a port of this host's loopback interface to a port of a pod, each over a WebSocket of its own. A server in a pod takes them for
/// its own host's, which many trust without a password: so on Linux only those of this account and of root are let through. Elsewhere any account
/// of this host can use the port while it is open.
/// </summary>
public sealed class PodPortForwarder : IRoutedPort, IAsyncDisposable
{
    /// <summary>How many connections may be open at a time; others wait to be taken.</summary>
    public const int MaximumConnections = 128;

    /// <summary>How long the pod may go on after its client has said all, since it cannot be told.</summary>
    private static readonly TimeSpan s_linger = TimeSpan.FromSeconds(10);

    private readonly KubernetesClient _client;
    private readonly PodTarget _target;
    private readonly int _port;
    private readonly IOperationObserver _observer;
    private readonly TcpListener _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _places = new(MaximumConnections, MaximumConnections);
    private readonly Lock _lock = new();
    private readonly HashSet<Task> _work = [];
    private readonly Task _accepting;
    private int _disposed;
    private bool _released;

    internal PodPortForwarder(KubernetesClient client, PodTarget target, int port, int localPort, IOperationObserver observer)
    {
        _client = client;
        _target = target;
        _port = port;
        _observer = observer;
        _listener = new TcpListener(IPAddress.Loopback, localPort);
        try
        {
            _listener.Start();
        }
        catch (SocketException e)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                string.Create(CultureInfo.InvariantCulture, $"Port {localPort} of this host cannot be listened on: {e.Message.TrimEnd('.')}."),
                e,
                "Choose another port, or none, so that a free one is taken.");
        }

        LocalPort = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = Task.Run(AcceptAsync);
    }

    /// <summary>The port on this host, on 127.0.0.1.</summary>
    public int LocalPort { get; }

    /// <summary>Why the last connection that failed did so: its client saw no more than a reset.</summary>
    public SmcException? LastFailure { get; private set; }

    /// <summary>Closes the port with the last of its connections, or at once where there is none; does not wait for that.</summary>
    public void Dispose()
    {
        bool isOver;
        lock (_lock)
        {
            _released = true;
            isOver = _work.Count == 0;
        }

        if (isOver)
        {
            _ = DisposeAsync().AsTask();
        }
    }

    /// <summary>Closes the port and every connection.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        _listener.Stop();
        await _accepting.ConfigureAwait(false);
        Task[] left;
        lock (_lock)
        {
            left = [.. _work];
        }

        await Task.WhenAll(left).ConfigureAwait(false);
        _stop.Dispose();
        _places.Dispose();
    }

    private static void Reset(Socket socket)
    {
        try
        {
            // RST, not FIN: a client must not take a break for the end.
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Its client was quicker.
        }

        socket.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                await _places.WaitAsync(_stop.Token).ConfigureAwait(false);
                Socket socket = await _listener.AcceptSocketAsync(_stop.Token).ConfigureAwait(false);
                if (!LoopbackPeer.IsTrusted(socket))
                {
                    _observer.Warning(string.Create(
                        CultureInfo.InvariantCulture, $"Another account of this host tried to use the port {LocalPort} that leads to the pod '{_target}', and was refused."));
                    Reset(socket);
                    _places.Release();
                    continue;
                }

                socket.NoDelay = true;
                Task work;
                lock (_lock)
                {
                    work = Task.Run(() => ServeAsync(socket));
                    _work.Add(work);
                }

                _ = work.ContinueWith(
                    End, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // It is over.
        }
    }

    private void End(Task work)
    {
        bool isOver;
        lock (_lock)
        {
            _work.Remove(work);
            isOver = _released && _work.Count == 0;
        }

        if (isOver)
        {
            _ = DisposeAsync().AsTask();
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        try
        {
            PodPortStream connection = await _client.ConnectAsync(_target, _port, _stop.Token).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                await PumpAsync(socket, connection).ConfigureAwait(false);
            }

            socket.Dispose();
        }
        catch (SmcException e)
        {
            LastFailure = e;
            _observer.Warning(e.Message);
            Reset(socket);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or SocketException or ObjectDisposedException)
        {
            Reset(socket);
        }
        finally
        {
            _places.Release();
        }
    }

    private async Task PumpAsync(Socket socket, PodPortStream connection)
    {
        using NetworkStream local = new(socket, ownsSocket: false);
        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        Task outward = CopyAsync(local, connection, end.Token);
        Task inward = CopyAsync(connection, local, end.Token);
        try
        {
            if (await Task.WhenAny(outward, inward).ConfigureAwait(false) == outward)
            {
                await outward.ConfigureAwait(false);
                // The client has said all and may still wait for the answer.
                end.CancelAfter(s_linger);
            }

            await inward.ConfigureAwait(false);
            socket.Shutdown(SocketShutdown.Send);
        }
        finally
        {
            await end.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(outward, inward).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task CopyAsync(Stream from, Stream to, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[PodChannels.MaximumPayload];
        int length;
        while ((length = await from.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            await to.WriteAsync(buffer.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
        }
    }
}
