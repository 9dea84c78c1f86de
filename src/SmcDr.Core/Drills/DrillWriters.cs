using System.Net.Sockets;
using Npgsql;
using NpgsqlTypes;
using SmcDr.Core.Postgres;

namespace SmcDr.Core.Drills;

/// <summary>
/// Writers that keep committing as applications do: an order at a time, of which each is noted, with transfers between users and
/// short-lived sessions in between.
/// </summary>
internal sealed class DrillWriters : WriterPool
{
    private DrillWriters(int count)
        : base(count)
    {
    }

    /// <summary>Opens the writers' connections and starts them.</summary>
    /// <param name="connector">The drill's database.</param>
    /// <param name="count">How many there are.</param>
    /// <param name="firstId">The first order id; every writer takes the next number that is its own.</param>
    /// <param name="cancellationToken">Stops the start.</param>
    public static async Task<DrillWriters> StartAsync(
        PostgresConnector connector, int count, long firstId, CancellationToken cancellationToken)
    {
        DrillWriters writers = new(count);
        try
        {
            for (int i = 0; i < count; i++)
            {
                NpgsqlConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
                int writer = i;
                writers.Start(() => writers.WriteAsync(connection, writer, firstId + writer));
            }

            return writers;
        }
        catch
        {
            await writers.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async Task WriteAsync(NpgsqlConnection connection, int writer, long firstId)
    {
        DrillLedger ledger = LedgerOf(writer);
        Random random = new(writer);
        using PeriodicTimer pace = CreatePace();
        try
        {
            await using (connection.ConfigureAwait(false))
            {
                long users = await DrillDatabase.ScalarAsync<long>(
                    connection, "SELECT max(id) FROM public.users", CancellationToken.None).ConfigureAwait(false);
                using NpgsqlBatch order = OrderBatch(connection);
                using NpgsqlBatch transfer = TransferBatch(connection);
                using NpgsqlBatch session = SessionBatch(connection);
                uint? previous = null;
                // A statement that was sent is waited for, so that its outcome is known: stopping happens in between.
                for (long round = 0; !IsStopping; round++)
                {
                    previous = await OrderAsync(order, ledger, firstId + (round * Count), writer, previous).ConfigureAwait(false);
                    if (round % 5 == 0)
                    {
                        long from = 1 + random.NextInt64(users);
                        long to = 1 + random.NextInt64(users);
                        // Rows are locked in one order by all writers, so that none waits for another in a circle.
                        decimal amount = random.Next(1, 10_000) / 100m * (from < to ? 1 : -1);
                        (from, to) = (Math.Min(from, to), Math.Max(from, to));
                        foreach (NpgsqlBatchCommand command in transfer.BatchCommands)
                        {
                            command.Parameters[0].Value = from;
                            command.Parameters[1].Value = to;
                            command.Parameters[2].Value = amount;
                        }

                        await transfer.ExecuteNonQueryAsync().ConfigureAwait(false);
                    }

                    if (round % 7 == 0)
                    {
                        session.BatchCommands[0].Parameters[0].Value = 1 + random.NextInt64(users);
                        await session.ExecuteNonQueryAsync().ConfigureAwait(false);
                    }

                    await pace.WaitForNextTickAsync().ConfigureAwait(false);
                }
            }
        }
        catch (Exception e) when (e is NpgsqlException or SocketException or IOException or ObjectDisposedException)
        {
            if (!IsServerGone)
            {
                throw new SmcException(
                    SmcErrorCode.ServerUnavailable, $"A writer of the drill lost its server: {e.Message}", e);
            }
        }
    }

    /// <summary>Inserts one order. In the same round trip it asks when the one before was committed, by the server's clock.</summary>
    private static async Task<uint> OrderAsync(NpgsqlBatch order, DrillLedger ledger, long id, int writer, uint? previous)
    {
        order.BatchCommands[0].Parameters[0].Value = previous is { } transaction ? transaction : DBNull.Value;
        order.BatchCommands[1].Parameters[0].Value = id;
        order.BatchCommands[1].Parameters[1].Value = writer;
        uint own;
        DateTime? committed;
        ledger.Sending(id, DateTimeOffset.UtcNow);
        // The reader is at its end only when the server is ready for the next query: that is the acknowledgement of the commit.
        NpgsqlDataReader reader = await order.ExecuteReaderAsync().ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            await reader.ReadAsync().ConfigureAwait(false);
            committed = await reader.IsDBNullAsync(0).ConfigureAwait(false) ? null : reader.GetDateTime(0);
            await reader.NextResultAsync().ConfigureAwait(false);
            await reader.ReadAsync().ConfigureAwait(false);
            own = reader.GetFieldValue<uint>(0);
            while (await reader.NextResultAsync().ConfigureAwait(false))
            {
            }
        }

        ledger.LastAcknowledged(DateTimeOffset.UtcNow);
        if (committed is { } time)
        {
            ledger.PreviousCommitted(new DateTimeOffset(time, TimeSpan.Zero));
        }

        return own;
    }

    private static NpgsqlBatch OrderBatch(NpgsqlConnection connection) => new(connection)
    {
        BatchCommands =
        {
            new NpgsqlBatchCommand("SELECT pg_xact_commit_timestamp($1)")
            {
                Parameters = { new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Xid } },
            },
            new NpgsqlBatchCommand(
                "INSERT INTO public.orders (id, writer, content) VALUES ($1, $2, md5($1::text)) RETURNING pg_current_xact_id()::xid")
            {
                Parameters =
                {
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bigint },
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Integer },
                },
            },
        },
    };

    private static NpgsqlBatch TransferBatch(NpgsqlConnection connection)
    {
        NpgsqlBatch batch = new(connection);
        foreach (string sql in new[]
        {
            "UPDATE public.users SET balance = balance - $3 WHERE id = $1 AND $2::bigint IS NOT NULL",
            "UPDATE public.users SET balance = balance + $3 WHERE id = $2 AND $1::bigint IS NOT NULL",
            "INSERT INTO public.transfers (from_user, to_user, amount) VALUES ($1, $2, $3)",
        })
        {
            batch.BatchCommands.Add(new NpgsqlBatchCommand(sql)
            {
                Parameters =
                {
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bigint },
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bigint },
                    new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Numeric },
                },
            });
        }

        return batch;
    }

    private static NpgsqlBatch SessionBatch(NpgsqlConnection connection) => new(connection)
    {
        BatchCommands =
        {
            new NpgsqlBatchCommand("INSERT INTO public.sessions (token, user_id) VALUES (gen_random_uuid(), $1)")
            {
                Parameters = { new NpgsqlParameter { NpgsqlDbType = NpgsqlDbType.Bigint } },
            },
            new NpgsqlBatchCommand(
                "DELETE FROM public.sessions WHERE ctid = ANY (ARRAY(SELECT ctid FROM public.sessions WHERE seen_at < now() - interval '2 seconds' LIMIT 2 FOR UPDATE SKIP LOCKED))"),
        },
    };
}
