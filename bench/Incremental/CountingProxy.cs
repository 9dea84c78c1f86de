using System.Net;
using System.Net.Sockets;

namespace SmcDr.Bench;

/// <summary>Stands between the engine and the server, and counts what the server sends.</summary>
internal sealed class CountingProxy : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly int _target;
    private long _received;
    private long _sent;
    private long _wal;

    public CountingProxy(int target)
    {
        _target = target;
        _listener.Start();
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>
    /// The bytes that came from the server, that went to it, and that came as WAL, since this was asked last. A backup ends the
    /// WAL segment that it is in, so that of WAL there are always 16 MB.
    /// </summary>
    public (long FromServer, long ToServer, long Wal) Take() =>
        (Interlocked.Exchange(ref _received, 0), Interlocked.Exchange(ref _sent, 0), Interlocked.Exchange(ref _wal, 0));

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        while (true)
        {
            TcpClient client;
            try
            {
                client = await _listener.AcceptTcpClientAsync();
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return;
            }

            TcpClient server = new() { NoDelay = true };
            client.NoDelay = true;
            await server.ConnectAsync(IPAddress.Loopback, _target);
            bool isWal = false;
            _ = PumpAsync(server, client, bytes => Interlocked.Add(ref isWal ? ref _wal : ref _received, bytes.Length));
            _ = PumpAsync(client, server, bytes =>
            {
                isWal |= bytes.Length < 1024 && bytes.AsSpan().IndexOf("replication\0"u8) >= 0;
                Interlocked.Add(ref _sent, bytes.Length);
            });
        }
    }

    private static async Task PumpAsync(TcpClient from, TcpClient to, Action<byte[]> count)
    {
        byte[] buffer = new byte[256 << 10];
        try
        {
            int read;
            while ((read = await from.GetStream().ReadAsync(buffer)) > 0)
            {
                count(buffer[..read]);
                await to.GetStream().WriteAsync(buffer.AsMemory(0, read));
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // One side has closed.
        }

        from.Dispose();
        to.Dispose();
    }
}
