using System.Net;
using System.Net.Sockets;
using System.Text;

namespace SmcDr.Core.Tests.Postgres.Preparation;

/// <summary>Passes on connections to a loopback port and keeps what the client sends.</summary>
internal sealed class WireTap : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly MemoryStream _sent = new();
    private readonly Task _running;

    public WireTap(int port)
    {
        _listener.Start();
        _running = AcceptAsync(port);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public string Sent
    {
        get
        {
            lock (_sent)
            {
                return Encoding.Latin1.GetString(_sent.ToArray());
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Stop();
        await _running;
        _end.Dispose();
    }

    private async Task AcceptAsync(int port)
    {
        List<Task> copies = [];
        try
        {
            while (true)
            {
                TcpClient client = await _listener.AcceptTcpClientAsync(_end.Token);
                TcpClient server = new();
                await server.ConnectAsync(IPAddress.Loopback, port, _end.Token);
                copies.Add(CopyAsync(client, server, keep: true));
                copies.Add(CopyAsync(server, client, keep: false));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(copies);
        }
    }

    private async Task CopyAsync(TcpClient from, TcpClient to, bool keep)
    {
        byte[] buffer = new byte[65536];
        try
        {
            int length;
            while ((length = await from.GetStream().ReadAsync(buffer, _end.Token)) > 0)
            {
                if (keep)
                {
                    lock (_sent)
                    {
                        _sent.Write(buffer, 0, length);
                    }
                }

                await to.GetStream().WriteAsync(buffer.AsMemory(0, length), _end.Token);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The end of the connection.
        }

        to.Dispose();
    }
}
