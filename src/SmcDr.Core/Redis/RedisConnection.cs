using System.Globalization;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Text;

namespace SmcDr.Core.Redis;

/// <summary>
/// A connection to a Redis server. Commands may be written and replies read at the same time, by one of each; nothing else is safe for
/// concurrent use. After a timeout, a cancellation or a break it is of no further use, since it is not known which reply comes next.
/// </summary>
internal sealed class RedisConnection : IAsyncDisposable
{
    private const int BufferSize = 128 << 10;

    /// <summary>
    /// A server hands on what its child makes in pieces of 16 KiB (replication.c, rdbPipeReadHandler). To be woken for each costs several times what
    /// its bytes do, and that of a processor which the server needs, too, where both are on one machine.
    /// </summary>
    private const int GatheredSize = 128 << 10;

    /// <summary>
    /// Below it the system wakes nobody (tcp(7), SO_RCVLOWAT): .NET's sockets are otherwise woken for every piece also while nobody reads. The system makes
    /// its buffer twice as large for it, which is what arrives in one <see cref="s_gathering"/> from a fast network.
    /// </summary>
    private const int LowWater = 1 << 20;

    private static readonly TimeSpan s_gathering = TimeSpan.FromMilliseconds(5);

    private readonly Stream _stream;
    private readonly RedisConnector _connector;
    private readonly PipeReader _input;
    private readonly PipeWriter _output;
    private readonly RespReader _reader;
    private readonly Dictionary<string, byte[]> _names = new(StringComparer.Ordinal);
    private bool _broken;
    private bool _isTrickling;
    private bool _isSilenced;

    public RedisConnection(Stream stream, RedisConnector connector)
    {
        _stream = stream;
        _connector = connector;
        _input = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: BufferSize, minimumReadSize: BufferSize / 4, leaveOpen: true));
        _output = PipeWriter.Create(stream, new StreamPipeWriterOptions(minimumBufferSize: BufferSize / 2, leaveOpen: true));
        _reader = new RespReader(_input);
    }

    /// <summary>Host and port for messages.</summary>
    public string Display => _connector.Display;

    public RedisConnector Connector => _connector;

    /// <summary>Whether a command was not taken away by <c>rename-command</c>, as far as the settings say.</summary>
    public bool Knows(string command) => NameOf(command).Length > 0;

    /// <summary>Runs a command.</summary>
    /// <exception cref="SmcException">The server answered with an error, or not in time, or not at all.</exception>
    public async Task<RedisReply> ExecuteAsync(RedisCommand command, CancellationToken cancellationToken)
    {
        RedisReply reply = await TryExecuteAsync(command, cancellationToken).ConfigureAwait(false);
        return reply.IsError ? throw Translate(reply, command.Name) : reply;
    }

    /// <summary>Runs a command; the reply may be an error.</summary>
    /// <exception cref="SmcException">The server answered not in time, or not at all.</exception>
    public async Task<RedisReply> TryExecuteAsync(RedisCommand command, CancellationToken cancellationToken)
    {
        Write(command);
        await FlushAsync(cancellationToken).ConfigureAwait(false);
        return await ReadReplyAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Runs commands at once and returns their replies in order, errors among them.</summary>
    /// <remarks>All are in memory together: for as many as a batch has.</remarks>
    public async Task<RedisReply[]> ExecuteManyAsync(IReadOnlyList<RedisCommand> commands, CancellationToken cancellationToken)
    {
        foreach (RedisCommand command in commands)
        {
            Write(command);
        }

        // A server stops reading when nobody takes its replies, so they are read meanwhile.
        Task flush = FlushAsync(cancellationToken).AsTask();
        RedisReply[] replies = new RedisReply[commands.Count];
        try
        {
            for (int i = 0; i < replies.Length; i++)
            {
                replies[i] = await ReadReplyAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            await flush.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await flush.ConfigureAwait(false);
        return replies;
    }

    /// <summary>Adds a command to what <see cref="FlushAsync"/> sends.</summary>
    /// <exception cref="SmcException">The command was taken away by <c>rename-command</c>.</exception>
    public void Write(RedisCommand command)
    {
        RespWriter.WriteArrayHeader(_output, command.Arguments.Count + 1);
        RespWriter.WriteBulk(_output, GetName(command.Name));
        foreach (RedisArgument argument in command.Arguments)
        {
            RespWriter.WriteBulk(_output, argument.Bytes.Span);
        }
    }

    /// <summary>What the server calls a command.</summary>
    /// <exception cref="SmcException">The command was taken away by <c>rename-command</c>.</exception>
    public ReadOnlySpan<byte> GetName(string command)
    {
        byte[] name = NameOf(command);
        return name.Length > 0 ? name : throw new SmcException(
            SmcErrorCode.SettingUnsuitable,
            $"Redis at {Display} has no command {command}: the settings say that rename-command took it away.",
            recommendation: "Give the command a name of its own on the server, and name it in the settings.",
            target: Display);
    }

    /// <summary>Sends commands that are in the protocol's form already, while nothing is written that was not sent.</summary>
    public async ValueTask SendAsync(ReadOnlyMemory<byte> commands, CancellationToken cancellationToken) =>
        await LimitAsync(
            async token =>
            {
                await _stream.WriteAsync(commands, token).ConfigureAwait(false);
                return true;
            },
            _connector.Options.CommandTimeout,
            "taken a command",
            cancellationToken).ConfigureAwait(false);

    /// <summary>Sends what was written.</summary>
    public async ValueTask FlushAsync(CancellationToken cancellationToken) =>
        await LimitAsync(_output.FlushAsync, _connector.Options.CommandTimeout, "taken a command", cancellationToken).ConfigureAwait(false);

    /// <summary>Reads the next reply; messages that nobody asked for are passed over.</summary>
    public async ValueTask<RedisReply> ReadReplyAsync(CancellationToken cancellationToken)
    {
        if (!_broken && _reader.TryReadOk())
        {
            return RedisReply.FromStatus("OK"u8);
        }

        while (true)
        {
            RedisReply reply = await LimitAsync(
                _reader.ReadReplyAsync, _connector.Options.CommandTimeout, "answered", cancellationToken).ConfigureAwait(false);
            if (reply.Kind != RedisReplyKind.Push)
            {
                return reply;
            }
        }
    }

    /// <summary>Reads a line of a server that streams, which may take as long as the idle timeout.</summary>
    public ValueTask<byte[]> ReadLineAsync(CancellationToken cancellationToken) =>
        LimitAsync(_reader.ReadLineAsync, _connector.Options.IdleTimeout, "sent anything", cancellationToken);

    /// <summary>Reads bytes of a server that streams; 0 = it closed the connection.</summary>
    public async ValueTask<int> ReadBytesAsync(Memory<byte> destination, CancellationToken cancellationToken)
    {
        if (_reader.TakeBytes(destination.Span) is > 0 and int taken)
        {
            return taken;
        }

        return await LimitAsync(
            token => GatherAsync(destination, token), _connector.Options.IdleTimeout, "sent anything", cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The error for a server's answer.</summary>
    public SmcException Translate(RedisReply error, string command) =>
        RedisErrors.Translate(error, Display, _connector.DisplayUser, command);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _broken = true;
        // Closing first: nothing that still reads or writes is waited for.
        await _stream.DisposeAsync().ConfigureAwait(false);
        await _input.CompleteAsync().ConfigureAwait(false);
        try
        {
            await _output.CompleteAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // What was written and never sent has no more addressee.
        }
    }

    private async ValueTask<int> GatherAsync(Memory<byte> destination, CancellationToken cancellationToken)
    {
        // Of an encrypted stream the socket cannot tell how much of it can be read.
        Socket? socket = (_stream as NetworkStream)?.Socket;
        if (_isTrickling)
        {
            Silence(socket, true);
            await Task.Delay(s_gathering, cancellationToken).ConfigureAwait(false);
        }

        // Whoever waits must be woken also for the few bytes at the end.
        if (_isSilenced && socket!.Available == 0)
        {
            Silence(socket, false);
        }

        int read = await _stream.ReadAsync(destination, cancellationToken).ConfigureAwait(false);
        _isTrickling = read < Math.Min(GatheredSize, destination.Length);
        return read;
    }

    private void Silence(Socket? socket, bool silenced)
    {
        if (socket is null || _isSilenced == silenced || !OperatingSystem.IsLinux())
        {
            return;
        }

        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReceiveLowWater, silenced ? LowWater : 1);
        _isSilenced = silenced;
    }

    private byte[] NameOf(string command)
    {
        if (!_names.TryGetValue(command, out byte[]? name))
        {
            string? renamed = _connector.Options.RenamedCommands
                .Where(pair => pair.Key.Equals(command, StringComparison.OrdinalIgnoreCase)).Select(static pair => pair.Value).FirstOrDefault();
            _names[command] = name = Encoding.UTF8.GetBytes(renamed ?? command);
        }

        return name;
    }

    private async ValueTask<T> LimitAsync<T>(
        Func<CancellationToken, ValueTask<T>> work, TimeSpan limit, string what, CancellationToken cancellationToken)
    {
        if (_broken)
        {
            throw new SmcException(
                SmcErrorCode.ServerUnavailable, $"The connection to Redis at {Display} is closed.", target: Display);
        }

        using CancellationTokenSource timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timer.CancelAfter(limit);
        bool done = false;
        try
        {
            T result = await work(timer.Token).ConfigureAwait(false);
            done = true;
            return result;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SmcException(
                SmcErrorCode.OperationTimedOut,
                string.Create(CultureInfo.InvariantCulture, $"Redis at {Display} has not {what} within {limit.TotalSeconds:0.#} seconds."),
                recommendation: "Look at what the server does (INFO, SLOWLOG GET, its log) and at the network between, then run the command again.",
                target: Display);
        }
        catch (Exception e) when (e is IOException or InvalidDataException or SocketException or ObjectDisposedException)
        {
            throw _connector.Broken(e);
        }
        finally
        {
            _broken |= !done;
        }
    }
}
