using System.Globalization;
using System.Security.Cryptography;
using Npgsql;
using Npgsql.Replication;
using NpgsqlTypes;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <content>What comes before a stream: the server, the slot, the histories, and where to begin.</content>
public sealed partial class WalReceiver
{
    private const int MaximumHistoryLength = 1 << 20;

    private async Task<Session> PrepareAsync(PhysicalReplicationConnection connection, CancellationToken cancellationToken)
    {
        ReplicationSystemIdentification system = await AskAsync(connection.IdentifySystem, cancellationToken).ConfigureAwait(false);
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
        _delay.Connected(new Lsn((ulong)system.XLogPos));
        NpgsqlConnection sql = await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (sql.ConfigureAwait(false))
        {
            // Before anything asks the repository: while that is away, the server's disk fills.
            if (_slotWatch is not null)
            {
                await _slotWatch.CheckAsync(sql, cancellationToken).ConfigureAwait(false);
            }

            WalArchive archive = await OpenArchiveAsync(systemId, cancellationToken).ConfigureAwait(false);
            (int version, int segmentSize) = await ReadServerAsync(sql, cancellationToken).ConfigureAwait(false);
            PhysicalReplicationSlot slot = await PrepareSlotAsync(connection, sql, cancellationToken).ConfigureAwait(false);
            TimelineHistory history = await StoreHistoriesAsync(archive, sql, system.Timeline, cancellationToken).ConfigureAwait(false);
            WalCatalog catalog = await LoadCatalogAsync(archive, cancellationToken).ConfigureAwait(false);
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
            if (timeline == system.Timeline && start > new Lsn((ulong)system.XLogPos))
            {
                await RefuseToBeAheadAsync(connection, sql, timeline, start, cancellationToken).ConfigureAwait(false);
            }

            return new Session(archive, catalog, history, slot, timeline, start, segmentSize, version);
        }
    }

    /// <summary>Sends a command on the replication connection, where Npgsql's own time limit ends no wait for an answer.</summary>
    private async Task<T> AskAsync<T>(Func<CancellationToken, Task<T>> command, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(_options.ServerTimeout);
        try
        {
            return await command(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"The server has not answered for {_options.ServerTimeout}.", e);
        }
    }

    private async Task ClaimAsync(ulong systemId, CancellationToken cancellationToken)
    {
        if (_claim is not null)
        {
            await CheckAsync(CheckPermissionAsync, cancellationToken).ConfigureAwait(false);
        }
        else if (_options.Exclusive)
        {
            _claim = await StreamClaim.TakeAsync(
                _repository,
                systemId,
                StreamHolder.Create(_connector.Display, _options.Slot, _options.ClaimExpiry, _spill?.Path),
                _options.ClaimInterval,
                _options.Takeover,
                mayWait: MaySpill,
                _observer,
                cancellationToken).ConfigureAwait(false);
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
            await AskAsync(
                token => connection.CreateReplicationSlot(temporary, isTemporary: true, reserveWal: true, token), cancellationToken).ConfigureAwait(false);
            return await ReadSlotAsync(connection, temporary, cancellationToken).ConfigureAwait(false);
        }

        _slotIsNew = false;
        if (!await CheckSlotAsync(sql, name, cancellationToken).ConfigureAwait(false))
        {
            try
            {
                // Without RESERVE_WAL a slot holds nothing until somebody streams from it.
                await AskAsync(
                    token => connection.CreateReplicationSlot(name, isTemporary: false, reserveWal: true, token), cancellationToken).ConfigureAwait(false);
                _slotIsNew = true;
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
        await AskAsync(token => connection.ReadReplicationSlot(name, token), cancellationToken).ConfigureAwait(false)
            ?? throw new SmcException(
                SmcErrorCode.SlotUnavailable, $"The replication slot '{name}' on {_connector.Display} was removed.", target: name);

    /// <summary>Whether the slot is there. One that is lost is made anew where a gap is allowed.</summary>
    private async Task<bool> CheckSlotAsync(NpgsqlConnection sql, string name, CancellationToken cancellationToken)
    {
        _slotWatch ??= new SlotWatch(name, _connector.Display, _options, _observer);
        if (await _slotWatch.CheckAsync(sql, cancellationToken).ConfigureAwait(false) is not { } facts)
        {
            return false;
        }

        if (facts.Type != "physical")
        {
            throw new SmcException(
                SmcErrorCode.SlotUnavailable,
                $"The replication slot '{name}' on {_connector.Display} is a logical one.",
                recommendation: "Name another slot; the stream creates it.",
                target: name);
        }

        if (facts.State != "lost")
        {
            return true;
        }

        if (!_options.ContinueAfterGap)
        {
            throw new SmcException(
                SmcErrorCode.SlotLost,
                $"The replication slot '{name}' on {_connector.Display} is lost: the server has removed WAL that it should have kept.",
                recommendation: $"Take a new base backup now. Drop the slot with pg_drop_replication_slot('{name}') and start the stream again, " +
                    "or let it do both with -ContinueAfterGap (or --continue-after-gap). Raise max_slot_wal_keep_size, so that a longer outage " +
                    "can be bridged.",
                target: name);
        }

        // Whether WAL is missing in fact shows when the stream begins where the archive ends.
        using NpgsqlCommand command = new("SELECT pg_catalog.pg_drop_replication_slot($1)", sql);
        command.Parameters.AddWithValue(NpgsqlDbType.Name, name);
        await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        _observer.Warning($"The lost replication slot '{name}' on {_connector.Display} is made anew.");
        return false;
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
        (uint Timeline, Lsn End)? archived = null;
        (uint timeline, Lsn end) = !_skipsGap && _position is { } position && history.Contains(position.Timeline) ? position
            : !_skipsGap && _position is null && _options.StartLsn is { } wanted ? (history.TimelineAt(wanted), wanted)
            : !_skipsGap && (archived = FindEnd(catalog, history, segmentSize)) is { } found ? found
            : slot.RestartLsn is { } restart ? (history.TimelineAt(new Lsn((ulong)restart)), new Lsn((ulong)restart))
            : (history.TimelineAt(serverLsn), serverLsn);

        _spilledElsewhere = archived is null ? null : FindSpilledElsewhere(slot, end);
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
            (_durable, _segmentSize) = (_durable > end ? end : _durable, segmentSize);
            _delay.Flushed(_spill?.FindStored(end, segmentSize) ?? end);
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
    /// Throws where the archive has more of the server's timeline than the server itself, which would refuse to begin there with an error that names no
    /// cause (walsender.c, StartReplication). A standby that lags behind gets there in time. A primary never does: what it goes on to write has the same
    /// names and other bytes.
    /// </summary>
    private async Task RefuseToBeAheadAsync(
        PhysicalReplicationConnection connection, NpgsqlConnection sql, uint timeline, Lsn start, CancellationToken cancellationToken)
    {
        Lsn server = new((ulong)(await AskAsync(connection.IdentifySystem, cancellationToken).ConfigureAwait(false)).XLogPos);
        if (start <= server)
        {
            return;
        }

        using NpgsqlCommand command = NewCommand(sql);
        command.CommandText = "SELECT pg_catalog.pg_is_in_recovery()";
        if (await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) is true)
        {
            throw new SmcException(
                SmcErrorCode.ServerUnavailable,
                $"The archive has WAL of timeline {timeline} up to {start}, and the standby at {_connector.Display} has it up to {server}.",
                recommendation: "Wait until the standby has caught up; if it does not, look at what it follows.",
                target: _connector.Display);
        }

        throw new SmcException(
            SmcErrorCode.WalDuplicate,
            $"The archive has WAL of timeline {timeline} up to {start}, and PostgreSQL at {_connector.Display} has written it only up to {server}: another server " +
                "writes the same timeline, or this one was put back to an earlier state.",
            recommendation: "Find the server that should not run and stop it. If this one was started from a copy or a snapshot, recover it from the repository " +
                "instead, which gives it a timeline of its own.",
            target: _connector.Display);
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
