using System.IO.Pipelines;
using System.Net.Sockets;
using System.Net.WebSockets;

namespace SmcDr.Core.Kubernetes;

/// <summary>
/// Several streams over one connection into a pod. Who does not read a channel holds up the others as well, since there is one connection: that is what
/// keeps memory bounded.
/// </summary>
internal abstract class PodChannels : IAsyncDisposable
{
    /// <summary>What a message carries at most. Go's server makes an array for each, and takes 32 MB at most.</summary>
    public const int MaximumPayload = 64 << 10;

    private static readonly PipeOptions s_pipeOptions = new(
        pauseWriterThreshold: 1 << 20, resumeWriterThreshold: 512 << 10, minimumSegmentSize: 64 << 10, useSynchronizationContext: false);

    private readonly Pipe?[] _pipes = new Pipe?[16];
    private readonly Action<ReadOnlyMemory<byte>>?[] _handlers = new Action<ReadOnlyMemory<byte>>?[16];
    private readonly byte[] _scratch = new byte[MaximumPayload];
    private readonly CancellationTokenSource _stop = new();
    private Task _receiving = Task.CompletedTask;

    /// <summary>The protocol that was agreed on.</summary>
    public abstract string Protocol { get; }

    /// <summary>Whether one channel can be closed while the others go on.</summary>
    public abstract bool CanCloseChannels { get; }

    /// <summary>
    /// Whether the command's status is the last of what it says. Otherwise only the other side's farewell says that all of it has arrived.
    /// </summary>
    public abstract bool IsStatusLast { get; }

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
    public abstract ValueTask SendAsync(int channel, ReadOnlyMemory<byte> data, CancellationToken cancellationToken);

    /// <summary>Tells the other side that nothing more comes on a channel.</summary>
    public abstract ValueTask CloseChannelAsync(int channel, CancellationToken cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        Abort();
        // A reader that has gone must not keep the receiving from ending.
        foreach (Pipe? pipe in _pipes)
        {
            pipe?.Writer.CancelPendingFlush();
        }

        await _receiving.ConfigureAwait(false);
        Close();
        _stop.Dispose();
    }

    /// <summary>Receives until the end of the connection.</summary>
    /// <returns>Whether the other side said farewell.</returns>
    protected abstract Task<bool> ReceiveAllAsync(CancellationToken cancellationToken);

    /// <summary>Breaks the connection off, whatever is under way.</summary>
    protected abstract void Abort();

    /// <summary>Lets go of what is left of it.</summary>
    protected abstract void Close();

    /// <summary>Answers the other side's farewell.</summary>
    protected virtual Task SayFarewellAsync() => Task.CompletedTask;

    /// <summary>Where the next bytes of a channel go, so that they need not be copied.</summary>
    protected Memory<byte> SpaceFor(int channel, int size) =>
        channel < _pipes.Length && _pipes[channel] is { } pipe ? pipe.Writer.GetMemory(size) : _scratch;

    /// <summary>Takes bytes that were received into <see cref="SpaceFor"/>.</summary>
    protected async ValueTask TakeAsync(int channel, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        if (channel >= _pipes.Length)
        {
            return;
        }

        if (_pipes[channel] is not { } pipe)
        {
            _handlers[channel]?.Invoke(data);
            return;
        }

        pipe.Writer.Advance(data.Length);
        FlushResult flushed = await pipe.Writer.FlushAsync(cancellationToken).ConfigureAwait(false);
        if (flushed.IsCompleted && !cancellationToken.IsCancellationRequested)
        {
            // Nobody reads it any more: the rest of this channel is passed over, the others go on.
            await pipe.Writer.CompleteAsync().ConfigureAwait(false);
            _pipes[channel] = null;
        }
    }

    private async Task ReceiveAsync(Func<bool, Exception?, Exception?> ended)
    {
        bool isFarewell = false;
        Exception? failure = null;
        try
        {
            isFarewell = await ReceiveAllAsync(_stop.Token).ConfigureAwait(false);
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
}
