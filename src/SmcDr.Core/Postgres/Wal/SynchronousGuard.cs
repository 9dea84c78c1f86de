using System.Diagnostics;
using System.Net.Sockets;
using Npgsql;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>
/// Keeps commits waiting for a stream while it keeps up, and lets them go on without it when it does not: by a connection of its own,
/// which is opened before it is needed, since waiting commits can use up all that a server allows.
/// </summary>
/// <remarks>
/// The measure is the server's own: it is asked how far its WAL is durable there, and how long it takes until the repository has that
/// too. So it does not matter what holds it up: the repository, the network or this process.
/// </remarks>
internal sealed class SynchronousGuard : IAsyncDisposable
{
    private readonly PostgresConnector _connector;
    private readonly string _name;
    private readonly TimeSpan _timeout;
    private readonly IOperationObserver _observer;
    private readonly Func<Lsn> _flushed;
    private readonly Action _changed;
    private readonly Queue<(Lsn Lsn, long Time)> _samples = new();
    private readonly Lock _lock = new();
    private NpgsqlConnection? _connection;
    private SynchronousFacts _facts = new("Joining", 0, null);
    private long? _degraded;

    public SynchronousGuard(
        PostgresConnector connector, string name, TimeSpan timeout, Func<Lsn> flushed, Action changed, IOperationObserver observer)
    {
        (_connector, _name, _timeout, _flushed, _changed, _observer) = (connector, name, timeout, flushed, changed, observer);
    }

    /// <summary>Where it stands.</summary>
    public SynchronousFacts Facts
    {
        get
        {
            lock (_lock)
            {
                return _facts;
            }
        }
    }

    /// <summary>Watches until cancelled.</summary>
    /// <exception cref="SmcException">What cannot be cured by trying again.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        TimeSpan interval = TimeSpan.FromMilliseconds(Math.Clamp(_timeout.TotalMilliseconds / 20, 20, 500));
        while (true)
        {
            try
            {
                await StepAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (PostgresException e) when (!IsPassing(_connector.Translate(e)))
            {
                throw _connector.Translate(e);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested && IsPassing(e))
            {
                // Without the server no commit waits. It is tried again; the outage of the server is none of the repository's.
                _observer.Verbose($"The server cannot be asked how far it is: {e.Message}");
                await CloseAsync().ConfigureAwait(false);
                _samples.Clear();
            }

            await Task.Delay(interval, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Lets commits go on without the stream, since it ends.</summary>
    /// <param name="reason">Why; null where somebody wants it so, which is no breach.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task LeaveAsync(string? reason, CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                if (await SynchronousSetting.RemoveAsync(await ConnectAsync(cancellationToken).ConfigureAwait(false), _name, cancellationToken)
                    .ConfigureAwait(false))
                {
                    if (reason is not null)
                    {
                        Breach($"the stream ended: {reason}");
                    }
                    else
                    {
                        Set(Facts with { State = "Degraded" });
                        _observer.Verbose("Commits do not wait for the repository any more, since the stream is stopped.");
                    }
                }

                return;
            }
            catch (Exception e) when (e is SmcException or NpgsqlException or SocketException or IOException or TimeoutException or OperationCanceledException)
            {
                await CloseAsync().ConfigureAwait(false);
                if (attempt < 3 && IsPassing(e) && !cancellationToken.IsCancellationRequested)
                {
                    continue;
                }

                _observer.Warning(
                    $"Commits on {_connector.Display} may wait for this stream until it runs again, since it could not be taken out of " +
                    $"synchronous_standby_names: {e.Message} Start the stream again, or run: ALTER SYSTEM RESET synchronous_standby_names; " +
                    "SELECT pg_reload_conf();");
                return;
            }
        }
    }

    public async ValueTask DisposeAsync() => await CloseAsync().ConfigureAwait(false);

    private static bool IsPassing(Exception e) => e is SmcException { Code: SmcErrorCode.ServerUnavailable or SmcErrorCode.OperationTimedOut }
        or NpgsqlException or SocketException or IOException or TimeoutException or OperationCanceledException;

    private async Task StepAsync(CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(5) + _timeout);
        NpgsqlConnection connection = await ConnectAsync(limit.Token).ConfigureAwait(false);
        long asked = Stopwatch.GetTimestamp();
        (Lsn position, Lsn reported, SynchronousStandbys standbys) = await AskAsync(connection, limit.Token).ConfigureAwait(false);
        bool waits = standbys.Contains(_name);
        TimeSpan? met = Settle(reported);
        if (waits || _samples.Count == 0)
        {
            _samples.Enqueue((position, asked));
            met = Settle(reported) ?? met;
        }

        if (waits)
        {
            if (Facts.State != "Synchronous")
            {
                Joined();
            }

            if (_samples.TryPeek(out (Lsn Lsn, long Time) oldest) && Stopwatch.GetElapsedTime(oldest.Time) >= _timeout)
            {
                await SynchronousSetting.RemoveAsync(connection, _name, limit.Token).ConfigureAwait(false);
                Breach($"WAL up to {oldest.Lsn} was not in the repository within {DisplayText.Duration(_timeout)}");
                _samples.Clear();
            }
        }
        else if (Facts.State == "Synchronous")
        {
            Breach("somebody took the stream out of synchronous_standby_names");
        }
        else if (met < _timeout / 2 && (_degraded is not { } since || Stopwatch.GetElapsedTime(since) >= _timeout / 2))
        {
            await SynchronousSetting.AddAsync(connection, _name, limit.Token).ConfigureAwait(false);
            _samples.Clear();
            Joined();
        }
    }

    /// <summary>Forgets what the repository has by now, and returns how long the last of it took; null where there was none.</summary>
    private TimeSpan? Settle(Lsn reported)
    {
        TimeSpan? met = null;
        Lsn flushed = _flushed() is var own && own > reported ? own : reported;
        while (_samples.TryPeek(out (Lsn Lsn, long Time) sample) && sample.Lsn <= flushed)
        {
            met = Stopwatch.GetElapsedTime(sample.Time);
            _samples.Dequeue();
        }

        return met;
    }

    private void Joined()
    {
        TimeSpan? lasted = _degraded is { } since ? Stopwatch.GetElapsedTime(since) : null;
        _degraded = null;
        Set(Facts with { State = "Synchronous", DegradedSince = null });
        if (lasted is not null)
        {
            _observer.Warning($"Commits on {_connector.Display} wait for the repository again, after {DisplayText.Duration(lasted)} in which they did not.");
        }
        else
        {
            _observer.Verbose($"Commits on {_connector.Display} wait for the repository from now on.");
        }
    }

    private void Breach(string why)
    {
        _degraded = Stopwatch.GetTimestamp();
        Set(new SynchronousFacts("Degraded", Facts.BreachCount + 1, DateTimeOffset.UtcNow));
        _observer.Warning(
            $"BREACH: commits on {_connector.Display} do not wait for the repository any more, since {why}. What is committed until they do " +
            "again can be lost with the server.");
    }

    private void Set(SynchronousFacts facts)
    {
        lock (_lock)
        {
            _facts = facts;
        }

        _changed();
    }

    private async Task<(Lsn Position, Lsn Reported, SynchronousStandbys Standbys)> AskAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // What the server was told counts too: a stream that is just refused must not let go what another one by this name holds.
        using NpgsqlCommand command = new(
            """
            SELECT pg_catalog.pg_current_wal_flush_lsn()::pg_catalog.text, pg_catalog.current_setting('synchronous_standby_names'),
                (SELECT pg_catalog.max(flush_lsn)::pg_catalog.text FROM pg_catalog.pg_stat_replication
                WHERE pg_catalog.lower(application_name) = pg_catalog.lower($1))
            """,
            connection);
        command.Parameters.AddWithValue(_name);
        NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            return (
                Lsn.Parse(reader.GetString(0)),
                reader[2] is string reported ? Lsn.Parse(reported) : Lsn.Zero,
                SynchronousStandbys.Parse(reader.GetString(1)));
        }
    }

    private async Task<NpgsqlConnection> ConnectAsync(CancellationToken cancellationToken)
    {
        if (_connection is null)
        {
            _connection = await _connector.OpenAsync(cancellationToken).ConfigureAwait(false);
            await SynchronousSetting.CheckAsync(_connection, _name, cancellationToken).ConfigureAwait(false);
        }

        return _connection;
    }

    private async Task CloseAsync()
    {
        if (_connection is { } connection)
        {
            _connection = null;
            await connection.DisposeAsync().ConfigureAwait(false);
        }
    }
}
