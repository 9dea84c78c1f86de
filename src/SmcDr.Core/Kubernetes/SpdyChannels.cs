using System.Buffers;
using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace SmcDr.Core.Kubernetes;

/// <summary>
/// A command's streams over SPDY/3.1, as every server speaks it that cannot speak v5.channel.k8s.io yet. Bytes go as they are: in a WebSocket's frames they are
/// masked, and those servers unmask byte by byte (golang.org/x/net, websocket/hybi.go), which is a fifth of what a transfer into a pod costs.
/// </summary>
/// <remarks>
/// Of the protocol (chromium.org, SPDY draft 3.1) there is what Go's servers use (github.com/moby/spdystream): four streams that we open, data frames, pings. They
/// know no flow control; who does not read holds up the connection.
/// </remarks>
internal sealed class SpdyChannels : PodChannels
{
    /// <summary>The protocol of the connection.</summary>
    public const string Upgrade = "SPDY/3.1";

    /// <summary>The protocol of the streams, and the header that names it (apimachinery, pkg/util/httpstream).</summary>
    public const string StreamProtocol = "v4.channel.k8s.io";

    public const string StreamProtocolHeader = "X-Stream-Protocol-Version";

    private const int HeadLength = 8;
    private const int BufferLength = 128 << 10;
    private const byte Final = 1;
    private const int InputChannel = 0;
    private const int Synchronize = 1;
    private const int Reply = 2;
    private const int Reset = 3;
    private const int Ping = 6;
    private const int GoAway = 7;

    // The order in which kubectl opens them (client-go, tools/remotecommand); a client's numbers are odd.
    private static readonly (int Channel, string Type)[] s_streams = [(3, "error"), (InputChannel, "stdin"), (1, "stdout"), (2, "stderr")];

    private readonly HttpResponseMessage _response;
    private readonly Stream _stream;
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly byte[] _buffer = new byte[BufferLength];
    private readonly int[] _numbers = new int[4];
    private int _start;
    private int _end;

    private SpdyChannels(HttpResponseMessage response, Stream stream) => (_response, _stream) = (response, stream);

    public override string Protocol => Upgrade;

    public override bool CanCloseChannels => true;

    // It is sent when all output has been (containerd, pkg/cri/streaming/remotecommand), and the API server passes the connection on as it is.
    public override bool IsStatusLast => true;

    /// <summary>Opens the streams of a command.</summary>
    /// <param name="response">The answer that turned the connection into one of SPDY; it is let go with the channels.</param>
    /// <param name="hasInput">Whether the command was asked for with an input.</param>
    /// <exception cref="IOException">The other side does not take them.</exception>
    public static async Task<SpdyChannels> OpenAsync(HttpResponseMessage response, bool hasInput, CancellationToken cancellationToken)
    {
        SpdyChannels channels = new(response, await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false));
        try
        {
            int number = -1;
            ArrayBufferWriter<byte> frames = new();
            List<int> open = [];
            foreach ((int channel, string type) in s_streams)
            {
                if (channel != InputChannel || hasInput)
                {
                    channels._numbers[channel] = number += 2;
                    open.Add(number);
                    WriteOpening(frames, number, type, isFirst: number == 1);
                }
            }

            await channels._stream.WriteAsync(frames.WrittenMemory, cancellationToken).ConfigureAwait(false);
            // What comes on a stream that was not replied to is thrown away there (spdystream, connection.go).
            while (open.Count > 0)
            {
                if (!await channels.FillAsync(HeadLength, cancellationToken).ConfigureAwait(false))
                {
                    throw new IOException("The connection into the pod was closed while its streams were opened.");
                }

                (int kind, int of) = await channels.ReadControlAsync(cancellationToken).ConfigureAwait(false);
                if (kind is Reset or GoAway)
                {
                    throw new IOException("The other side does not take a stream of the command.");
                }

                if (kind == Reply)
                {
                    open.Remove(of);
                }
            }

            return channels;
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    public override async ValueTask SendAsync(int channel, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        byte[] frame = ArrayPool<byte>.Shared.Rent(Math.Min(data.Length, MaximumPayload) + HeadLength);
        try
        {
            do
            {
                int length = Math.Min(data.Length, MaximumPayload);
                WriteDataHead(frame, _numbers[channel], 0, length);
                data[..length].CopyTo(frame.AsMemory(HeadLength));
                data = data[length..];
                await SendFrameAsync(frame.AsMemory(0, HeadLength + length), cancellationToken).ConfigureAwait(false);
            }
            while (data.Length > 0);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(frame);
        }
    }

    public override ValueTask CloseChannelAsync(int channel, CancellationToken cancellationToken)
    {
        byte[] frame = new byte[HeadLength];
        WriteDataHead(frame, _numbers[channel], Final, 0);
        return SendFrameAsync(frame, cancellationToken);
    }

    protected override void Abort() => _response.Dispose();

    protected override void Close() => _response.Dispose();

    protected override async Task<bool> ReceiveAllAsync(CancellationToken cancellationToken)
    {
        // There is no farewell: whether it was the end says the status.
        while (await FillAsync(HeadLength, cancellationToken).ConfigureAwait(false))
        {
            if ((_buffer[_start] & 0x80) == 0)
            {
                await ReadDataAsync(cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await ReadControlAsync(cancellationToken).ConfigureAwait(false);
            }
        }

        return false;
    }

    private static void WriteDataHead(Span<byte> frame, int stream, byte flags, int length)
    {
        BinaryPrimitives.WriteInt32BigEndian(frame, stream);
        BinaryPrimitives.WriteInt32BigEndian(frame[4..], length);
        frame[4] = flags;
    }

    private static void WriteControlHead(Span<byte> frame, int kind, int length)
    {
        BinaryPrimitives.WriteUInt16BigEndian(frame, 0x8003);
        BinaryPrimitives.WriteUInt16BigEndian(frame[2..], (ushort)kind);
        BinaryPrimitives.WriteInt32BigEndian(frame[4..], length);
    }

    /// <summary>
    /// Opens a stream. All header blocks of a connection are one zlib stream (2.6.10.1): here of blocks that are stored as they are, each with an empty one behind
    /// it, up to which a decompressor gives what it has.
    /// </summary>
    private static void WriteOpening(ArrayBufferWriter<byte> frames, int number, string type, bool isFirst)
    {
        const string Name = "streamtype";
        int headers = 4 + 4 + Name.Length + 4 + type.Length;
        int compressed = (isFirst ? 2 : 0) + 5 + headers + 5;
        Span<byte> frame = frames.GetSpan(HeadLength + 10 + compressed);
        frame.Clear();
        WriteControlHead(frame, Synchronize, 10 + compressed);
        BinaryPrimitives.WriteInt32BigEndian(frame[HeadLength..], number);
        int at = HeadLength + 10;
        if (isFirst)
        {
            frame[at++] = 0x78;
            frame[at++] = 0x01;
        }

        BinaryPrimitives.WriteUInt16LittleEndian(frame[(at + 1)..], (ushort)headers);
        BinaryPrimitives.WriteUInt16LittleEndian(frame[(at + 3)..], (ushort)~headers);
        at += 5;
        BinaryPrimitives.WriteInt32BigEndian(frame[at..], 1);
        at += 4;
        foreach (string text in (string[])[Name, type])
        {
            BinaryPrimitives.WriteInt32BigEndian(frame[at..], text.Length);
            at += 4 + Encoding.ASCII.GetBytes(text, frame[(at + 4)..]);
        }

        BinaryPrimitives.WriteUInt16LittleEndian(frame[(at + 3)..], 0xFFFF);
        frames.Advance(at + 5);
    }

    private async ValueTask SendFrameAsync(ReadOnlyMemory<byte> frame, CancellationToken cancellationToken)
    {
        await _sending.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await _stream.WriteAsync(frame, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ObjectDisposedException or InvalidOperationException or SocketException)
        {
            throw new IOException("The connection into the pod is closed.", e);
        }
        finally
        {
            _sending.Release();
        }
    }

    private async ValueTask ReadDataAsync(CancellationToken cancellationToken)
    {
        int number = BinaryPrimitives.ReadInt32BigEndian(_buffer.AsSpan(_start));
        int rest = BinaryPrimitives.ReadInt32BigEndian(_buffer.AsSpan(_start + 4)) & 0xFFFFFF;
        _start += HeadLength;
        int channel = Array.IndexOf(_numbers, number);
        if (channel < 0 || number == 0)
        {
            throw new IOException("The connection into the pod carries a stream that nobody has opened.");
        }

        while (rest > 0)
        {
            Memory<byte> space = SpaceFor(channel, Math.Min(rest, MaximumPayload));
            space = space[..Math.Min(rest, space.Length)];
            int filled = Math.Min(space.Length, _end - _start);
            _buffer.AsMemory(_start, filled).CopyTo(space);
            _start += filled;
            if (filled == 0 && (filled = await _stream.ReadAsync(space, cancellationToken).ConfigureAwait(false)) == 0)
            {
                throw new IOException("The connection into the pod was closed in the middle of a message.");
            }

            rest -= filled;
            await TakeAsync(channel, space[..filled], cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Reads a frame that is no data; of one, the kind is 0.</summary>
    /// <returns>Its kind, and the stream that it is of.</returns>
    private async ValueTask<(int Kind, int Stream)> ReadControlAsync(CancellationToken cancellationToken)
    {
        bool isControl = (_buffer[_start] & 0x80) != 0;
        int kind = BinaryPrimitives.ReadUInt16BigEndian(_buffer.AsSpan(_start + 2));
        int length = BinaryPrimitives.ReadInt32BigEndian(_buffer.AsSpan(_start + 4)) & 0xFFFFFF;
        if (!isControl || length > BufferLength - HeadLength)
        {
            throw new IOException("What came over the connection into the pod is not what was to come.");
        }

        if (!await FillAsync(HeadLength + length, cancellationToken).ConfigureAwait(false))
        {
            throw new IOException("The connection into the pod was closed in the middle of a message.");
        }

        int stream = length < 4 ? 0 : BinaryPrimitives.ReadInt32BigEndian(_buffer.AsSpan(_start + HeadLength)) & int.MaxValue;
        if (kind == Ping && length == 4 && stream % 2 == 0)
        {
            // Beside the reading: who does not take it yet may be waiting for us to read.
            _ = AnswerAsync(_buffer.AsSpan(_start, HeadLength + length).ToArray());
        }

        _start += HeadLength + length;
        return (kind, stream);
    }

    private async Task AnswerAsync(byte[] ping)
    {
        try
        {
            await SendFrameAsync(ping, CancellationToken.None).ConfigureAwait(false);
        }
        catch (IOException)
        {
            // Whoever reads hears of the end.
        }
    }

    /// <summary>Has so many bytes in the buffer; false at the end of the connection.</summary>
    /// <exception cref="IOException">It ended in between.</exception>
    private async ValueTask<bool> FillAsync(int count, CancellationToken cancellationToken)
    {
        if (_end - _start < count && _start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        while (_end - _start < count)
        {
            int length = await _stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken).ConfigureAwait(false);
            if (length == 0 && _end == _start)
            {
                return false;
            }

            if (length == 0)
            {
                throw new IOException("The connection into the pod was closed in the middle of a message.");
            }

            _end += length;
        }

        return true;
    }
}
