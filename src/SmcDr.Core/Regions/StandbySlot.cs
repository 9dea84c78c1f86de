using Npgsql;
using NpgsqlTypes;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Regions;

/// <summary>A replication slot as its server has it.</summary>
/// <param name="Type"><c>physical</c> or <c>logical</c>.</param>
/// <param name="State"><c>wal_status</c>; null where it keeps nothing yet.</param>
/// <param name="IsActive">Whether somebody streams by it.</param>
internal sealed record StandbySlot(string Type, string? State, bool IsActive)
{
    /// <summary>Asks the server; null where it has none of this name.</summary>
    public static async Task<StandbySlot?> ReadAsync(NpgsqlConnection connection, string name, CancellationToken cancellationToken)
    {
        NpgsqlCommand command = new("SELECT slot_type, wal_status, active FROM pg_catalog.pg_replication_slots WHERE slot_name = $1", connection);
        command.Parameters.AddWithValue(NpgsqlDbType.Name, name);
        await using (command.ConfigureAwait(false))
        {
            NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                return await reader.ReadAsync(cancellationToken).ConfigureAwait(false)
                    ? new StandbySlot(reader.GetString(0), reader[1] as string, reader.GetBoolean(2))
                    : null;
            }
        }
    }

    /// <summary>Makes sure that there is one which keeps WAL; one that has lost its WAL is made anew.</summary>
    /// <returns>What was done, in a sentence; null where it was there.</returns>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.SlotUnavailable"/>: the name is that of a logical slot.</exception>
    public static async Task<string?> EnsureAsync(PostgresConnector server, string name, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await server.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            try
            {
                return await EnsureAsync(connection, name, server.Display, cancellationToken).ConfigureAwait(false);
            }
            catch (NpgsqlException e)
            {
                throw server.Translate(e);
            }
        }
    }

    /// <summary>Drops physical slots that nobody streams by, where they are there.</summary>
    public static async Task DropAsync(PostgresConnector server, string[] names, CancellationToken cancellationToken)
    {
        NpgsqlConnection connection = await server.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            NpgsqlCommand command = new(
                "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots " +
                "WHERE slot_type = 'physical' AND NOT active AND slot_name::pg_catalog.text = ANY ($1)",
                connection);
            command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = names });
            await using (command.ConfigureAwait(false))
            {
                try
                {
                    await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
                }
                catch (NpgsqlException e)
                {
                    throw server.Translate(e);
                }
            }
        }
    }

    private static async Task<string?> EnsureAsync(NpgsqlConnection connection, string name, string server, CancellationToken cancellationToken)
    {
        StandbySlot? there = await ReadAsync(connection, name, cancellationToken).ConfigureAwait(false);
        if (there is { Type: not "physical" })
        {
            throw new SmcException(
                SmcErrorCode.SlotUnavailable,
                $"The slot '{name}' on {server} is a logical one.",
                recommendation: "Drop it, or rename the region in the site file.",
                target: name);
        }

        bool isLost = there is { State: "lost", IsActive: false };
        if (there is not null && !isLost)
        {
            return null;
        }

        if (isLost)
        {
            await RunAsync("SELECT pg_catalog.pg_drop_replication_slot($1)").ConfigureAwait(false);
        }

        await RunAsync("SELECT pg_catalog.pg_create_physical_replication_slot($1, true)").ConfigureAwait(false);
        return isLost
            ? $"The slot '{name}' on {server} had lost its WAL and was made anew."
            : $"The slot '{name}' was made on {server}.";

        async Task RunAsync(string sql)
        {
            NpgsqlCommand command = new(sql, connection);
            command.Parameters.AddWithValue(NpgsqlDbType.Name, name);
            await using (command.ConfigureAwait(false))
            {
                await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }
}
