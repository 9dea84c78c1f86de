using Npgsql;
using NpgsqlTypes;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>Asks the server how a stream's slot is, and warns once for each level that it gets worse by.</summary>
internal sealed class SlotWatch(string slot, string server, WalReceiverOptions options, IOperationObserver observer)
{
    private int _retainedLevel;
    private int _safeLevel;

    /// <summary>What was found last; null where the slot is missing.</summary>
    public SlotFacts? Facts { get; private set; }

    /// <summary>Asks, and warns.</summary>
    public async Task<SlotFacts?> CheckAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        Facts = await ReadAsync(connection, cancellationToken).ConfigureAwait(false);
        if (Facts is { } facts)
        {
            WarnOfDisk(facts);
            WarnOfLoss(facts);
        }

        return Facts;
    }

    private async Task<SlotFacts?> ReadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        using NpgsqlCommand command = connection.CreateCommand();
        command.CommandTimeout = (int)Math.Ceiling(options.ServerTimeout.TotalSeconds);
        command.CommandText =
            """
            SELECT s.slot_type, s.wal_status, s.safe_wal_size,
                pg_catalog.pg_wal_lsn_diff(
                    CASE WHEN pg_catalog.pg_is_in_recovery()
                        THEN COALESCE(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
                        ELSE pg_catalog.pg_current_wal_lsn() END,
                    s.restart_lsn)::pg_catalog.int8,
                (SELECT setting::pg_catalog.int8 FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size')
            FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = $1
            """;
        command.Parameters.AddWithValue(NpgsqlDbType.Name, slot);
        NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            if (!await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                return null;
            }

            // The setting is in megabytes, and -1 where the server never lets go.
            return new SlotFacts(
                reader.GetString(0),
                reader[1] as string,
                reader[2] as long?,
                reader[3] is long retained ? Math.Max(0, retained) : null,
                reader[4] is long megabytes and >= 0 ? megabytes << 20 : null);
        }
    }

    private void WarnOfDisk(SlotFacts facts)
    {
        int level = 0;
        for (long bound = Math.Max(1, options.RetainedWarning); facts.RetainedBytes >= bound && level < 40; bound *= 2)
        {
            level++;
        }

        if (level > _retainedLevel)
        {
            observer.Warning(
                $"The server {server} keeps {DisplayText.Size(facts.RetainedBytes)} of WAL for the slot '{slot}', since the stream is behind. " +
                (facts.KeepBytes is null
                    ? "It keeps all of it until its disk is full: make sure that the stream gets on, or that the disk has room."
                    : $"From {DisplayText.Size(facts.KeepBytes)} on the slot can be lost."));
        }

        // Not again until it has been well below.
        _retainedLevel = facts.RetainedBytes < options.RetainedWarning / 2 ? 0 : Math.Max(level, _retainedLevel);
    }

    private void WarnOfLoss(SlotFacts facts)
    {
        long bound = Math.Min(options.SafeWalWarning, (facts.KeepBytes ?? long.MaxValue) / 4);
        int level = facts.State == "lost" ? 4
            : facts.State == "unreserved" || facts.SafeBytes <= 0 ? 3
            : facts.SafeBytes < bound / 4 ? 2
            : facts.SafeBytes < bound ? 1
            : 0;
        if (level > _safeLevel)
        {
            observer.Warning(level switch
            {
                4 => $"The slot '{slot}' on {server} is lost: the server has removed WAL that is not archived. Take a new base backup now.",
                3 => $"The slot '{slot}' on {server} is about to be lost: at its next checkpoint the server may remove WAL that is not archived. " +
                    "Raise max_slot_wal_keep_size at once, and be ready to take a new base backup.",
                _ => $"The server {server} may write only {DisplayText.Size(facts.SafeBytes)} more before the slot '{slot}' can be lost. Raise " +
                    "max_slot_wal_keep_size, or make sure that the stream gets on.",
            });
        }

        _safeLevel = level == 0 && (facts.SafeBytes is null || facts.SafeBytes >= bound * 2) ? 0 : Math.Max(level, _safeLevel);
    }
}
