using System.Buffers;
using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using System.Threading.Channels;
using Npgsql;
using Npgsql.Replication;
using NpgsqlTypes;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>
/// Receives a server's WAL by streaming replication and archives it: what is committed is in the repository within the flush interval.
/// </summary>
/// <remarks>
/// One task reads from the server and never waits for the repository longer than the queue between them lasts; another writes. The
/// server is told of a position only when everything before it is durable, so a slot never lets go of WAL that could still be lost. Every
/// connection begins at the beginning of a segment and compares what comes again with what is archived: stopping the receiver in any way
/// leaves nothing to repair.
/// </remarks>
public sealed partial class WalReceiver
{
    // walsender.c sends at most 16 blocks at a time, so this is at most 8 MiB.
    private const int QueueLength = 64;
    private const int MaximumHistoryLength = 1 << 20;

    private readonly PostgresConnector _connector;
    private readonly Repository _repository;
    private readonly WalReceiverOptions _options;
    private readonly IOperationObserver _observer;
    private readonly Lock _lock = new();
    private readonly List<(Lsn Lsn, TaskCompletionSource Completion)> _waiters = [];
    private WalStreamStatus _status = new() { State = "Stopped", Time = DateTimeOffset.UtcNow };
    private IProgress<WalStreamStatus>? _progress;
    private Lsn _flushed;
    private Exception? _ended;
    private bool _isRunning;

    // What a run knows beyond its present connection.
    private ulong? _systemId;
    private (uint Timeline, Lsn Lsn)? _position;
    private long _segments;
    private long _receivedBytes;
    private int _reconnects;
    private bool _skipsGap;
    private Lsn? _hole;
    private bool _leavesHole;

    /// <summary>Creates a receiver. Nothing happens until <see cref="RunAsync"/>.</summary>
    public WalReceiver(PostgresConnector connector, Repository repository, WalReceiverOptions options, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        if (options.Slot is { } slot && !SlotNamePattern().IsMatch(slot))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"'{slot}' is not the name of a replication slot.",
                recommendation: "Use up to 63 small letters, digits and underscores.",
                target: slot);
        }

        _connector = connector;
        _repository = repository;
        _options = options;
        _observer = observer;
        _systemId = options.ExpectedSystemId;
    }

    /// <summary>Up to where WAL is durable in the repository.</summary>
    public Lsn FlushedLsn
    {
        get
        {
            lock (_lock)
            {
                return _flushed;
            }
        }
    }

    /// <summary>Where the stream stands.</summary>
    public WalStreamStatus Status
    {
        get
        {
            lock (_lock)
            {
                return _status;
            }
        }
    }

    /// <summary>
    /// Streams until cancelled. Cancelling is the way to stop: what was received is stored, the server is told, and this returns.
    /// </summary>
    /// <exception cref="SmcException">What cannot be cured by trying again; anything where options say not to reconnect.</exception>
    public async Task RunAsync(IProgress<WalStreamStatus>? status, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_isRunning)
            {
                throw new InvalidOperationException("The receiver runs already.");
            }

            (_isRunning, _ended) = (true, null);
        }

        _progress = status;
        Exception? failure = null;
        try
        {
            await RunUntilStoppedAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            failure = e;
            throw;
        }
        finally
        {
            Report("Stopped", failure?.Message);
            End(failure ?? new SmcException(SmcErrorCode.OperationStopped, "The WAL stream was stopped."));
        }
    }

    /// <summary>Returns when everything before a position is durable in the repository.</summary>
    /// <exception cref="SmcException">The stream ended before; what ended it.</exception>
    public async Task WaitForFlushAsync(Lsn lsn, CancellationToken cancellationToken)
    {
        TaskCompletionSource completion;
        lock (_lock)
        {
            if (_flushed >= lsn)
            {
                return;
            }

            if (_ended is not null)
            {
                throw Ended(_ended);
            }

            completion = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Add((lsn, completion));
        }

        try
        {
            await completion.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            lock (_lock)
            {
                _waiters.RemoveAll(waiter => waiter.Completion == completion);
            }
        }
    }

    [GeneratedRegex(@"\A[a-z0-9_]{1,63}\z", RegexOptions.CultureInvariant)]
    private static partial Regex SlotNamePattern();

    private static SmcException Ended(Exception cause) => cause is SmcException known
        ? new SmcException(known.Code, $"The WAL stream ended: {known.Message}", known, known.Recommendation, known.Target)
        : new SmcException(SmcErrorCode.InternalError, $"The WAL stream ended: {cause.Message}", cause);

    private static bool IsPassing(SmcException e) =>
        e.Code is SmcErrorCode.ServerUnavailable or SmcErrorCode.StorageUnavailable or SmcErrorCode.StorageFull or SmcErrorCode.ObjectTruncated;

    private async Task RunUntilStoppedAsync(CancellationToken cancellationToken)
    {
        TimeSpan delay = _options.ReconnectDelay;
        while (!cancellationToken.IsCancellationRequested)
        {
            long before = _receivedBytes;
            SmcException problem;
            try
            {
                await RunSessionAsync(cancellationToken).ConfigureAwait(false);
                // A stop ends a session like the server does; on an idle server nothing else tells the two apart.
                if (_receivedBytes > before || cancellationToken.IsCancellationRequested)
                {
                    continue;
                }

                problem = new SmcException(
                    SmcErrorCode.ServerUnavailable, $"PostgreSQL at {_connector.Display} ended the stream.", target: _connector.Display);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (SmcException e) when (_options.Reconnect && !cancellationToken.IsCancellationRequested && IsPassing(e))
            {
                problem = e;
            }
            catch (SmcException e) when (_hole is { } hole && e.Code == SmcErrorCode.WalGap)
            {
                _observer.Warning($"The archive lacks WAL from {hole} on, and the server has it no more. The stream goes on where the archive ends.");
                (_hole, _leavesHole, _position) = (null, true, null);
                continue;
            }
            catch (SmcException e) when (_options.ContinueAfterGap && !_skipsGap && e.Code == SmcErrorCode.WalGap)
            {
                _observer.Warning($"{e.Message} The stream goes on behind the gap. {e.Recommendation}");
                _skipsGap = true;
                continue;
            }
            catch (SmcException e) when (
                _options.Reconnect && !cancellationToken.IsCancellationRequested && e.Code == SmcErrorCode.SlotUnavailable && _position is not null &&
                e.InnerException is PostgresException { SqlState: PostgresErrorCodes.ObjectInUse })
            {
                // After a cut network our own former connection holds the slot until the server gives it up (wal_sender_timeout).
                problem = e;
            }

            _observer.Warning($"The WAL stream is interrupted and will be tried again: {problem.Message}");
            Report("Waiting", problem.Message);
            delay = _receivedBytes > before ? _options.ReconnectDelay : delay;
            try
            {
                await Task.Delay(delay, cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            delay = TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, _options.MaximumReconnectDelay.Ticks));
            _reconnects++;
        }
    }

    /// <summary>One connection. Returns when the timeline is over, or when stopped.</summary>
    private async Task RunSessionAsync(CancellationToken cancellationToken)
    {
        Report("Connecting", null);
        PhysicalReplicationConnection connection = await _connector.OpenReplicationAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            // A network that drops packets tells nobody.
            (connection.CommandTimeout, connection.WalReceiverTimeout) = (_options.ServerTimeout, _options.ServerTimeout);
            try
            {
                Session session = await PrepareAsync(connection, cancellationToken).ConfigureAwait(false);
                await StreamAsync(connection, session, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (e is NpgsqlException or SocketException or TimeoutException or IOException)
            {
                throw Translate(e);
            }
        }
    }

    private NpgsqlCommand NewCommand(NpgsqlConnection sql) =>
        new("", sql) { CommandTimeout = (int)Math.Ceiling(_options.ServerTimeout.TotalSeconds) };

    private SmcException Translate(Exception exception) => exception is PostgresException { SqlState: PostgresErrorCodes.UndefinedFile } e
        ? new SmcException(
            SmcErrorCode.WalGap,
            $"PostgreSQL at {_connector.Display} has removed WAL that is not archived yet: {e.MessageText}.",
            e,
            recommendation: "Take a new base backup now: nothing in the gap can be recovered. Stream by a permanent slot, so that the server " +
                "keeps what is not archived; to go on behind the gap, allow it explicitly.",
            target: _connector.Display)
        : _connector.Translate(exception);

    private async Task<Session> PrepareAsync(PhysicalReplicationConnection connection, CancellationToken cancellationToken)
    {
        ReplicationSystemIdentification system = await connection.IdentifySystem(cancellationToken).ConfigureAwait(false);
        ulong systemId = ulong.Parse(system.SystemId, CultureInfo.InvariantCulture);
        if (_systemId is { } expected && expected != systemId)
        {
            throw new SmcException(
                SmcErrorCode.SystemIdMismatch,
                $"PostgreSQL at {_connector.Display} is the database cluster {systemId}, and {expected} was expected.",
                target: _connector.Display);
        }

        if (_systemId is null)
        {
            await ClusterIdentity.CheckAsync(_repository, systemId, isNewCluster: false, _connector.Display, cancellationToken).ConfigureAwait(false);
        }

        _systemId = systemId;
        WalArchive archive = new(_repository, systemId);
        NpgsqlConnection sql = await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (sql.ConfigureAwait(false))
        {
            (int version, int segmentSize) = await ReadServerAsync(sql, cancellationToken).ConfigureAwait(false);
            PhysicalReplicationSlot slot = await PrepareSlotAsync(connection, sql, cancellationToken).ConfigureAwait(false);
            TimelineHistory history = await StoreHistoriesAsync(archive, sql, system.Timeline, cancellationToken).ConfigureAwait(false);
            WalCatalog catalog = await archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false);
            if (await archive.GetSegmentSizeAsync(catalog, cancellationToken).ConfigureAwait(false) is { } known && known != segmentSize)
            {
                throw new SmcException(
                    SmcErrorCode.SettingUnsuitable,
                    $"The server's WAL segments have {segmentSize} bytes, and the archived ones of the same database cluster {known}.",
                    recommendation: "Use another repository for the cluster since its segment size was changed.",
                    target: _connector.Display);
            }

            (uint timeline, Lsn start) = await ChooseStartAsync(
                archive, catalog, history, slot, new Lsn((ulong)system.XLogPos), segmentSize, cancellationToken).ConfigureAwait(false);
            return new Session(archive, catalog, history, slot, timeline, start, segmentSize, version);
        }
    }

    private async Task<(int Version, int SegmentSize)> ReadServerAsync(NpgsqlConnection sql, CancellationToken cancellationToken)
    {
        using NpgsqlCommand command = NewCommand(sql);
        command.CommandText =
            "SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4, " +
            "(SELECT setting::pg_catalog.int4 FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size')";
        NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            (int version, int segmentSize) = (reader.GetInt32(0), reader.GetInt32(1));
            return version / 10000 is >= 15 and <= 18
                ? (version, segmentSize)
                : throw new SmcException(
                    SmcErrorCode.VersionUnsupported,
                    $"PostgreSQL at {_connector.Display} has version {version / 10000}.",
                    target: _connector.Display);
        }
    }

    private async Task<PhysicalReplicationSlot> PrepareSlotAsync(
        PhysicalReplicationConnection connection, NpgsqlConnection sql, CancellationToken cancellationToken)
    {
        if (_options.Slot is not { } name)
        {
            string temporary = "smcdr_" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6));
            await connection.CreateReplicationSlot(temporary, isTemporary: true, reserveWal: true, cancellationToken).ConfigureAwait(false);
            return await ReadSlotAsync(connection, temporary, cancellationToken).ConfigureAwait(false);
        }

        if (!await CheckSlotAsync(sql, name, cancellationToken).ConfigureAwait(false))
        {
            try
            {
                // Without RESERVE_WAL a slot holds nothing until somebody streams from it.
                await connection.CreateReplicationSlot(name, isTemporary: false, reserveWal: true, cancellationToken).ConfigureAwait(false);
                _observer.Verbose($"The replication slot '{name}' was created.");
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.DuplicateObject)
            {
                // Somebody else made it in the meantime. Whether it is theirs, the start of the stream tells.
            }
        }

        return await ReadSlotAsync(connection, name, cancellationToken).ConfigureAwait(false);
    }

    private async Task<PhysicalReplicationSlot> ReadSlotAsync(
        PhysicalReplicationConnection connection, string name, CancellationToken cancellationToken) =>
        await connection.ReadReplicationSlot(name, cancellationToken).ConfigureAwait(false)
            ?? throw new SmcException(
                SmcErrorCode.SlotUnavailable, $"The replication slot '{name}' on {_connector.Display} was removed.", target: name);

    private async Task<bool> CheckSlotAsync(NpgsqlConnection sql, string name, CancellationToken cancellationToken)
    {
        using NpgsqlCommand command = NewCommand(sql);
        command.CommandText =
            "SELECT slot_type, wal_status, active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name = $1";
        command.Parameters.AddWithValue(NpgsqlDbType.Name, name);
        NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            if (!await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                return false;
            }

            string? status = await reader.IsDBNullAsync(1, cancellationToken).ConfigureAwait(false) ? null : reader.GetString(1);
            if (reader.GetString(0) != "physical")
            {
                throw new SmcException(
                    SmcErrorCode.SlotUnavailable,
                    $"The replication slot '{name}' on {_connector.Display} is a logical one.",
                    recommendation: "Name another slot; the stream creates it.",
                    target: name);
            }

            if (status == "lost")
            {
                throw new SmcException(
                    SmcErrorCode.SlotUnavailable,
                    $"The replication slot '{name}' on {_connector.Display} is lost: the server has removed WAL that it should have kept.",
                    recommendation: $"Drop it with pg_drop_replication_slot('{name}'), start the stream again and take a new base backup at once. " +
                        "Raise max_slot_wal_keep_size, so that a longer outage can be bridged.",
                    target: name);
            }

            if (status == "unreserved")
            {
                _observer.Warning($"The replication slot '{name}' on {_connector.Display} is about to be lost: the server wants to remove WAL that it still needs.");
            }

            return true;
        }
    }

    /// <summary>
    /// Stores the history files of the server's timeline and of its ancestors, before any WAL of it. They are read as files: what Npgsql
    /// has for TIMELINE_HISTORY expects binary content, and servers from 15 on send text.
    /// </summary>
    private async Task<TimelineHistory> StoreHistoriesAsync(
        WalArchive archive, NpgsqlConnection sql, uint timeline, CancellationToken cancellationToken)
    {
        if (timeline == 1)
        {
            return TimelineHistory.Root(timeline);
        }

        byte[]? content = await ReadHistoryAsync(sql, timeline, cancellationToken).ConfigureAwait(false);
        if (content is null)
        {
            if (await archive.GetHistoryAsync(timeline, cancellationToken).ConfigureAwait(false) is { } archived)
            {
                return archived;
            }

            _observer.Warning($"The server has no history of its timeline {timeline}; its WAL cannot be joined to that of another timeline.");
            return TimelineHistory.Root(timeline);
        }

        TimelineHistory history = TimelineHistory.Parse(timeline, content);
        foreach (uint ancestor in history.Lineage.Skip(1).Where(static ancestor => ancestor > 1))
        {
            if (await ReadHistoryAsync(sql, ancestor, cancellationToken).ConfigureAwait(false) is { } bytes)
            {
                await archive.PutHistoryAsync(ancestor, bytes, cancellationToken).ConfigureAwait(false);
            }
        }

        await archive.PutHistoryAsync(timeline, content, cancellationToken).ConfigureAwait(false);
        return history;
    }

    private async Task<byte[]?> ReadHistoryAsync(NpgsqlConnection sql, uint timeline, CancellationToken cancellationToken)
    {
        using NpgsqlCommand command = NewCommand(sql);
        command.CommandText = "SELECT pg_catalog.pg_read_binary_file($1, 0, $2, true)";
        command.Parameters.AddWithValue("pg_wal/" + TimelineHistory.FileName(timeline));
        command.Parameters.AddWithValue((long)MaximumHistoryLength);
        return await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) as byte[];
    }

    private async Task<(uint Timeline, Lsn Start)> ChooseStartAsync(
        WalArchive archive,
        WalCatalog catalog,
        TimelineHistory history,
        PhysicalReplicationSlot slot,
        Lsn serverLsn,
        int segmentSize,
        CancellationToken cancellationToken)
    {
        _hole = null;
        (uint timeline, Lsn end) = !_skipsGap && _position is { } position && history.Contains(position.Timeline) ? position
            : !_skipsGap && _position is null && _options.StartLsn is { } wanted ? (history.TimelineAt(wanted), wanted)
            : !_skipsGap && FindEnd(catalog, history, segmentSize) is { } archived ? archived
            : slot.RestartLsn is { } restart ? (history.TimelineAt(new Lsn((ulong)restart)), new Lsn((ulong)restart))
            : (history.TimelineAt(serverLsn), serverLsn);

        while (history.SwitchPoint(timeline) is { } left && end >= left)
        {
            if (end > left)
            {
                _observer.Warning(
                    $"The archive has {end - left} bytes of timeline {timeline} behind {left}, where timeline {history.ChildOf(timeline)} begins: " +
                    "what was committed there is not in the database that is streamed now.");
            }

            (timeline, end) = (history.ChildOf(timeline)!.Value, left);
        }

        lock (_lock)
        {
            // What is durable behind it is of a history that was left.
            _flushed = _flushed > end ? end : _flushed;
        }

        foreach (WalCatalog.Listing listing in catalog.Timelines.Values.Where(l => l.Timeline > history.Timeline && l.History is not null))
        {
            TimelineHistory newer = await archive.ReadHistoryAsync(listing.Timeline, listing.History!, cancellationToken).ConfigureAwait(false);
            if (newer.Contains(history.Timeline))
            {
                _observer.Warning(
                    $"The archive knows timeline {newer.Timeline}, which left this server's timeline {history.Timeline} at " +
                    $"{newer.SwitchPoint(history.Timeline)}: the server may be a former primary that should not run any more.");
            }
        }

        return (timeline, WalSegmentName.Containing(end, timeline, segmentSize).StartLsn(segmentSize));
    }

    /// <summary>
    /// Where the archive ends; or where its last hole begins, since a base backup brings its WAL itself while no stream runs, and the server
    /// may still have what lies between.
    /// </summary>
    private (uint Timeline, Lsn End)? FindEnd(WalCatalog catalog, TimelineHistory history, int segmentSize)
    {
        if (!_leavesHole && WalArchive.FindLastHole(catalog, history, segmentSize) is { } hole)
        {
            _hole = hole;
            return (history.TimelineAt(hole), hole);
        }

        foreach (uint timeline in history.Lineage)
        {
            foreach (WalCatalog.Segment segment in catalog.Timelines.GetValueOrDefault(timeline)?.Segments.Values.Reverse() ?? [])
            {
                if (segment.EndOffset(segmentSize) is not 0 and uint end)
                {
                    return (timeline, segment.Name.StartLsn(segmentSize) + end);
                }
            }
        }

        return null;
    }

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

        Channel<Chunk> queue = Channel.CreateBounded<Chunk>(new BoundedChannelOptions(QueueLength) { SingleReader = true, SingleWriter = true });
        connection.WalReceiverStatusInterval = _options.StatusInterval;

        // Stopping ends the reading at once and the writing only when all that was read is durable; a failed writer ends the reading.
        using CancellationTokenSource writing = new();
        using CancellationTokenSource reading = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using CancellationTokenRegistration stop = cancellationToken.Register(() => writing.CancelAfter(_options.StopTimeout));
        Task write = WriteAsync(connection, writer, session, queue.Reader, reading, writing.Token);
        using CancellationTokenSource replication = new();
        IAsyncEnumerator<XLogDataMessage> messages = connection
            .StartReplication(session.Slot, new NpgsqlLogSequenceNumber(session.Start.Value), replication.Token, session.Timeline)
            .GetAsyncEnumerator(CancellationToken.None);
        Task<bool> next = Task.FromResult(false);
        try
        {
            Lsn expected = session.Start;
            Lsn? limit = session.History.SwitchPoint(session.Timeline);
            Report("Streaming", null, writer, session, connection);
            while (limit is null || expected < limit)
            {
                next = messages.MoveNextAsync().AsTask();
                if (!await next.WaitAsync(reading.Token).ConfigureAwait(false))
                {
                    break;
                }

                expected = await ReceiveAsync(messages.Current, expected, limit, queue.Writer, reading.Token).ConfigureAwait(false);
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
            queue.Writer.Complete();
            try
            {
                await write.ConfigureAwait(false);
            }
            finally
            {
                await EndReplicationAsync(messages, next, replication).ConfigureAwait(false);
            }
        }
    }

    private async Task<Lsn> ReceiveAsync(
        XLogDataMessage message, Lsn expected, Lsn? limit, ChannelWriter<Chunk> queue, CancellationToken cancellationToken)
    {
        Lsn start = new((ulong)message.WalStart);
        if (start != expected)
        {
            throw new SmcException(
                SmcErrorCode.WalGap, $"PostgreSQL at {_connector.Display} sent WAL from {start} on, and {expected} was to follow.", target: _connector.Display);
        }

        // The message and its stream are used again for the next one.
        int length = checked((int)message.Data.Length);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(length);
        await message.Data.ReadExactlyAsync(buffer.AsMemory(0, length), CancellationToken.None).ConfigureAwait(false);
        int used = limit is { } end ? (int)Math.Min(length, end - start) : length;
        // While it catches up, the server's clock is that of transactions which only come later; and a timeline that was left goes on elsewhere.
        bool isAll = limit is null && start + (uint)used >= new Lsn((ulong)message.WalEnd);
        DateTimeOffset? time = isAll ? new DateTimeOffset(DateTime.SpecifyKind(message.ServerClock, DateTimeKind.Utc)) : null;
        await queue.WriteAsync(new Chunk(buffer, used, time), cancellationToken).ConfigureAwait(false);
        Interlocked.Add(ref _receivedBytes, used);
        return start + (uint)used;
    }

    private async Task WriteAsync(
        PhysicalReplicationConnection connection,
        WalStreamWriter writer,
        Session session,
        ChannelReader<Chunk> queue,
        CancellationTokenSource reading,
        CancellationToken cancellationToken)
    {
        try
        {
            await WriteAsync(connection, writer, session, queue, cancellationToken).ConfigureAwait(false);
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
        PhysicalReplicationConnection connection,
        WalStreamWriter writer,
        Session session,
        ChannelReader<Chunk> queue,
        CancellationToken cancellationToken)
    {
        Lsn reported = writer.FlushedLsn;
        long segments = 0;
        Task<bool> more = queue.WaitToReadAsync(cancellationToken).AsTask();
        bool ended = false;
        while (!ended)
        {
            if (writer.Waiting is { } waiting && waiting < _options.FlushInterval && !more.IsCompleted)
            {
                await Task.WhenAny(more, Task.Delay(_options.FlushInterval - waiting, cancellationToken)).ConfigureAwait(false);
            }

            if (writer.Waiting >= _options.FlushInterval)
            {
                await writer.FlushAsync(cancellationToken).ConfigureAwait(false);
            }
            else if (writer.Waiting is null || more.IsCompleted)
            {
                if (!await more.ConfigureAwait(false))
                {
                    await writer.FlushAsync(cancellationToken).ConfigureAwait(false);
                    ended = true;
                }
                else if (queue.TryRead(out Chunk chunk))
                {
                    await writer.AppendAsync(chunk.Buffer.AsMemory(0, chunk.Length), chunk.ServerTime, cancellationToken).ConfigureAwait(false);
                    ArrayPool<byte>.Shared.Return(chunk.Buffer);
                }
                else
                {
                    more = queue.WaitToReadAsync(cancellationToken).AsTask();
                }
            }

            if (writer.FlushedLsn > reported || writer.SegmentCount > segments)
            {
                await AcknowledgeAsync(connection, writer, session, segments).ConfigureAwait(false);
                (reported, segments) = (writer.FlushedLsn, writer.SegmentCount);
            }
        }
    }

    /// <summary>Tells server, waiters and observer that everything up to the writer's position is durable.</summary>
    private async Task AcknowledgeAsync(PhysicalReplicationConnection connection, WalStreamWriter writer, Session session, long segments)
    {
        Lsn flushed = writer.FlushedLsn;
        (_position, _skipsGap) = ((session.Timeline, flushed), false);
        _segments += writer.SegmentCount - segments;
        List<TaskCompletionSource> reached = [];
        lock (_lock)
        {
            _flushed = flushed > _flushed ? flushed : _flushed;
            reached.AddRange(_waiters.Where(waiter => waiter.Lsn <= _flushed).Select(static waiter => waiter.Completion));
        }

        foreach (TaskCompletionSource completion in reached)
        {
            completion.TrySetResult();
        }

        Report("Streaming", null, writer, session, connection);
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

    private static async Task EndReplicationAsync(IAsyncEnumerator<XLogDataMessage> messages, Task<bool> next, CancellationTokenSource replication)
    {
        await replication.CancelAsync().ConfigureAwait(false);
        try
        {
            // What was sent meanwhile is not wanted: the next connection gets it again.
            while (await next.ConfigureAwait(false))
            {
                next = messages.MoveNextAsync().AsTask();
            }
        }
        catch (Exception e) when (e is OperationCanceledException or NpgsqlException or SocketException or IOException or TimeoutException or
            NullReferenceException or InvalidOperationException)
        {
            // Cancelled, or broken before: then the reason was thrown where it was met first. Cancelling takes the buffers away from a read
            // that Npgsql is in the middle of (NpgsqlConnector.ReadMessage).
        }

        await messages.DisposeAsync().ConfigureAwait(false);
    }

    private void Report(
        string state, string? message, WalStreamWriter? writer = null, Session? session = null, PhysicalReplicationConnection? connection = null)
    {
        WalStreamStatus status;
        lock (_lock)
        {
            Lsn? server = connection is null ? null : new Lsn((ulong)connection.LastReceivedLsn);
            status = _status = _status with
            {
                State = state,
                SystemId = _systemId?.ToString(CultureInfo.InvariantCulture),
                Timeline = (int?)session?.Timeline ?? _status.Timeline,
                Slot = session?.Slot.Name ?? _options.Slot,
                ReceivedLsn = writer?.ReceivedLsn.ToString() ?? _status.ReceivedLsn,
                FlushedLsn = writer?.FlushedLsn.ToString() ?? _status.FlushedLsn,
                ServerLsn = server is { Value: > 0 } ? server.ToString() : _status.ServerLsn,
                LagBytes = server is { Value: > 0 } lsn && writer is not null ? Math.Max(0, lsn - writer.FlushedLsn) : _status.LagBytes,
                LagSeconds = writer is null ? _status.LagSeconds : writer.Waiting?.TotalSeconds ?? 0,
                SegmentCount = _segments,
                ReceivedBytes = Interlocked.Read(ref _receivedBytes),
                Reconnects = _reconnects,
                Time = DateTimeOffset.UtcNow,
                Message = message,
            };
        }

        _progress?.Report(status);
    }

    private void End(Exception cause)
    {
        List<TaskCompletionSource> left;
        lock (_lock)
        {
            (_isRunning, _ended) = (false, cause);
            left = [.. _waiters.Select(static waiter => waiter.Completion)];
            _waiters.Clear();
        }

        foreach (TaskCompletionSource completion in left)
        {
            completion.TrySetException(Ended(cause));
        }
    }

    private readonly record struct Chunk(byte[] Buffer, int Length, DateTimeOffset? ServerTime);

    private sealed record Session(
        WalArchive Archive,
        WalCatalog Catalog,
        TimelineHistory History,
        PhysicalReplicationSlot Slot,
        uint Timeline,
        Lsn Start,
        int SegmentSize,
        int ServerVersion);
}
