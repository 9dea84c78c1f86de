using System.Globalization;
using Npgsql;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>
/// The session that holds a backup open between <c>pg_backup_start</c> and <c>pg_backup_stop</c>. When it ends, PostgreSQL forgets
/// the backup, and what was copied is worthless; so it is asked now and then whether it is still there, which also keeps
/// firewalls from closing a connection that seems idle.
/// </summary>
internal sealed class BackupSession : IAsyncDisposable
{
    private static readonly TimeSpan s_answerTime = TimeSpan.FromSeconds(60);

    private readonly PostgresConnector _connector;
    private readonly NpgsqlConnection _connection;
    private readonly CancellationTokenSource _watchEnd = new();
    private bool _isStandby;
    private Task _watch = Task.CompletedTask;

    private BackupSession(PostgresConnector connector, NpgsqlConnection connection)
    {
        _connector = connector;
        _connection = connection;
    }

    /// <summary>The connection, for use before <see cref="Watch"/> and after <see cref="EndWatchAsync"/>.</summary>
    public NpgsqlConnection Connection => _connection;

    public static async Task<BackupSession> OpenAsync(PostgresConnector connector, CancellationToken cancellationToken) =>
        new(connector, await connector.OpenAsync(cancellationToken).ConfigureAwait(false));

    /// <summary>Begins the backup on the server; returns its start and timeline.</summary>
    /// <param name="label">The label.</param>
    /// <param name="fast">Whether the checkpoint is made at once.</param>
    /// <param name="isStandby">Whether the server was a standby when it was asked: it must be one to the end.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task<(Lsn StartLsn, uint Timeline)> StartAsync(string label, bool fast, bool isStandby, CancellationToken cancellationToken)
    {
        _isStandby = isStandby;
        try
        {
            return await BeginAsync(label, fast, cancellationToken).ConfigureAwait(false);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.ObjectNotInPrerequisiteState)
        {
            throw Refused(e);
        }
    }

    private async Task<(Lsn StartLsn, uint Timeline)> BeginAsync(string label, bool fast, CancellationToken cancellationToken)
    {
        NpgsqlCommand start = new("SELECT pg_catalog.pg_backup_start($1, $2)::pg_catalog.text", _connection)
        {
            Parameters = { new NpgsqlParameter<string> { TypedValue = label }, new NpgsqlParameter<bool> { TypedValue = fast } },
        };
        await using (start.ConfigureAwait(false))
        {
            Lsn lsn = Lsn.Parse((string)(await start.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!);
            int timeline = await ServerFacts
                .ScalarAsync<int>(_connection, "SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()", cancellationToken)
                .ConfigureAwait(false);
            return (lsn, (uint)timeline);
        }
    }

    /// <summary>What time it is, after <see cref="StartAsync"/>, whose checkpoint has written the control file.</summary>
    public async Task<ServerClock> ReadClockAsync(CancellationToken cancellationToken)
    {
        NpgsqlCommand command = new(
            "SELECT pg_catalog.clock_timestamp(), s.modification FROM pg_catalog.pg_stat_file($1, false) AS s", _connection)
        {
            Parameters = { new NpgsqlParameter<string> { TypedValue = ControlFile.RelativePath } },
        };
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                return new ServerClock(reader.GetDateTime(0), DateTimeOffset.UtcNow, reader.GetDateTime(1));
            }
        }
    }

    /// <summary>All tablespaces but the two that lie in the data directory.</summary>
    public async Task<List<TablespaceLocation>> ReadTablespacesAsync(string dataDirectory, CancellationToken cancellationToken)
    {
        List<TablespaceLocation> result = [];
        NpgsqlCommand command = new(
            """
            SELECT t.oid, t.spcname::pg_catalog.text, pg_catalog.pg_tablespace_location(t.oid)
            FROM pg_catalog.pg_tablespace t
            WHERE NOT t.spcname OPERATOR(pg_catalog.=) ANY ('{pg_default,pg_global}'::pg_catalog.name[])
            """,
            _connection);
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    string location = reader.GetString(2);
                    string? inside = location.StartsWith('/') ? ServerFacts.Inside(dataDirectory, location) : null;
                    result.Add(new TablespaceLocation(reader.GetFieldValue<uint>(0), reader.GetString(1), location, inside));
                }
            }
        }

        return result;
    }

    /// <summary>Begins to ask now and then; <paramref name="lost"/> is called where there is no answer.</summary>
    public void Watch(TimeSpan interval, Action<SmcException> lost)
    {
        _watch = WatchAsync(interval, lost);
    }

    /// <summary>Ends the asking, so that the connection is free.</summary>
    public async Task EndWatchAsync()
    {
        await _watchEnd.CancelAsync().ConfigureAwait(false);
        await _watch.ConfigureAwait(false);
    }

    /// <summary>Ends the backup on the server.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.BackupInterrupted"/>.</exception>
    public async Task<BackupStop> StopAsync(CancellationToken cancellationToken)
    {
        try
        {
            await CheckRoleAsync(cancellationToken).ConfigureAwait(false);
            // Waiting for archive_command would be waiting for somebody else: the WAL goes into our repository by our own means.
            NpgsqlCommand stop = new(
                "SELECT lsn::pg_catalog.text, labelfile, spcmapfile FROM pg_catalog.pg_backup_stop(wait_for_archive => false)", _connection);
            Lsn lsn;
            string label;
            string map;
            await using (stop.ConfigureAwait(false))
            {
                NpgsqlDataReader reader = await stop.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                    lsn = Lsn.Parse(reader.GetString(0));
                    label = reader.GetString(1);
                    map = reader.GetString(2);
                }
            }

            DateTime time = await ServerFacts
                .ScalarAsync<DateTime>(_connection, "SELECT pg_catalog.clock_timestamp()", cancellationToken).ConfigureAwait(false);
            // pg_backup_stop refuses after a promotion; one right behind it does no harm any more.
            return new BackupStop(lsn, label, map, time, DateTimeOffset.UtcNow);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.ObjectNotInPrerequisiteState)
        {
            throw Refused(e);
        }
        catch (Exception e) when (e is NpgsqlException or IOException)
        {
            throw Lost(e);
        }
    }

    /// <summary>What to say of a failure instead, where the standby was promoted; null where it was not, or does not answer.</summary>
    public async Task<SmcException?> FindPromotionAsync(Exception failure, CancellationToken cancellationToken)
    {
        try
        {
            NpgsqlConnection connection = await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                return await ServerFacts
                    .ScalarAsync<bool>(connection, "SELECT pg_catalog.pg_is_in_recovery()", cancellationToken).ConfigureAwait(false)
                    ? null
                    : Promoted(failure);
            }
        }
        catch (Exception e) when (e is SmcException or NpgsqlException or IOException)
        {
            return null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await EndWatchAsync().ConfigureAwait(false);
        _watchEnd.Dispose();
        await _connection.DisposeAsync().ConfigureAwait(false);
    }

    private async Task WatchAsync(TimeSpan interval, Action<SmcException> lost)
    {
        while (true)
        {
            await Task.Delay(interval, _watchEnd.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (_watchEnd.IsCancellationRequested)
            {
                return;
            }

            try
            {
                // Ending the watch does not cancel the question, which would leave the connection in an unknown state.
                using CancellationTokenSource limit = new(s_answerTime);
                await CheckRoleAsync(limit.Token).ConfigureAwait(false);
            }
            catch (SmcException e)
            {
                lost(e);
                return;
            }
            catch (Exception e) when (e is NpgsqlException or IOException or OperationCanceledException)
            {
                lost(Lost(e));
                return;
            }
        }
    }

    /// <summary>A standby that was promoted meanwhile has gone on to another timeline, of which the copied files hold some and some not.</summary>
    private async Task CheckRoleAsync(CancellationToken cancellationToken)
    {
        bool isStandby = await ServerFacts
            .ScalarAsync<bool>(_connection, "SELECT pg_catalog.pg_is_in_recovery()", cancellationToken).ConfigureAwait(false);
        if (_isStandby && !isStandby)
        {
            throw Promoted(null);
        }
    }

    private SmcException Promoted(Exception? e) => new(
        SmcErrorCode.BackupInterrupted,
        $"The standby at {_connector.Display} was promoted during the backup, which is worthless by that.",
        e,
        recommendation: "Take a new base backup: of this server, which is a primary now, or of another standby.",
        target: _connector.Display);

    /// <summary>What pg_backup_start and pg_backup_stop refuse (xlog.c, do_pg_backup_start and do_pg_backup_stop).</summary>
    private SmcException Refused(PostgresException e) =>
        // Messages are in the server's language; the name of a setting is not.
        e.MessageText.Contains("full_page_writes", StringComparison.Ordinal)
            ? new SmcException(
                SmcErrorCode.SettingUnsuitable,
                $"The primary of the standby at {_connector.Display} wrote WAL with full_page_writes = off: pages that were torn while they were copied could not be repaired.",
                e,
                recommendation: "On the primary: ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf(); CHECKPOINT; then, when the standby has replayed that, run the backup again.",
                target: _connector.Display)
            : _isStandby
                ? Promoted(e)
                : new SmcException(
                    SmcErrorCode.BackupInterrupted, $"PostgreSQL at {_connector.Display} refuses the backup: {e.MessageText}.", e, target: _connector.Display);

    private SmcException Lost(Exception e) => new(
        SmcErrorCode.BackupInterrupted,
        $"The session on {_connector.Display} that held the backup open has ended: {e.Message}",
        e,
        target: _connector.Display);
}
