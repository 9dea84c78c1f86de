using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Redis.Rdb;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Restore;

/// <summary>
/// Compares what the servers have with the backup: how many keys there are in each database, and of some keys, chosen by chance, values and times to
/// live.
/// </summary>
internal sealed class RestoreVerification(
    RestoreTarget target, RestoreTally tally, KeySelection selection, BackupHeader header, RedisRestoreOptions options)
{
    private const int KeysAtOnce = 50;
    private const int ShownKeys = 3;

    /// <summary>How far a time to live may be off that a server tells as what is left of it.</summary>
    private const long ExpiryTolerance = 2000;

    private readonly List<string> _different = [];

    /// <summary>Whether values were compared, where there were any.</summary>
    public bool IsCompared { get; private set; }

    public long SampledKeys { get; private set; }

    public long MismatchedKeys { get; private set; }

    /// <summary>Compares; what differs is a problem of the tally.</summary>
    public async Task RunAsync(
        RdbSummary summary, IReadOnlyList<SampledKey> sample, IOperationObserver observer, CancellationToken cancellationToken)
    {
        observer.Progress(new OperationProgress(RedisOnlineRestore.Activity, $"Comparing what Redis at {target.Display} has with the backup"));
        CompareWithManifest(summary);
        ILookup<RestoreNode, SampledKey> byNode = sample.ToLookup(key => target.NodeOf(key.Key));
        IsCompared = target.CanCompare;
        foreach (RestoreNode node in target.Nodes)
        {
            RedisConnection connection = await node.Connector.OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                RedisInfo info = await RedisSource.ReadInfoAsync(connection, cancellationToken).ConfigureAwait(false);
                CompareCounts(node, info, observer);
                // From Redis 7.2 on a key that is compared does not count as used. Older ones do not know the command.
                await connection.TryExecuteAsync(new RedisCommand("CLIENT", "NO-TOUCH", "ON"), cancellationToken).ConfigureAwait(false);
                foreach (IGrouping<int, SampledKey> database in byNode[node].GroupBy(static key => key.Database))
                {
                    if (!target.IsCluster)
                    {
                        await connection.ExecuteAsync(new RedisCommand("SELECT", database.Key), cancellationToken).ConfigureAwait(false);
                    }

                    foreach (SampledKey[] keys in database.Chunk(KeysAtOnce))
                    {
                        await CompareAsync(connection, keys, cancellationToken).ConfigureAwait(false);
                    }
                }
            }
        }

        if (MismatchedKeys > 0)
        {
            tally.AddProblem(string.Create(
                CultureInfo.InvariantCulture,
                $"{MismatchedKeys:N0} of {SampledKeys:N0} keys that were compared are not as in the backup, unless clients have changed them since: {string.Join(", ", _different)}."));
        }
    }

    /// <summary>What was read now must be what was counted when the backup was taken.</summary>
    private void CompareWithManifest(RdbSummary summary)
    {
        foreach (RedisDatabaseContent stated in selection.Of(header.Redis!.Content) ?? [])
        {
            long found = summary.Databases.FirstOrDefault(database => database.Database == stated.Database)?.Keys ?? 0;
            if (found != stated.Keys)
            {
                tally.AddProblem(string.Create(
                    CultureInfo.InvariantCulture, $"The backup says that it has {stated.Keys:N0} keys in database {stated.Database}, and {found:N0} were read from it."));
            }
        }
    }

    private void CompareCounts(RestoreNode node, RedisInfo info, IOperationObserver observer)
    {
        if (info.RunId != node.Info.RunId)
        {
            tally.AddProblem($"Redis at {node.Display} was started again since the restore began, and may have lost what it had been given.");
        }

        if ((info.Number("evicted_keys") ?? 0) - (node.Info.Number("evicted_keys") ?? 0) is > 0 and var evicted)
        {
            tally.AddProblem(string.Create(
                CultureInfo.InvariantCulture,
                $"Redis at {node.Display} has removed {evicted:N0} keys meanwhile because its maxmemory was reached (policy {info["maxmemory_policy"] ?? "unknown"})."));
        }

        long now = target.Clock.Now;
        foreach (int database in tally.ListDatabases())
        {
            (long restored, long expired) = tally.GetRestored(node, database, now);
            long found = Keys(info, database);
            if (found < restored - expired)
            {
                tally.AddProblem(string.Create(
                    CultureInfo.InvariantCulture,
                    $"Database {database} of Redis at {node.Display} has {found:N0} keys, and {restored - expired:N0} at least were restored to it: they were removed meanwhile."));
            }
            else if (found > restored && (options.Empty || Keys(node.Info, database) == 0))
            {
                observer.Warning(string.Create(
                    CultureInfo.InvariantCulture,
                    $"Database {database} of Redis at {node.Display} has {found - restored:N0} keys that are not from the backup: clients write to it."));
            }
        }
    }

    private static long Keys(RedisInfo info, int database) => info.Databases.FirstOrDefault(one => one.Database == database)?.Keys ?? 0;

    private async Task CompareAsync(RedisConnection connection, SampledKey[] keys, CancellationToken cancellationToken)
    {
        RedisReply[] replies = await connection.ExecuteManyAsync(
            [.. keys.SelectMany(key => new[] { new RedisCommand("DUMP", key.Key), new RedisCommand(target.ExpiryCommand, key.Key) })],
            cancellationToken).ConfigureAwait(false);
        long now = target.Clock.Now;
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

        return target.ExpiryCommand == "PTTL"
            ? Math.Abs(now + found - expected) <= ExpiryTolerance
            : found == expected;
    }
}
