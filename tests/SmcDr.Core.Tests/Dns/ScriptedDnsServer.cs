using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace SmcDr.Core.Tests.Dns;

/// <summary>
/// A DNS server on the loopback interface that answers what a test tells it to, over UDP and TCP of one port: for what a real server does not do,
/// such as to lie, to answer another question, or to say nothing.
/// </summary>
internal sealed class ScriptedDnsServer : IAsyncDisposable
{
    private const int PortAttempts = 20;

    private readonly CancellationTokenSource _stop = new();
    private readonly UdpClient _udp;
    private readonly TcpListener _tcp;
    private readonly Func<byte[], bool, IEnumerable<byte[]>> _answer;
    private readonly Task _serving;
    private int _questions;

    /// <param name="answer">From a question, and whether it came over TCP, to the packets that go back.</param>
    public ScriptedDnsServer(Func<byte[], bool, IEnumerable<byte[]>> answer)
    {
        _answer = answer;
        (_udp, _tcp) = Listen();
        _serving = Task.WhenAll(ServeUdpAsync(), ServeTcpAsync());
    }

    public IPEndPoint Address => (IPEndPoint)_udp.Client.LocalEndPoint!;

    public string Endpoint => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{Address.Port}");

    public int QuestionCount => _questions;

    /// <summary>An answer to a question: its header with other flags and counts, the question itself, and what follows.</summary>
    public static byte[] Reply(byte[] question, byte flags = 0x84, byte code = 0, byte answers = 0, byte authorities = 0, byte[]? rest = null)
    {
        byte[] reply = [.. question, .. rest ?? []];
        reply[2] = flags;
        reply[3] = code;
        reply[7] = answers;
        reply[9] = authorities;
        return reply;
    }

    /// <summary>A record of the name that was asked for.</summary>
    public static byte[] Record(ushort type, int ttl, byte[] data) =>
    [
        0xC0, 12, (byte)(type >> 8), (byte)type, 0, 1, (byte)(ttl >> 24), (byte)(ttl >> 16), (byte)(ttl >> 8), (byte)ttl,
        (byte)(data.Length >> 8), (byte)data.Length, .. data,
    ];

    /// <summary>The answer "A address", with all flags as they should be.</summary>
    public static byte[] Address4(byte[] question, string address, int ttl = 60) =>
        Reply(question, answers: 1, rest: Record(1, ttl, IPAddress.Parse(address).GetAddressBytes()));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _tcp.Stop();
        _udp.Dispose();
        await _serving;
        _stop.Dispose();
    }

    /// <summary>A port that is free for UDP may be somebody's for TCP.</summary>
    private static (UdpClient Udp, TcpListener Tcp) Listen()
    {
        for (int attempt = 1; ; attempt++)
        {
            UdpClient udp = new(new IPEndPoint(IPAddress.Loopback, 0));
            TcpListener tcp = new((IPEndPoint)udp.Client.LocalEndPoint!);
            try
            {
                tcp.Start();
                return (udp, tcp);
            }
            catch (SocketException) when (attempt < PortAttempts)
            {
                udp.Dispose();
                tcp.Dispose();
            }
        }
    }

    private async Task ServeUdpAsync()
    {
        try
        {
            while (true)
            {
                UdpReceiveResult received = await _udp.ReceiveAsync(_stop.Token);
                Interlocked.Increment(ref _questions);
                foreach (byte[] packet in _answer(received.Buffer, false))
                {
                    await _udp.SendAsync(packet, received.RemoteEndPoint, _stop.Token);
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            // Stopped.
        }
    }

    private async Task ServeTcpAsync()
    {
        try
        {
            while (true)
            {
                using TcpClient client = await _tcp.AcceptTcpClientAsync(_stop.Token);
                NetworkStream stream = client.GetStream();
                byte[] length = new byte[2];
                await stream.ReadExactlyAsync(length, _stop.Token);
                byte[] question = new byte[(length[0] << 8) | length[1]];
                await stream.ReadExactlyAsync(question, _stop.Token);
                foreach (byte[] packet in _answer(question, true))
                {
                    await stream.WriteAsync(packet, _stop.Token);
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or ObjectDisposedException or SocketException or IOException)
        {
            // Stopped.
        }
    }
}
