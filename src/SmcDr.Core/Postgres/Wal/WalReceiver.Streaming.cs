using System.Diagnostics;
using System.Net.Sockets;
using Npgsql;
using Npgsql.Replication;
using NpgsqlTypes;

namespace SmcDr.Core.Postgres.Wal;

/// <content>Reading from the server and writing to the repository.</content>
public sealed partial class WalReceiver
{
    // A busy server sends a message for each commit, and each that is read alone costs a turn of several threads, which the server on the same
    // machine lacks. So what has come is read together, now and then.
    private static readonly TimeSpan s_gatheringTime = TimeSpan.FromMilliseconds(50);

    // While more comes all the time, commits that wait for what has come are not kept waiting longer.
    private static readonly TimeSpan s_synchronousInterval = TimeSpan.FromMilliseconds(20);

    private async Task StreamAsync(PhysicalReplicationConnection connection, Session session, CancellationToken cancellationToken)
    {
        WalStreamWriter writer = await WalStreamWriter.OpenAsync(
            session.Archive,
            session.Catalog,
            session.History,
            WalSegmentName.Containing(session.Start, session.Timeline, session.SegmentSize),
            session.SegmentSize,
            session.ServerVersion,
            _observer,
            cancellationToken).ConfigureAwait(false);
        _observer.Verbose($"WAL is streamed from {session.Start} on timeline {session.Timeline} by the slot '{session.Slot.Name}'.");

        using WalInbox inbox = new();
        connection.WalReceiverStatusInterval = _options.StatusInterval;

        // Stopping ends the reading at once and the writing only when all that was read is durable; a failed writer ends the reading.
        using CancellationTokenSource writing = new();
        using CancellationTokenSource reading = CancellationTokenSource.CreateLinkedTokenSource(
            cancellationToken, _claim?.Lost ?? CancellationToken.None, _spill?.Failed ?? CancellationToken.None);
        using CancellationTokenRegistration stop = cancellationToken.Register(() => writing.CancelAfter(_options.StopTimeout));
        Task write = WriteAsync(connection, writer, session, inbox, reading, writing.Token);
        using CancellationTokenSource replication = new();
        int server = connection.ProcessID;
        IAsyncEnumerator<XLogDataMessage> messages = connection
            .StartReplication(session.Slot, new NpgsqlLogSequenceNumber(session.Start.Value), replication.Token, session.Timeline)
            .GetAsyncEnumerator(CancellationToken.None);
        Task<bool> next = Task.FromResult(false);
        SetStream(new StreamPositions(connection, session.Timeline, session.Slot.Name, session.Start));
        Task watch = Task.WhenAll(WatchAsync(writing.Token), WatchFenceAsync(reading, writing.Token));
        try
        {
            Lsn expected = session.Start;
            Lsn? limit = session.History.SwitchPoint(session.Timeline);
            TimeSpan gathering = TimeSpan.FromTicks(Math.Min(s_gatheringTime.Ticks, _options.FlushInterval.Ticks / 10));
            Report("Streaming", null);
            while (limit is null || expected < limit)
            {
                next = messages.MoveNextAsync().AsTask();
                bool isAll = !next.IsCompleted;
                if (!await next.WaitAsync(reading.Token).ConfigureAwait(false))
                {
                    break;
                }

                expected = await ReceiveAsync(messages.Current, expected, limit, inbox, reading.Token).ConfigureAwait(false);
                if (isAll && !_options.Synchronous)
                {
                    await Task.Delay(gathering, reading.Token).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException) when (reading.IsCancellationRequested)
        {
            // Stopped, or the writer failed: it tells below.
        }
        catch (NullReferenceException e) when (next.IsFaulted)
        {
            // A status that cannot be sent breaks the connection under the read, which then fails like this (NpgsqlConnector.Break).
            throw new NpgsqlException("The connection broke.", e);
        }
        finally
        {
            inbox.Complete();
            try
            {
                await write.ConfigureAwait(false);
            }
            finally
            {
                await ReplicationEnd
                    .RunAsync(messages, next, replication, () => DisconnectAsync(server), ReplicationEnd.Patience).ConfigureAwait(false);
                await writing.CancelAsync().ConfigureAwait(false);
                await watch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                SetStream(null);
                _delay.Disconnected();
            }
        }

        _fence?.ThrowIfClosed();
        _claim?.ThrowIfLost();
        _spill?.ThrowIfFailed();
    }

    private void SetStream(StreamPositions? stream)
    {
        lock (_lock)
        {
            _stream = stream;
        }
    }

    /// <summary>Tells now and then how it stands, and asks how the slot is: a stream that makes no progress has the most to tell.</summary>
    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        NpgsqlConnection? sql = null;
        TimeSpan reported = _delay.Value;
        long asked = Stopwatch.GetTimestamp();
        try
        {
            while (true)
            {
                await Task.Delay(_options.StatusInterval, cancellationToken).ConfigureAwait(false);
                if (_slotWatch is { } watch && _options.Slot is not null && Stopwatch.GetElapsedTime(asked) >= _options.SlotCheckInterval)
                {
                    asked = Stopwatch.GetTimestamp();
                    try
                    {
                        sql ??= await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
                        await watch.CheckAsync(sql, cancellationToken).ConfigureAwait(false);
                        ReportAgain();
                    }
                    catch (Exception e) when (e is SmcException or NpgsqlException or SocketException or IOException or TimeoutException)
                    {
                        _observer.Verbose($"The server cannot be asked how the slot is: {e.Message}");
                        await CloseAsync().ConfigureAwait(false);
                    }
                }
                else if (_delay.Value != reported)
                {
                    reported = _delay.Value;
                    ReportAgain();
                }
            }
        }
        finally
        {
            await CloseAsync().ConfigureAwait(false);
        }

        async Task CloseAsync()
        {
            if (sql is not null)
            {
                await sql.DisposeAsync().ConfigureAwait(false);
                sql = null;
            }
        }
    }

    private async Task<Lsn> ReceiveAsync(
        XLogDataMessage message, Lsn expected, Lsn? limit, WalInbox inbox, CancellationToken cancellationToken)
    {
        Lsn start = new((ulong)message.WalStart);
        if (start != expected)
        {
            throw new SmcException(
                SmcErrorCode.WalGap, $"PostgreSQL at {_connector.Display} sent WAL from {start} on, and {expected} was to follow.", target: _connector.Display);
        }

        int length = checked((int)message.Data.Length);
        await message.Data.ReadExactlyAsync(inbox.GetRoom(length), CancellationToken.None).ConfigureAwait(false);
        int used = limit is { } end ? (int)Math.Min(length, end - start) : length;
        Lsn received = start + (uint)used;
        Lsn known = limit is null && new Lsn((ulong)message.WalEnd) is var serverEnd && serverEnd > received ? serverEnd : received;
        _delay.Known(known);
        lock (_lock)
        {
            _stream?.Received = received;
        }

        // While it catches up, the server's clock is that of transactions which only come later; and a timeline that was left goes on elsewhere.
        bool isAll = limit is null && received == known;
        DateTimeOffset? time = isAll ? new DateTimeOffset(DateTime.SpecifyKind(message.ServerClock, DateTimeKind.Utc)) : null;
        await inbox.AddAsync(used, time, cancellationToken).ConfigureAwait(false);
        Interlocked.Add(ref _receivedBytes, used);
        return received;
    }

    private async Task WriteAsync(
        PhysicalReplicationConnection connection,
        WalStreamWriter writer,
        Session session,
        WalInbox inbox,
        CancellationTokenSource reading,
        CancellationToken cancellationToken)
    {
        try
        {
            await WriteAsync(connection, writer, session, inbox, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (cancellationToken.IsCancellationRequested)
        {
            throw new SmcException(
                SmcErrorCode.OperationTimedOut,
                $"The last WAL that was received could not be stored within {_options.StopTimeout}; the server still has it.",
                e,
                target: _repository.Location);
        }
        catch
        {
            await reading.CancelAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async Task WriteAsync(
        PhysicalReplicationConnection connection, WalStreamWriter writer, Session session, WalInbox inbox, CancellationToken cancellationToken)
    {
        Lsn reported = writer.FlushedLsn;
        long segments = 0;
        bool ended = false;
        while (!ended)
        {
            // Commits wait for a synchronous stream: what has come is stored together as soon as nothing more is there.
            TimeSpan? patience = writer.Waiting is not { } waiting ? null : _options.Synchronous ? TimeSpan.Zero : _options.FlushInterval - waiting;
            WalInbox.Batch batch = await inbox.TakeAsync(patience, cancellationToken).ConfigureAwait(false);
            long left = batch.Bytes.Length;
            foreach (ReadOnlyMemory<byte> bytes in batch.Bytes)
            {
                left -= bytes.Length;
                // The server's clock says something of the last byte: a segment that is complete before must not have it.
                await writer.AppendAsync(bytes, batch.Arrived, left == 0 ? batch.ServerTime : null, cancellationToken).ConfigureAwait(false);
            }

            bool isAll = batch.Bytes.IsEmpty;
            ended = batch.IsLast;
            inbox.Release(batch);
            if (ended || writer.Waiting >= (_options.Synchronous ? s_synchronousInterval : _options.FlushInterval) || (_options.Synchronous && isAll))
            {
                await writer.FlushAsync(cancellationToken).ConfigureAwait(false);
            }

            if (writer.FlushedLsn > reported || writer.SegmentCount > segments)
            {
                await AcknowledgeAsync(connection, writer, session, segments).ConfigureAwait(false);
                (reported, segments) = (writer.FlushedLsn, writer.SegmentCount);
            }
        }
    }

    /// <summary>Tells the server that everything up to the writer's position is durable, and waiters and observer what of it is in the repository.</summary>
    private async Task AcknowledgeAsync(PhysicalReplicationConnection connection, WalStreamWriter writer, Session session, long segments)
    {
        Lsn flushed = writer.FlushedLsn;
        (_position, _skipsGap) = ((session.Timeline, flushed), false);
        _segments += writer.SegmentCount - segments;
        lock (_lock)
        {
            _durable = flushed;
        }

        Advance();
        Report("Streaming", null);
        connection.SetReplicationStatus(new NpgsqlLogSequenceNumber(flushed.Value));
        try
        {
            // At once, and not with the next periodic one: commits of a synchronous standby and a server that shuts down wait for it.
            await connection.SendStatusUpdate(CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is InvalidOperationException or NpgsqlException or NullReferenceException)
        {
            // The connection is ending, and the reading side says why. Npgsql resets a timer then that the sending of a status expects
            // (ReplicationConnection.SendFeedback).
        }
    }

    /// <summary>Notes up to where WAL is in the repository, and tells who waits for it.</summary>
    private void Advance()
    {
        List<TaskCompletionSource> reached = [];
        lock (_lock)
        {
            if (_segmentSize == 0)
            {
                return;
            }

            Lsn stored = _spill?.FindStored(_durable, _segmentSize) ?? _durable;
            _stream?.Flushed = stored > _stream.Flushed ? stored : _stream.Flushed;
            _delay.Flushed(stored);
            _flushed = stored > _flushed ? stored : _flushed;
            reached.AddRange(_waiters.Where(waiter => waiter.Lsn <= _flushed).Select(static waiter => waiter.Completion));
        }

        foreach (TaskCompletionSource completion in reached)
        {
            completion.TrySetResult();
        }
    }

    /// <summary>Has the server end a session. A role may do that with its own.</summary>
    private async Task DisconnectAsync(int processId)
    {
        try
        {
            using CancellationTokenSource limit = new(ReplicationEnd.Patience);
            NpgsqlConnection sql = await _connector.OpenAsync(limit.Token).ConfigureAwait(false);
            await using (sql.ConfigureAwait(false))
            {
                using NpgsqlCommand command = NewCommand(sql);
                command.CommandText = "SELECT pg_catalog.pg_terminate_backend($1)";
                command.Parameters.Add(new NpgsqlParameter { Value = processId });
                await command.ExecuteNonQueryAsync(limit.Token).ConfigureAwait(false);
                _observer.Verbose($"The session {processId} of the stream did not end by itself, and the server was asked to end it.");
            }
        }
        catch (Exception e) when (e is SmcException or NpgsqlException or SocketException or IOException or TimeoutException or OperationCanceledException)
        {
            _observer.Verbose($"The session {processId} of the stream does not end, and the server cannot be asked to end it: {e.Message}");
        }
    }
}
