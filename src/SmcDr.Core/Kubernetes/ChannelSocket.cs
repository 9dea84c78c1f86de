using System.Buffers;
using System.Net.Sockets;
using System.Net.WebSockets;

namespace SmcDr.Core.Kubernetes;

/// <summary>
/// Several streams over one WebSocket, as the kubelet speaks it: the first byte of a message names its channel
/// (kubernetes/kubelet, pkg/cri/streaming/remotecommand/websocket.go).
/// </summary>
internal sealed class ChannelSocket(WebSocket socket) : PodChannels
{
    private const byte CloseChannel = 255;
    private static readonly TimeSpan s_closeTime = TimeSpan.FromSeconds(2);

    private readonly SemaphoreSlim _sending = new(1, 1);

    public override string Protocol => socket.SubProtocol ?? "";

    public override bool CanCloseChannels => Protocol.StartsWith("v5.", StringComparison.Ordinal);

    // The kubelet sends the status last. From v5 on the API server puts it together from streams of their own (apiserver,
    // pkg/util/proxy/streamtranslator.go).
    public override bool IsStatusLast => !CanCloseChannels;

    public override async ValueTask SendAsync(int channel, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        byte[] frame = ArrayPool<byte>.Shared.Rent(Math.Min(data.Length, MaximumPayload) + 1);
        try
        {
            frame[0] = (byte)channel;
            do
            {
                int length = Math.Min(data.Length, MaximumPayload);
                data[..length].CopyTo(frame.AsMemory(1));
                data = data[length..];
                await SendFrameAsync(frame.AsMemory(0, length + 1), cancellationToken).ConfigureAwait(false);
            }
            while (data.Length > 0);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(frame);
        }
    }

    public override ValueTask CloseChannelAsync(int channel, CancellationToken cancellationToken) => CanCloseChannels
        ? SendFrameAsync(new byte[] { CloseChannel, (byte)channel }, cancellationToken)
        : throw new NotSupportedException("v4.channel.k8s.io has no means of closing one channel (kubernetes issue 89899).");

    protected override void Abort() => socket.Abort();

    protected override void Close() => socket.Dispose();

    protected override async Task<bool> ReceiveAllAsync(CancellationToken cancellationToken)
    {
        byte[] head = new byte[1];
        while (true)
        {
            // The channel first and alone: then the rest goes where it belongs without being copied.
            ValueWebSocketReceiveResult received = await socket.ReceiveAsync(head.AsMemory(), cancellationToken).ConfigureAwait(false);
            if (received.MessageType == WebSocketMessageType.Close)
            {
                return true;
            }

            if (received.Count == 0)
            {
                continue;
            }

            while (!received.EndOfMessage)
            {
                Memory<byte> space = SpaceFor(head[0], MaximumPayload);
                received = await socket.ReceiveAsync(space, cancellationToken).ConfigureAwait(false);
                if (received.MessageType == WebSocketMessageType.Close)
                {
                    throw new IOException("The connection into the pod was closed in the middle of a message.");
                }

                await TakeAsync(head[0], space[..received.Count], cancellationToken).ConfigureAwait(false);
            }
        }
    }

    protected override async Task SayFarewellAsync()
    {
        using CancellationTokenSource timer = new(s_closeTime);
        try
        {
            await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, timer.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // The other side is gone already.
        }
    }

    private async ValueTask SendFrameAsync(ReadOnlyMemory<byte> frame, CancellationToken cancellationToken)
    {
        await _sending.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await socket.SendAsync(frame, WebSocketMessageType.Binary, endOfMessage: true, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is WebSocketException or ObjectDisposedException or InvalidOperationException or SocketException)
        {
            throw new IOException("The connection into the pod is closed.", e);
        }
        finally
        {
            _sending.Release();
        }
    }
}
