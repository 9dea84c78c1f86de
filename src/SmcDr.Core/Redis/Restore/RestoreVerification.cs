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
    private readonly SampleComparison _comparison = new(target.ExpiryCommand, target.Clock);

    /// <summary>Whether values were compared, where there were any.</summary>
    public bool IsCompared { get; private set; }

    public long SampledKeys => _comparison.SampledKeys;

    public long MismatchedKeys => _comparison.MismatchedKeys;

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
                await _comparison.RunAsync(connection, byNode[node], target.IsCluster, cancellationToken).ConfigureAwait(false);
            }
        }

        if (_comparison.Problem is { } problem)
        {
            tally.AddProblem(problem);
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
}
