using System.Globalization;
using System.Net.Sockets;
using Npgsql;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Regions;

/// <summary>What a database says of itself, and what it knows of its primary or its standbys. That it does not answer is an answer.</summary>
internal sealed record DatabaseSighting
{
    private const string Query =
        """
        WITH here AS (SELECT pg_catalog.pg_is_in_recovery() AS standby)
        SELECT here.standby,
            (SELECT system_identifier FROM pg_catalog.pg_control_system()),
            pg_catalog.clock_timestamp(),
            (CASE WHEN here.standby THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_flush_lsn() END)::pg_catalog.text,
            (CASE WHEN here.standby THEN pg_catalog.pg_last_wal_receive_lsn() END)::pg_catalog.text,
            CASE WHEN here.standby THEN pg_catalog.pg_last_xact_replay_timestamp() END,
            CASE WHEN here.standby THEN pg_catalog.pg_get_wal_replay_pause_state() END,
            (SELECT setting::pg_catalog.int8 FROM pg_catalog.pg_settings WHERE name = 'recovery_min_apply_delay'),
            CASE WHEN here.standby
                THEN GREATEST(
                    (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()), (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()),
                    (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver))::pg_catalog.text
                ELSE pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()) END,
            r.status, r.latest_end_lsn::pg_catalog.text, r.last_msg_receipt_time, r.slot_name, r.sender_host, r.sender_port,
            pg_catalog.current_setting('default_transaction_read_only'), pg_catalog.current_setting('restore_command', true)
        FROM here LEFT JOIN pg_catalog.pg_stat_wal_receiver r ON true
        """;

    /// <summary>Host and port.</summary>
    public required string Server { get; init; }

    /// <summary>Why it cannot be asked; null where it answered.</summary>
    public string? Problem { get; init; }

    /// <summary>
    /// Whether somebody is there, although it did not answer: it refused, or took the connection and was silent. A server that is slow is not dead.
    /// </summary>
    public bool IsPresent { get; init; }

    public bool IsReachable => Problem is null;

    public bool IsStandby { get; init; }

    public ulong SystemId { get; init; }

    /// <summary>The server's clock.</summary>
    public DateTimeOffset ServerTime { get; init; }

    /// <summary>Up to where WAL is flushed; of a standby, replayed.</summary>
    public Lsn Lsn { get; init; }

    public Lsn? ReceivedLsn { get; init; }

    /// <summary>When the newest transaction was committed that a standby has replayed.</summary>
    public DateTimeOffset? ReplayedTime { get; init; }

    public bool IsPaused { get; init; }

    public TimeSpan ApplyDelay { get; init; }

    public uint Timeline { get; init; }

    /// <summary>Whether a standby is connected to its primary.</summary>
    public bool IsStreaming { get; init; }

    /// <summary>What the primary last told a standby of the end of its WAL.</summary>
    public Lsn? PrimaryLsn { get; init; }

    /// <summary>How long ago a standby last heard anything of its primary.</summary>
    public TimeSpan? SinceHeard { get; init; }

    /// <summary>The slot by which a standby streams.</summary>
    public string? Slot { get; init; }

    /// <summary>From where a standby streams: host and port.</summary>
    public string? Sender { get; init; }

    /// <summary>Whether new sessions may not write, as a failover leaves a primary that it cannot stop.</summary>
    public bool IsReadOnly { get; init; }

    /// <summary>Whether a standby has a second source of WAL.</summary>
    public bool HasRestoreCommand { get; init; }

    /// <summary>How far a standby gets by itself: all that it has received it replays.</summary>
    public Lsn ReachableLsn => ReceivedLsn is { } received && received > Lsn ? received : Lsn;

    /// <summary>Asks.</summary>
    /// <param name="connector">The server.</param>
    /// <param name="patience">How long it may take.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<DatabaseSighting> LookAsync(PostgresConnector connector, TimeSpan patience, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(patience);
        bool isPresent = false;
        try
        {
            NpgsqlConnection connection = await connector.WithTimeout(patience).OpenAsync(limit.Token).ConfigureAwait(false);
            isPresent = true;
            await using (connection.ConfigureAwait(false))
            {
                return await ReadAsync(connector, connection, limit.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested &&
            (e is OperationCanceledException or SmcException or NpgsqlException or SocketException or TimeoutException or IOException))
        {
            return new DatabaseSighting
            {
                Server = connector.Display,
                Problem = string.Create(
                    CultureInfo.InvariantCulture, $"PostgreSQL at {connector.Display} did not answer within {patience.TotalSeconds:0.###} s."),
                IsPresent = isPresent,
            };
        }
        catch (Exception e) when (e is SmcException or NpgsqlException or SocketException or TimeoutException or IOException)
        {
            SmcException told = connector.Translate(e);
            return new DatabaseSighting
            {
                Server = connector.Display,
                Problem = told.Message,
                // Who refuses is there. A server that is starting, stopping or full says so in an answer of its own.
                IsPresent = isPresent || told.Code is SmcErrorCode.AuthenticationFailed or SmcErrorCode.PrivilegeMissing or SmcErrorCode.SettingUnsuitable ||
                    told.InnerException is PostgresException,
            };
        }
    }

    private static async Task<DatabaseSighting> ReadAsync(
        PostgresConnector connector, NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        NpgsqlCommand command = new(Query, connection);
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                bool isStandby = reader.GetBoolean(0);
                DateTimeOffset now = Utc(reader.GetDateTime(2));
                string? timeline = reader[8] as string;
                return new DatabaseSighting
                {
                    Server = connector.Display,
                    IsPresent = true,
                    IsStandby = isStandby,
                    SystemId = unchecked((ulong)reader.GetInt64(1)),
                    ServerTime = now,
                    Lsn = Position(reader[3]) ?? Lsn.Zero,
                    ReceivedLsn = Position(reader[4]),
                    ReplayedTime = reader[5] is DateTime replayed ? Utc(replayed) : null,
                    IsPaused = reader[6] is "paused" or "pause requested",
                    ApplyDelay = TimeSpan.FromMilliseconds(reader[7] is long delay ? delay : 0),
                    Timeline = timeline is null ? 0
                        : isStandby ? uint.Parse(timeline, CultureInfo.InvariantCulture)
                        : uint.Parse(timeline.AsSpan(0, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture),
                    IsStreaming = reader[9] is "streaming",
                    PrimaryLsn = Position(reader[10]),
                    SinceHeard = reader[11] is DateTime heard ? now - Utc(heard) : null,
                    Slot = reader[12] as string,
                    Sender = reader[13] is string host ? string.Create(CultureInfo.InvariantCulture, $"{host}:{reader[14]}") : null,
                    IsReadOnly = reader[15] is "on",
                    HasRestoreCommand = reader[16] is string { Length: > 0 },
                };
            }
        }
    }

    private static Lsn? Position(object value) => value is string text ? Lsn.Parse(text) : null;

    private static DateTimeOffset Utc(DateTime time) => new(time.ToUniversalTime(), TimeSpan.Zero);
}
