using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Net.WebSockets;

namespace SmcDr.Core.Kubernetes;

/// <summary>
/// Several streams over one WebSocket, as the kubelet speaks it: the first byte of a message names its channel
/// (kubernetes/kubelet, pkg/cri/streaming/remotecommand/websocket.go). Who does not read a channel holds up the others as well, since there is
/// one connection: that is what keeps memory bounded.
/// </summary>
internal sealed class ChannelSocket : IAsyncDisposable
{
    /// <summary>What a message carries at most. Go's server makes an array for each, and takes 32 MB at most.</summary>
    public const int MaximumPayload = 64 << 10;

    private const byte CloseChannel = 255;
    private static readonly TimeSpan s_closeTime = TimeSpan.FromSeconds(2);
    private static readonly PipeOptions s_pipeOptions = new(
        pauseWriterThreshold: 1 << 20, resumeWriterThreshold: 512 << 10, minimumSegmentSize: 64 << 10, useSynchronizationContext: false);

    private readonly WebSocket _socket;
    private readonly Pipe?[] _pipes = new Pipe?[16];
    private readonly Action<ReadOnlyMemory<byte>>?[] _handlers = new Action<ReadOnlyMemory<byte>>?[16];
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly CancellationTokenSource _stop = new();
    private Task _receiving = Task.CompletedTask;

    public ChannelSocket(WebSocket socket) => _socket = socket;

    public string Protocol => _socket.SubProtocol ?? "";

    /// <summary>Whether one channel can be closed while the others go on.</summary>
    public bool CanCloseChannels => Protocol.StartsWith("v5.", StringComparison.Ordinal);

    /// <summary>Has a channel's bytes kept for a reader.</summary>
    public PipeReader Read(int channel) => (_pipes[channel] = new Pipe(s_pipeOptions)).Reader;

    /// <summary>Has a channel's bytes given to <paramref name="handler"/>, which must not wait.</summary>
    public void Handle(int channel, Action<ReadOnlyMemory<byte>> handler) => _handlers[channel] = handler;

    /// <summary>Begins to receive.</summary>
    /// <param name="ended">
    /// Is told of the end: whether the other side said farewell, and what broke the connection otherwise. Says what the readers are to learn: null
    /// is a clean end.
    /// </param>
    public void Start(Func<bool, Exception?, Exception?> ended) => _receiving = Task.Run(() => ReceiveAsync(ended));

    /// <summary>Sends bytes on a channel. Comes back when the connection has taken them.</summary>
    public async ValueTask SendAsync(int channel, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
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

    /// <summary>Tells the other side that nothing more comes on a channel.</summary>
    public ValueTask CloseChannelAsync(int channel, CancellationToken cancellationToken) => CanCloseChannels
        ? SendFrameAsync(new byte[] { CloseChannel, (byte)channel }, cancellationToken)
        : throw new NotSupportedException("v4.channel.k8s.io has no means of closing one channel (kubernetes issue 89899).");

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _socket.Abort();
        // A reader that has gone must not keep the receiving from ending.
        foreach (Pipe? pipe in _pipes)
        {
            pipe?.Writer.CancelPendingFlush();
        }

        await _receiving.ConfigureAwait(false);
        _socket.Dispose();
        _stop.Dispose();
    }

    private async ValueTask SendFrameAsync(ReadOnlyMemory<byte> frame, CancellationToken cancellationToken)
    {
        await _sending.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await _socket.SendAsync(frame, WebSocketMessageType.Binary, endOfMessage: true, cancellationToken).ConfigureAwait(false);
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

    private async Task ReceiveAsync(Func<bool, Exception?, Exception?> ended)
    {
        bool isFarewell = false;
        Exception? failure = null;
        try
        {
            isFarewell = await ReceiveMessagesAsync(_stop.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is WebSocketException or IOException or SocketException or OperationCanceledException or ObjectDisposedException
            or InvalidOperationException)
        {
            failure = e;
        }

        Exception? told = ended(isFarewell, failure);
        foreach (Pipe? pipe in _pipes)
        {
            if (pipe is not null)
            {
                await pipe.Writer.CompleteAsync(told).ConfigureAwait(false);
            }
        }

        if (isFarewell)
        {
            await SayFarewellAsync().ConfigureAwait(false);
        }
    }

    private async Task<bool> ReceiveMessagesAsync(CancellationToken cancellationToken)
    {
        byte[] head = new byte[1];
        byte[] scratch = new byte[MaximumPayload];
        while (true)
        {
            // The channel first and alone: then the rest goes where it belongs without being copied.
            ValueWebSocketReceiveResult received = await _socket.ReceiveAsync(head.AsMemory(), cancellationToken).ConfigureAwait(false);
            if (received.MessageType == WebSocketMessageType.Close)
            {
                return true;
            }

            if (received.Count == 0)
            {
                continue;
            }

            int channel = head[0];
            Pipe? pipe = channel < _pipes.Length ? _pipes[channel] : null;
            Action<ReadOnlyMemory<byte>>? handler = channel < _handlers.Length ? _handlers[channel] : null;
            while (!received.EndOfMessage)
            {
                Memory<byte> space = pipe is null ? scratch : pipe.Writer.GetMemory(MaximumPayload);
                received = await _socket.ReceiveAsync(space, cancellationToken).ConfigureAwait(false);
                if (received.MessageType == WebSocketMessageType.Close)
                {
                    throw new IOException("The connection into the pod was closed in the middle of a message.");
                }

                if (pipe is null)
                {
                    handler?.Invoke(space[..received.Count]);
                    continue;
                }

                pipe.Writer.Advance(received.Count);
                FlushResult flushed = await pipe.Writer.FlushAsync(cancellationToken).ConfigureAwait(false);
                if (flushed.IsCompleted && !cancellationToken.IsCancellationRequested)
                {
                    // Nobody reads it any more: the rest of this channel is passed over, the others go on.
                    await pipe.Writer.CompleteAsync().ConfigureAwait(false);
                    (_pipes[channel], pipe) = (null, null);
                }
            }
        }
    }

    private async Task SayFarewellAsync()
    {
        using CancellationTokenSource timer = new(s_closeTime);
        try
        {
            await _socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, timer.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // The other side is gone already.
        }
    }
}
