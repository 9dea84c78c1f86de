using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace SmcDr.Core.Dns;

/// <summary>Asks one DNS server one question, and hears no other's answer: over UDP, and over TCP where that was not enough.</summary>
internal sealed class DnsServerClient
{
    /// <summary>How long an answer over UDP is waited for before the question is sent again.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How often a question is sent over UDP.</summary>
    public int Attempts { get; init; } = 3;

    /// <summary>Asks.</summary>
    /// <exception cref="TimeoutException">There was no answer.</exception>
    /// <exception cref="InvalidDataException">What came is none.</exception>
    /// <exception cref="SocketException">The server cannot be reached.</exception>
    public async Task<DnsAnswer> AskAsync(IPEndPoint server, DnsName name, string type, CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(Silence);
            try
            {
                DnsAnswer answer = await AskByUdpAsync(server, name, type, limit.Token).ConfigureAwait(false);
                if (!answer.IsTruncated)
                {
                    return answer;
                }
            }
            catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
            {
                if (attempt < Attempts)
                {
                    continue;
                }

                throw new TimeoutException($"no answer came, although it was asked {Attempts} times", exception);
            }

            return await AskByTcpAsync(server, name, type, cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task<DnsAnswer> AskByUdpAsync(IPEndPoint server, DnsName name, string type, CancellationToken cancellationToken)
    {
        // Another port and another id for each question. The socket is connected, so packets of others do not arrive.
        using Socket socket = new(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        await socket.ConnectAsync(server, cancellationToken).ConfigureAwait(false);
        ushort id = NewId();
        await socket.SendAsync(DnsMessage.WriteQuestion(id, name, type), cancellationToken).ConfigureAwait(false);
        byte[] buffer = new byte[DnsMessage.MaximumUdp * 8];
        while (true)
        {
            int length = await socket.ReceiveAsync(buffer, cancellationToken).ConfigureAwait(false);
            if (DnsMessage.IsAnswerTo(buffer.AsSpan(0, length), id, name, type))
            {
                return DnsMessage.Read(buffer.AsSpan(0, length), type);
            }
        }
    }

    private async Task<DnsAnswer> AskByTcpAsync(IPEndPoint server, DnsName name, string type, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Silence * Attempts);
        try
        {
            using Socket socket = new(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(server, limit.Token).ConfigureAwait(false);
            using NetworkStream stream = new(socket);
            ushort id = NewId();
            byte[] question = DnsMessage.WriteQuestion(id, name, type);
            byte[] framed = new byte[question.Length + 2];
            BinaryPrimitives.WriteUInt16BigEndian(framed, (ushort)question.Length);
            question.CopyTo(framed, 2);
            await stream.WriteAsync(framed, limit.Token).ConfigureAwait(false);
            byte[] length = new byte[2];
            await stream.ReadExactlyAsync(length, limit.Token).ConfigureAwait(false);
            byte[] answer = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
            await stream.ReadExactlyAsync(answer, limit.Token).ConfigureAwait(false);
            return !DnsMessage.IsAnswerTo(answer, id, name, type)
                ? throw new InvalidDataException("what came over TCP answers another question")
                : DnsMessage.Read(answer, type) is { IsTruncated: false } read
                    ? read with { Transport = "TCP" }
                    : throw new InvalidDataException("what came over TCP was cut off as well");
        }
        catch (EndOfStreamException exception)
        {
            throw new InvalidDataException("the server closed the connection before its answer was complete", exception);
        }
        catch (OperationCanceledException exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException("the answer over UDP was cut off, and none came over TCP", exception);
        }
    }

    private static ushort NewId() => (ushort)RandomNumberGenerator.GetInt32(ushort.MaxValue + 1);
}
