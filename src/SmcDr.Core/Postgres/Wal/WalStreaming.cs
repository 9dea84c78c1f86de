using Npgsql;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>A WAL stream with an end.</summary>
public static class WalStreaming
{
    /// <summary>Up to where the server's WAL is durable there at this moment.</summary>
    public static async Task<Lsn> GetServerPositionAsync(PostgresConnector connector, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(connector);
        NpgsqlConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            using NpgsqlCommand command = new(
                "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END::text", connection);
            try
            {
                return Lsn.Parse((string)(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!);
            }
            catch (NpgsqlException e)
            {
                throw connector.Translate(e);
            }
        }
    }

    /// <summary>Streams until a position is durable in the repository, or until cancelled, which is no failure.</summary>
    /// <param name="receiver">The receiver.</param>
    /// <param name="until">The position; null = until cancelled.</param>
    /// <param name="status">Hears of the stream.</param>
    /// <param name="cancellationToken">Ends the stream: what was received is stored first.</param>
    /// <returns>Whether the position was reached; true where there is none.</returns>
    public static async Task<bool> RunAsync(
        WalReceiver receiver, Lsn? until, IProgress<WalStreamStatus>? status, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(receiver);
        using CancellationTokenSource leave = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task work = receiver.RunAsync(status, leave.Token);
        if (until is { } goal)
        {
            Task reached = receiver.WaitForFlushAsync(goal, leave.Token);
            await Task.WhenAny(work, reached).ConfigureAwait(false);
            await leave.CancelAsync().ConfigureAwait(false);
            await reached.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        try
        {
            await work.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (leave.IsCancellationRequested)
        {
            // Stopping is the stream's way to end.
        }

        return until is null || receiver.FlushedLsn >= until;
    }
}
