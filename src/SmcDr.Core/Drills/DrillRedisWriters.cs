using SmcDr.Core.Redis;

namespace SmcDr.Core.Drills;

/// <summary>Writers that keep writing to Redis: an order at a time, each under a key of its own, and the next only when that one is acknowledged.</summary>
internal sealed class DrillRedisWriters : WriterPool
{
    private DrillRedisWriters(int count)
        : base(count)
    {
    }

    /// <summary>Opens the writers' connections and starts them.</summary>
    /// <param name="connector">The drill's Redis.</param>
    /// <param name="count">How many there are.</param>
    /// <param name="cancellationToken">Stops the start.</param>
    public static async Task<DrillRedisWriters> StartAsync(RedisConnector connector, int count, CancellationToken cancellationToken)
    {
        DrillRedisWriters writers = new(count);
        try
        {
            for (int i = 0; i < count; i++)
            {
                RedisConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
                int writer = i;
                writers.Start(() => writers.WriteAsync(connection, writer));
            }

            return writers;
        }
        catch
        {
            await writers.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async Task WriteAsync(RedisConnection connection, int writer)
    {
        DrillLedger ledger = LedgerOf(writer);
        using PeriodicTimer pace = CreatePace();
        try
        {
            await using (connection.ConfigureAwait(false))
            {
                await connection.ExecuteAsync(new RedisCommand("SELECT", DrillRedisData.Orders), CancellationToken.None).ConfigureAwait(false);
                // A command that was sent is waited for, so that its outcome is known: stopping happens in between.
                for (long id = 1 + writer; !IsStopping; id += Count)
                {
                    ledger.Sending(id, DateTimeOffset.UtcNow);
                    await connection.ExecuteAsync(
                        new RedisCommand("SET", DrillRedisData.KeyOf(id), DrillRedisData.ContentOf(id)), CancellationToken.None).ConfigureAwait(false);
                    ledger.LastAcknowledged(DateTimeOffset.UtcNow);
                    await pace.WaitForNextTickAsync().ConfigureAwait(false);
                }
            }
        }
        catch (SmcException) when (IsServerGone)
        {
            // As was to be expected.
        }
    }
}
