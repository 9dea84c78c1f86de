using System.Globalization;
using SmcDr.Core.Redis.Rdb;

namespace SmcDr.Core.Redis.Restore;

/// <summary>Compares values and times to live of single keys with what the backup has of them.</summary>
/// <param name="expiryCommand">The command that tells when a key expires: <c>PEXPIRETIME</c>, or <c>PTTL</c> where there is no such.</param>
/// <param name="clock">The server's clock.</param>
internal sealed class SampleComparison(string expiryCommand, ServerClock clock)
{
    private const int KeysAtOnce = 50;
    private const int ShownKeys = 3;

    /// <summary>How far a time to live may be off that a server tells as what is left of it.</summary>
    private const long ExpiryTolerance = 2000;

    private readonly List<string> _different = [];

    /// <summary>How many keys were compared.</summary>
    public long SampledKeys { get; private set; }

    /// <summary>How many of them are not as in the backup.</summary>
    public long MismatchedKeys { get; private set; }

    /// <summary>What is wrong, as a sentence; null where nothing is.</summary>
    public string? Problem => MismatchedKeys == 0 ? null : string.Create(
        CultureInfo.InvariantCulture,
        $"{MismatchedKeys:N0} of {SampledKeys:N0} keys that were compared are not as in the backup, unless clients have changed them since: {string.Join(", ", _different)}.");

    /// <summary>Compares keys with what a server has.</summary>
    /// <param name="connection">A connection to the server.</param>
    /// <param name="keys">The keys.</param>
    /// <param name="isCluster">Whether it is a node of a cluster, which has no databases to choose from.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task RunAsync(
        RedisConnection connection, IEnumerable<SampledKey> keys, bool isCluster, CancellationToken cancellationToken)
    {
        // From Redis 7.2 on a key that is compared does not count as used. Older ones do not know the command.
        await connection.TryExecuteAsync(new RedisCommand("CLIENT", "NO-TOUCH", "ON"), cancellationToken).ConfigureAwait(false);
        foreach (IGrouping<int, SampledKey> database in keys.GroupBy(static key => key.Database))
        {
            if (!isCluster)
            {
                await connection.ExecuteAsync(new RedisCommand("SELECT", database.Key), cancellationToken).ConfigureAwait(false);
            }

            foreach (SampledKey[] some in database.Chunk(KeysAtOnce))
            {
                await CompareAsync(connection, some, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async Task CompareAsync(RedisConnection connection, SampledKey[] keys, CancellationToken cancellationToken)
    {
        RedisReply[] replies = await connection.ExecuteManyAsync(
            [.. keys.SelectMany(key => new[] { new RedisCommand("DUMP", key.Key), new RedisCommand(expiryCommand, key.Key) })],
            cancellationToken).ConfigureAwait(false);
        long now = clock.Now;
        for (int i = 0; i < keys.Length; i++)
        {
            (SampledKey key, RedisReply dump, RedisReply expiry) = (keys[i], replies[2 * i], replies[(2 * i) + 1]);
            // What has expired is rightly gone, and what has moved to another node is asked of nobody.
            if (dump.IsError || expiry.IsError || key.ExpiresAt <= now + 1000)
            {
                continue;
            }

            bool? isSame = IsSameValue(key, dump);
            if (isSame is null)
            {
                continue;
            }

            SampledKeys++;
            if (isSame == false || !IsSameExpiry(key, expiry.Integer, now))
            {
                MismatchedKeys++;
                if (_different.Count < ShownKeys)
                {
                    _different.Add(string.Create(CultureInfo.InvariantCulture, $"{KeyText.Of(key.Key)} of database {key.Database}"));
                }
            }
        }
    }

    /// <summary>Whether the server's value is the backup's; null where that cannot be said.</summary>
    private static bool? IsSameValue(SampledKey key, RedisReply dump)
    {
        ReadOnlySpan<byte> bytes = dump.Bytes.Span;
        if (bytes.Length <= RdbDump.FooterLength)
        {
            return false;
        }

        RdbEncoding encoding = (RdbEncoding)bytes[0];
        return RdbShapes.Of(bytes[0]) is null ? null
            : RdbShapes.TypeOf(encoding) != RdbShapes.TypeOf(key.Encoding) ? false
            : RdbValueDigest.TryCompute(encoding, bytes[1..^RdbDump.FooterLength], out UInt128 digest) ? digest == key.Digest
            : null;
    }

    private bool IsSameExpiry(SampledKey key, long found, long now)
    {
        if (key.ExpiresAt is not { } expected)
        {
            return found == -1;
        }

        return expiryCommand == "PTTL"
            ? Math.Abs(now + found - expected) <= ExpiryTolerance
            : found == expected;
    }
}
