using System.Diagnostics;
using System.Globalization;
using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Redis.Restore;

/// <summary>
/// One connection that writes keys to a server. It sends the next batch while the answers to the last one come, and when the connection breaks it
/// connects again and sends what was not answered: RESTORE with REPLACE may be done twice.
/// </summary>
internal sealed class RestoreLane(RestoreRun run, RestoreNode node) : IAsyncDisposable
{
    private const int MaximumLargeFailures = 3;
    private static readonly TimeSpan s_firstDelay = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_longestDelay = TimeSpan.FromSeconds(2);

    /// <summary>Sent and not yet answered: two at most, of one database.</summary>
    private readonly Queue<RestoreBatch> _outstanding = new();
    private readonly List<(int Index, RedisReply Reply)> _later = [];
    private readonly Dictionary<string, RedisConnection> _side = new(StringComparer.Ordinal);
    private RedisConnection? _connection;
    private RestoreItem? _next;
    private int _database;
    private long? _brokenSince;
    private int _largeFailures;

    /// <summary>Works until there is nothing more, or the run ends. Never throws: what goes wrong ends the run.</summary>
    public async Task RunAsync()
    {
        try
        {
            while (await StepAsync().ConfigureAwait(false))
            {
            }
        }
        catch (OperationCanceledException)
        {
            // The run has ended, and what was to be read of it was.
        }
        catch (Exception e)
        {
            run.Fail(e);
        }
        finally
        {
            foreach (RestoreBatch batch in _outstanding)
            {
                run.Tally.AddRestored(node, batch.Database, batch.TakenKeys, batch.TakenBytes);
                run.Tally.AddUnanswered(batch.Count - batch.Answered);
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await CloseAsync().ConfigureAwait(false);
        foreach (RedisConnection connection in _side.Values)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Sends or reads one thing. False when there is nothing more to do.</summary>
    private async Task<bool> StepAsync()
    {
        if (_next is null && !run.IsStopping)
        {
            node.Queue.Reader.TryRead(out _next);
        }

        if (_next is null && _outstanding.Count == 0)
        {
            return !run.IsStopping && await node.Queue.Reader.WaitToReadAsync(run.StopToken).ConfigureAwait(false);
        }

        try
        {
            _connection ??= await OpenAsync().ConfigureAwait(false);
            if (_next is null || run.IsStopping || (_outstanding.Count > 0 && (_next is LargeValue || _next.Database != _database)))
            {
                _next = run.IsStopping ? null : _next;
                if (_outstanding.Count > 0)
                {
                    await FinishAsync().ConfigureAwait(false);
                }
            }
            else
            {
                await SendNextAsync().ConfigureAwait(false);
            }
        }
        catch (SmcException e) when (IsBreak(e))
        {
            await CloseAsync().ConfigureAwait(false);
            await RecoverAsync(e).ConfigureAwait(false);
        }

        return true;
    }

    private async Task SendNextAsync()
    {
        if (_next!.Database != _database)
        {
            await _connection!.ExecuteAsync(new RedisCommand("SELECT", _next.Database), run.HardToken).ConfigureAwait(false);
            _database = _next.Database;
        }

        if (_next is LargeValue large)
        {
            await SendLargeAsync(large).ConfigureAwait(false);
            _next = null;
            return;
        }

        RestoreBatch batch = (RestoreBatch)_next;
        _outstanding.Enqueue(batch);
        _next = null;
        Task send = _connection!.SendAsync(batch.Unanswered, run.HardToken).AsTask();
        try
        {
            if (_outstanding.Count > 1)
            {
                await FinishAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            await send.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await send.ConfigureAwait(false);
    }

    /// <summary>Reads the answers to the batch that was sent first, and is done with it.</summary>
    private async Task FinishAsync()
    {
        RestoreBatch batch = _outstanding.Peek();
        while (batch.Answered < batch.Count)
        {
            RedisReply reply = await _connection!.ReadReplyAsync(run.HardToken).ConfigureAwait(false);
            Judge(batch, batch.Answered, reply);
            batch.Answered++;
            _brokenSince = null;
        }

        foreach ((int index, RedisReply reply) in _later)
        {
            await SendAgainAsync(batch, index, reply).ConfigureAwait(false);
        }

        _later.Clear();
        _outstanding.Dequeue();
        run.Tally.AddRestored(node, batch.Database, batch.TakenKeys, batch.TakenBytes);
        run.Return(batch);
    }

    private void Judge(RestoreBatch batch, int index, RedisReply reply)
    {
        switch (Classify(reply))
        {
            case Verdict.Taken:
                batch.Take(index);
                break;
            case Verdict.Later:
                _later.Add((index, reply));
                break;
            case Verdict.Refused:
                run.Tally.AddFailure(batch.KeyOf(index), batch.Database, Reason(reply, batch.DumpOf(index)));
                break;
            default:
                run.Fail(Fatal(reply));
                break;
        }
    }

    private static Verdict Classify(RedisReply reply)
    {
        if (!reply.IsError)
        {
            return Verdict.Taken;
        }

        switch (RedisErrors.CodeOf(reply))
        {
            case "MOVED" or "ASK" or "TRYAGAIN" or "CLUSTERDOWN" or "NOREPLICAS" or "BUSY":
                return Verdict.Later;
            case "NOPERM" when RedisErrors.IsKeyDenied(reply):
                return Verdict.Refused;
            case "ERR" when !RedisErrors.IsUnknown(reply) && DumpProbe.Read(reply) is not false:
                return Verdict.Refused;
            default:
                return Verdict.Fatal;
        }
    }

    private SmcException Fatal(RedisReply reply) => DumpProbe.Read(reply) is false
        ? new SmcException(
            SmcErrorCode.RdbNewer, $"Redis {node.Info.Version} at {node.Display} does not take dumps of the backup's version.", target: node.Display)
        : RedisErrors.Translate(reply, node.Display, node.Connector.DisplayUser, "RESTORE");

    private string Reason(RedisReply reply, ReadOnlySpan<byte> dump)
    {
        if (DumpProbe.Read(reply) is not true)
        {
            return RedisErrors.Clean(reply.Text);
        }

        RdbEncoding encoding = (RdbEncoding)dump[0];
        if (RdbShapes.TypeOf(encoding) == RdbValueType.Module && RdbModules.ReadType(dump[1..]) is { } type)
        {
            run.Tally.AddMissingModule(type);
            return $"the server has no module that knows values of the type '{type}'";
        }

        return $"the server cannot read a {RdbShapes.TypeOf(encoding)} that is written as {encoding}";
    }

    /// <summary>What another node has, or what this one does not take at this moment, once more.</summary>
    private async Task SendAgainAsync(RestoreBatch batch, int index, RedisReply reply)
    {
        long began = Stopwatch.GetTimestamp();
        while (!run.IsStopping)
        {
            if (Stopwatch.GetElapsedTime(began) >= run.Options.ReconnectTimeout)
            {
                run.Fail(Fatal(reply));
                return;
            }

            RedirectedTo where = RedirectedTo.Read(reply, node.Connector);
            if (where.IsElsewhere)
            {
                run.Target.Move(where);
            }
            else
            {
                await Task.Delay(s_firstDelay, run.StopToken).ConfigureAwait(false);
            }

            try
            {
                reply = await SendElsewhereAsync(where, batch.Database, batch.CommandOf(index)).ConfigureAwait(false);
            }
            catch (SmcException e) when (IsBreak(e))
            {
                await ForgetAsync(where.Connector).ConfigureAwait(false);
                await Task.Delay(s_firstDelay, run.StopToken).ConfigureAwait(false);
                continue;
            }

            if (Classify(reply) != Verdict.Later)
            {
                Judge(batch, index, reply);
                return;
            }
        }

        // Nothing of it is on any server.
    }

    private async Task<RedisReply> SendElsewhereAsync(RedirectedTo where, int database, ReadOnlyMemory<byte> command)
    {
        if (!_side.TryGetValue(where.Connector.Display, out RedisConnection? connection))
        {
            connection = await where.Connector.OpenAsync(run.HardToken).ConfigureAwait(false);
            _side.Add(where.Connector.Display, connection);
        }

        if (where.IsAsk)
        {
            await connection.ExecuteAsync(new RedisCommand("ASKING"), run.HardToken).ConfigureAwait(false);
        }
        else if (!run.Target.IsCluster)
        {
            await connection.ExecuteAsync(new RedisCommand("SELECT", database), run.HardToken).ConfigureAwait(false);
        }

        await connection.SendAsync(command, run.HardToken).ConfigureAwait(false);
        return await connection.ReadReplyAsync(run.HardToken).ConfigureAwait(false);
    }

    private async Task ForgetAsync(RedisConnector connector)
    {
        if (_side.Remove(connector.Display, out RedisConnection? connection))
        {
            await connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task SendLargeAsync(LargeValue value)
    {
        RedisConnection connection = _connection!;
        RedisReply reply = await SendLargeAsync(connection, value).ConfigureAwait(false);
        long began = Stopwatch.GetTimestamp();
        while (Classify(reply) == Verdict.Later && !run.IsStopping)
        {
            if (Stopwatch.GetElapsedTime(began) >= run.Options.ReconnectTimeout)
            {
                run.Fail(Fatal(reply));
                return;
            }

            RedirectedTo where = RedirectedTo.Read(reply, node.Connector);
            if (!where.IsElsewhere)
            {
                await Task.Delay(s_firstDelay, run.StopToken).ConfigureAwait(false);
                reply = await SendLargeAsync(connection, value).ConfigureAwait(false);
                continue;
            }

            run.Target.Move(where);
            RedisConnection other = await where.Connector.OpenAsync(run.HardToken).ConfigureAwait(false);
            await using (other.ConfigureAwait(false))
            {
                if (where.IsAsk)
                {
                    await other.ExecuteAsync(new RedisCommand("ASKING"), run.HardToken).ConfigureAwait(false);
                }

                reply = await SendLargeAsync(other, value).ConfigureAwait(false);
            }
        }

        _brokenSince = null;
        _largeFailures = 0;
        switch (Classify(reply))
        {
            case Verdict.Taken:
                run.Tally.AddRestored(node, value.Database, 1, value.Size);
                break;
            case Verdict.Refused:
                run.Tally.AddFailure(
                    value.Key, value.Database, RedisErrors.IsProtocolError(reply) ? TooLong(value) : Reason(reply, [(byte)value.Encoding]));
                break;
            case Verdict.Fatal:
                run.Fail(Fatal(reply));
                break;
        }
    }

    private async Task<RedisReply> SendLargeAsync(RedisConnection connection, LargeValue value)
    {
        await connection.SendAsync(value.WriteHead(run.Target.Writer), run.HardToken).ConfigureAwait(false);
        await run.ReadAsync(value.Offset, value.Length, connection.SendAsync, run.HardToken).ConfigureAwait(false);
        await connection.SendAsync(value.WriteTail(run.Target.Writer), run.HardToken).ConfigureAwait(false);
        return await connection.ReadReplyAsync(run.HardToken).ConfigureAwait(false);
    }

    private async Task<RedisConnection> OpenAsync()
    {
        _database = 0;
        return await node.Connector.OpenAsync(run.HardToken).ConfigureAwait(false);
    }

    private static string TooLong(LargeValue value) => string.Create(
        CultureInfo.InvariantCulture,
        $"the server closes the connection at a value of {value.Length:N0} bytes; see its log, and raise proto-max-bulk-len and " +
            $"client-query-buffer-limit where they are below that");

    /// <summary>Connects again and sends what was not answered.</summary>
    private async Task RecoverAsync(SmcException reason)
    {
        if (_next is LargeValue large && ++_largeFailures >= MaximumLargeFailures)
        {
            run.Tally.AddFailure(large.Key, large.Database, TooLong(large));
            _next = null;
            _largeFailures = 0;
        }

        // Between breaks without an answer no time is won.
        _brokenSince = _outstanding.Count == 0 && _next is not LargeValue ? Stopwatch.GetTimestamp() : _brokenSince ?? Stopwatch.GetTimestamp();
        TimeSpan delay = s_firstDelay;
        while (true)
        {
            if (run.IsStopping || Stopwatch.GetElapsedTime(_brokenSince.Value) >= run.Options.ReconnectTimeout)
            {
                throw reason;
            }

            run.Observer.Verbose($"The connection to Redis at {node.Display} broke and is made again: {reason.Message}");
            try
            {
                _connection = await OpenAsync().ConfigureAwait(false);
                await EnsureSameServerAsync().ConfigureAwait(false);
                if (_outstanding.TryPeek(out RestoreBatch? first) && first.Database != 0)
                {
                    await _connection.ExecuteAsync(new RedisCommand("SELECT", first.Database), run.HardToken).ConfigureAwait(false);
                    _database = first.Database;
                }

                foreach (RestoreBatch batch in _outstanding)
                {
                    await _connection.SendAsync(batch.Unanswered, run.HardToken).ConfigureAwait(false);
                }

                return;
            }
            catch (SmcException e) when (IsBreak(e))
            {
                reason = e;
                await CloseAsync().ConfigureAwait(false);
            }

            await Task.Delay(delay, run.StopToken).ConfigureAwait(false);
            delay = delay * 2 < s_longestDelay ? delay * 2 : s_longestDelay;
        }
    }

    /// <summary>A server that was started again, or is a replica now, may have lost what was written to it before.</summary>
    private async Task EnsureSameServerAsync()
    {
        RedisInfo info = await RedisSource.ReadInfoAsync(_connection!, run.HardToken).ConfigureAwait(false);
        string? change = info.RunId != node.Info.RunId ? "was started again" : !info.IsMaster ? "has become a replica" : null;
        if (change is not null)
        {
            throw new SmcException(
                SmcErrorCode.RestoreInterrupted,
                $"Redis at {node.Display} {change} in the middle of the restore, and may have lost what it had been given.",
                target: node.Display);
        }
    }

    private async ValueTask CloseAsync()
    {
        if (_connection is { } connection)
        {
            _connection = null;
            await connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static bool IsBreak(SmcException e) => e.Code is SmcErrorCode.ServerUnavailable or SmcErrorCode.OperationTimedOut;

    private enum Verdict
    {
        Taken,
        /// <summary>To be sent again, here or elsewhere.</summary>
        Later,
        /// <summary>This key is not taken; others may be.</summary>
        Refused,
        /// <summary>Nothing more will be taken.</summary>
        Fatal,
    }
}
