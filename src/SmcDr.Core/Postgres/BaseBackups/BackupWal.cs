using Npgsql;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Postgres.BaseBackups;

/// <summary>The two ways in which a backup's WAL comes into the repository.</summary>
internal static class BackupWal
{
    private static readonly TimeSpan s_pollInterval = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// Relies on the WAL stream where it runs, by the server's word on its slot; otherwise receives the WAL beside the copy, through
    /// a slot that goes with the connection, from the segment in which the backup starts.
    /// </summary>
    public static async Task<IBackupWal> OpenAsync(
        BackupWalRequest request, NpgsqlConnection session, CancellationToken cancellationToken)
    {
        if (request.Options.Slot is { } slot && await IsStreamedAsync(request, session, slot, cancellationToken).ConfigureAwait(false))
        {
            request.Observer.Verbose($"The WAL stream with slot '{slot}' runs; the backup waits for its WAL.");
            return new StreamedWal(new WalArchive(request.Repository, request.SystemId), slot);
        }

        if (!request.CanReplicate)
        {
            string role = new NpgsqlCommandBuilder().QuoteIdentifier(request.Connector.Username ?? "");
            throw new SmcException(
                SmcErrorCode.PrivilegeMissing,
                $"No WAL stream runs, and role {role} on {request.Connector.Display} may not receive the WAL that the backup needs.",
                recommendation: $"As a superuser, run: ALTER ROLE {role} REPLICATION; or start the WAL stream first.",
                target: request.Connector.Username);
        }

        request.Observer.Verbose("No WAL stream runs; the backup receives the WAL that it needs itself.");
        WalReceiver receiver = new(
            request.Connector,
            request.Repository,
            new WalReceiverOptions { StartLsn = request.StartLsn, ExpectedSystemId = request.SystemId, Fencing = request.Options.Fencing },
            request.Observer);
        return new ReceivedWal(receiver);
    }

    /// <summary>
    /// Slots are a server's own. The stream of a site is that of its primary; beside it, one may stream from the very standby that is backed up.
    /// </summary>
    private static async Task<bool> IsStreamedAsync(
        BackupWalRequest request, NpgsqlConnection session, string slot, CancellationToken cancellationToken)
    {
        if (await IsActiveAsync(session, slot, cancellationToken).ConfigureAwait(false))
        {
            return true;
        }

        if (!request.IsStandby || request.Options.Primary is not { } primary)
        {
            return false;
        }

        try
        {
            NpgsqlConnection connection = await primary.OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                return await IsActiveAsync(connection, slot, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is SmcException or NpgsqlException or IOException)
        {
            request.Observer.Verbose($"The primary at {primary.Display} does not say whether the WAL stream runs: {e.Message}");
            return false;
        }
    }

    private static async Task<bool> IsActiveAsync(NpgsqlConnection session, string slot, CancellationToken cancellationToken)
    {
        NpgsqlCommand command = new(
            """
            SELECT EXISTS (
                SELECT FROM pg_catalog.pg_replication_slots s
                WHERE s.slot_name::pg_catalog.text OPERATOR(pg_catalog.=) $1 AND s.slot_type OPERATOR(pg_catalog.=) 'physical' AND s.active)
            """,
            session)
        {
            Parameters = { new NpgsqlParameter<string> { TypedValue = slot } },
        };
        await using (command.ConfigureAwait(false))
        {
            return (bool)(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!;
        }
    }

    /// <summary>WAL that a stream of its own brings; seen by what is in the repository.</summary>
    private sealed class StreamedWal(WalArchive archive, string slot) : IBackupWal
    {
        private string _state = "None of it is there.";

        public Task Running { get; } = new TaskCompletionSource().Task;

        public async Task WaitForAsync(uint timeline, Lsn from, Lsn to, CancellationToken cancellationToken)
        {
            while (true)
            {
                WalCoverage coverage = await archive.GetCoverageAsync(timeline, from, timeline, cancellationToken).ConfigureAwait(false);
                // Without any WAL the coverage ends where it begins.
                if (coverage.EndLsn >= to && coverage.EndLsn > from)
                {
                    return;
                }

                _state = coverage.Gap is { } gap
                    ? $"Segment {gap} is missing."
                    : $"There it is up to {coverage.EndLsn}.";
                await Task.Delay(s_pollInterval, cancellationToken).ConfigureAwait(false);
            }
        }

        public string Describe() => $"{_state} It was to come by the WAL stream with slot '{slot}'.";

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    /// <summary>WAL that the backup receives itself.</summary>
    private sealed class ReceivedWal : IBackupWal
    {
        private readonly WalReceiver _receiver;
        private readonly CancellationTokenSource _stop = new();

        public ReceivedWal(WalReceiver receiver)
        {
            _receiver = receiver;
            Running = Task.Run(() => receiver.RunAsync(null, _stop.Token));
        }

        public Task Running { get; }

        public Task WaitForAsync(uint timeline, Lsn from, Lsn to, CancellationToken cancellationToken) =>
            // A byte behind the start, since a receiver that has received nothing may already be at its start.
            _receiver.WaitForFlushAsync(to > from ? to : from + 1, cancellationToken);

        public string Describe() => _receiver.Status is { Message: { } message } status
            ? $"The backup's own stream is at {status.FlushedLsn ?? "no position yet"}: {message}"
            : $"The backup's own stream is at {_receiver.FlushedLsn}.";

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync().ConfigureAwait(false);
            // Its failure, where there was one, has ended the backup already, and is told there.
            await Running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _stop.Dispose();
        }
    }
}
