using System.Globalization;
using System.Text;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Redis;

/// <summary>
/// A connection on which a server takes us for a replica that knows nothing, and so sends all it has. Nothing is written on the server,
/// unless it is one that goes through a file.
/// </summary>
internal sealed class RedisReplication : IAsyncDisposable
{
    private static readonly TimeSpan s_acknowledgeEvery = TimeSpan.FromSeconds(1);

    private readonly RedisConnection _connection;
    private readonly CancellationTokenSource _stop = new();
    private Task _acknowledging = Task.CompletedTask;
    private string? _header;

    private RedisReplication(RedisConnection connection) => _connection = connection;

    /// <summary>The id of the history of changes that the data is part of; null where the server did not say.</summary>
    public string? ReplicationId { get; private set; }

    /// <summary>Up to where in that history the data goes; null where the server did not say.</summary>
    public long? Offset { get; private set; }

    /// <summary>Whether the server knows that nothing but the data is wanted (Redis 7). Others begin to send changes after it.</summary>
    public bool IsRdbOnly { get; private set; }

    /// <summary>When the server had begun, by this machine's clock.</summary>
    public DateTimeOffset BeginTime { get; private set; }

    /// <summary>The length of the data, where the server states it. Set by <see cref="ReadPayloadAsync"/>.</summary>
    public long? Length { get; private set; }

    /// <summary>Connects and asks for everything; returns when the server has begun to make it.</summary>
    /// <exception cref="SmcException">The server refuses, or cannot.</exception>
    public static async Task<RedisReplication> OpenAsync(
        RedisConnector connector, IOperationObserver observer, CancellationToken cancellationToken)
    {
        // Replication is RESP2's: what follows PSYNC is no reply at all.
        RedisReplication replication = new(await connector.OpenAsync(resp3: false, cancellationToken).ConfigureAwait(false));
        try
        {
            await replication.BeginAsync(observer, cancellationToken).ConfigureAwait(false);
            return replication;
        }
        catch
        {
            await replication.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Waits until the data comes. A server that writes a file first sends empty lines until it is done.</summary>
    public async Task<RdbPayload> ReadPayloadAsync(CancellationToken cancellationToken)
    {
        string line;
        try
        {
            line = _header ?? await ReadAnswerAsync(cancellationToken).ConfigureAwait(false);
            await StopAcknowledgingAsync().ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code is SmcErrorCode.ServerUnavailable or SmcErrorCode.OperationTimedOut)
        {
            throw Interrupted(e);
        }

        if (line.StartsWith("$EOF:", StringComparison.Ordinal) && line.Length == "$EOF:".Length + RdbPayload.MarkLength)
        {
            return new RdbPayload(Encoding.ASCII.GetBytes(line["$EOF:".Length..]), _connection.ReadBytesAsync, Interrupted);
        }

        if (line.StartsWith('$') &&
            long.TryParse(line.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out long length) && length > 0)
        {
            Length = length;
            return new RdbPayload(length, _connection.ReadBytesAsync, Interrupted);
        }

        throw Unexpected(line);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        // The server sees the end of the connection, and ends the child that makes the data if that was for us alone.
        await _connection.DisposeAsync().ConfigureAwait(false);
        await StopAcknowledgingAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task StopAcknowledgingAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _acknowledging.ConfigureAwait(false);
    }

    private async Task BeginAsync(IOperationObserver observer, CancellationToken cancellationToken)
    {
        // Without "eof" the server writes a file first; without "psync2" it is a history from before Redis 4 that we would speak.
        RedisReply capabilities = await _connection
            .TryExecuteAsync(new RedisCommand("REPLCONF", "capa", "eof", "capa", "psync2"), cancellationToken).ConfigureAwait(false);
        if (capabilities.IsError)
        {
            throw Refused(capabilities, "REPLCONF");
        }

        // Redis 7: the server then does not keep changes for us while it sends, which could otherwise cost it memory.
        RedisReply only = await _connection
            .TryExecuteAsync(new RedisCommand("REPLCONF", "rdb-only", 1), cancellationToken).ConfigureAwait(false);
        IsRdbOnly = only.IsOk;

        _connection.Write(new RedisCommand("PSYNC", "?", -1));
        await _connection.FlushAsync(cancellationToken).ConfigureAwait(false);
        observer.Verbose(
            $"Redis at {_connection.Display} was asked for all its data{(IsRdbOnly ? "" : "; it does not know rdb-only, so it also keeps changes until the end")}.");
        string answer = await ReadAnswerAsync(cancellationToken).ConfigureAwait(false);
        BeginTime = DateTimeOffset.UtcNow;
        if (answer.StartsWith('$'))
        {
            // A server whose PSYNC has another name takes it for SYNC, the command of old, which answers with the data alone: it looks at
            // the name that was sent (replication.c, syncCommand).
            observer.Verbose($"Redis at {_connection.Display} does not say where in its history the data stands.");
            _header = answer;
            return;
        }

        if (answer.Split(' ') is not ["+FULLRESYNC", { Length: RdbPayload.MarkLength } id, string number] ||
            !long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out long offset))
        {
            throw Unexpected(answer);
        }

        (ReplicationId, Offset) = (id, offset);
        _acknowledging = AcknowledgeAsync(offset);
    }

    /// <summary>The next line that says something: a master that prepares data sends an empty one each second.</summary>
    private async Task<string> ReadAnswerAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            byte[] line = await _connection.ReadLineAsync(cancellationToken).ConfigureAwait(false);
            switch (line)
            {
                case []:
                    continue;
                case [(byte)'-', ..]:
                    throw Refused(RedisReply.FromError(line[1..]), "PSYNC");
                default:
                    return Encoding.ASCII.GetString(line);
            }
        }
    }

    /// <summary>
    /// Says that we live while the server prepares, so that nothing between takes the connection for dead. Not while the data comes: a server
    /// that knows rdb-only closes the connection behind it, and closing while something that we sent is unread throws away what is still to be
    /// sent (RFC 2525, 2.17).
    /// </summary>
    private async Task AcknowledgeAsync(long offset)
    {
        using PeriodicTimer timer = new(s_acknowledgeEvery);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false))
            {
                _connection.Write(new RedisCommand("REPLCONF", "ACK", offset));
                // Not to be cancelled: a flush that was leaves a connection of which nothing more is read.
                await _connection.FlushAsync(CancellationToken.None).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is SmcException or OperationCanceledException or InvalidOperationException or ObjectDisposedException)
        {
            // Whoever reads sees the broken connection, too, and says so.
        }
    }

    private SmcException Refused(RedisReply error, string command)
    {
        if (error.Text.Contains("BGSAVE failed", StringComparison.OrdinalIgnoreCase))
        {
            return new SmcException(
                SmcErrorCode.BackupInterrupted,
                $"Redis at {_connection.Display} could not begin to make its data: {RedisErrors.Clean(error.Text)}.",
                recommendation: "Read the server's log. Most often the host refuses a second process as large as the server: set vm.overcommit_memory = 1 there.",
                target: _connection.Display);
        }

        SmcException translated = _connection.Translate(error, command);
        return RedisErrors.IsUnknown(error)
            ? new SmcException(
                translated.Code,
                translated.Message,
                translated,
                $"Where rename-command gave {command} another name, name it in the settings. A managed service that does not offer replication is backed up with the method BgSave, or by its own snapshots.",
                _connection.Display)
            : translated;
    }

    private SmcException Unexpected(string line) => new(
        SmcErrorCode.ServerUnavailable,
        $"Redis at {_connection.Display} answers PSYNC with something that is not known here: '{RedisErrors.Clean(line)}'.",
        recommendation: "Check that host and port are those of the Redis server itself and not of a proxy before it.",
        target: _connection.Display);

    private SmcException Interrupted(Exception? reason) => new(
        SmcErrorCode.BackupInterrupted,
        $"Redis at {_connection.Display} ended the transfer of its data before it was complete{(reason is null ? "." : ": " + reason.Message)}",
        reason,
        "Run the backup again. If it stays, read the server's log: a replica that is too slow for client-output-buffer-limit or repl-timeout is cut off, " +
        "and a child process may have run out of memory.",
        _connection.Display);
}
