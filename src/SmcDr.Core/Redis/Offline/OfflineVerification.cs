using System.Globalization;
using SmcDr.Core.Operations;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Redis.Offline;

/// <summary>Compares what a server has loaded with what the backup says that it holds.</summary>
internal sealed class OfflineVerification(BackupHeader header, OfflineLayout layout)
{
    private readonly List<string> _problems = [];
    private readonly RedisContent? _content = header.Redis!.Content;
    private bool _areValuesCompared;

    public IReadOnlyList<string> Problems => _problems;

    /// <summary>How many keys the server took.</summary>
    public long Restored { get; private set; }

    /// <summary>How many had passed their time, by the server's clock.</summary>
    public long Expired { get; private set; }

    /// <summary>How many are missing.</summary>
    public long Failed { get; private set; }

    /// <summary>Whether counts and values could be compared.</summary>
    public bool IsCompared => _content is not null && _areValuesCompared;

    /// <summary>How many keys were compared by their values.</summary>
    public long SampledKeys { get; private set; }

    /// <summary>How many of them are not as in the backup.</summary>
    public long MismatchedKeys { get; private set; }

    /// <summary>Compares counts, functions and the state of the append-only file.</summary>
    public void Compare(RedisInfo info)
    {
        if (!info.IsMaster)
        {
            _problems.Add($"The server has become a replica of {info["master_host"]}:{info["master_port"]} meanwhile, and its data is what that has: Sentinel or an operator has changed the master.");
        }

        CompareKeys(info);
        CompareFunctions(info);
        if (layout.IsAppendOnly && info.Number("aof_enabled") is not 1)
        {
            _problems.Add("The server was restored with an append-only file, and runs without one: after its next start it would have other data.");
        }
        else if (layout.IsAppendOnly && (info["aof_last_write_status"] is not (null or "ok") || info["aof_last_bgrewrite_status"] is not (null or "ok")))
        {
            _problems.Add($"The server cannot write its append-only file (last write: {info["aof_last_write_status"]}, last rewrite: {info["aof_last_bgrewrite_status"]}).");
        }
    }

    /// <summary>Compares the values and times to live of some keys.</summary>
    /// <returns>Why that could not be done, as a sentence; null where it was.</returns>
    public async Task<string?> CompareAsync(
        RedisConnector connector, IReadOnlyList<SampledKey>? sample, IOperationObserver observer, CancellationToken cancellationToken)
    {
        if (sample is null or { Count: 0 })
        {
            // A backup whose values are all too long for it has nothing to compare.
            _areValuesCompared = sample is not null;
            return null;
        }

        observer.Progress(new OperationProgress(RedisOnlineRestore.Activity, $"Comparing what Redis at {connector.Display} has with the backup"));
        RedisConnection connection = await connector.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            if (!connection.Knows("DUMP"))
            {
                return $"Values on Redis at {connector.Display} cannot be compared with the backup: the command DUMP was taken away there.";
            }

            ComparingRights rights = await ComparingRights.AskAsync(connection, sample[0].Key, cancellationToken).ConfigureAwait(false);
            if (rights.Refusal is { } refusal)
            {
                return $"Values on Redis at {connector.Display} cannot be compared with the backup: {refusal}.";
            }

            SampleComparison comparison = new(rights.ExpiryCommand, await ServerClock.ReadAsync(connection, cancellationToken).ConfigureAwait(false));
            await comparison.RunAsync(connection, sample, header.Redis!.Mode == "cluster", cancellationToken).ConfigureAwait(false);
            (SampledKeys, MismatchedKeys, _areValuesCompared) = (comparison.SampledKeys, comparison.MismatchedKeys, true);
            if (comparison.Problem is { } problem)
            {
                _problems.Add(problem);
            }
        }

        return null;
    }

    private void CompareKeys(RedisInfo info)
    {
        long present = info.Databases.Sum(static database => database.Keys);
        // Counted while it loaded, so that what clients do since does not matter (Redis 7.0).
        long? loaded = info.Number("rdb_last_load_keys_loaded");
        Expired = info.Number("rdb_last_load_keys_expired") ?? 0;
        Restored = loaded ?? present;
        if (_content is null)
        {
            return;
        }

        if (loaded is null)
        {
            Expired = Math.Clamp(_content.Keys - present, 0, _content.Expires);
        }

        Failed = Math.Max(0, _content.Keys - Restored - Expired);
        if (Failed > 0)
        {
            _problems.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"The backup has {_content.Keys:N0} keys, and the server has loaded {Restored:N0}{(Expired > 0 ? $"; {Expired:N0} had expired" : "")}."));
        }

        foreach (RedisDatabaseContent database in _content.Databases)
        {
            long found = info.Databases.FirstOrDefault(one => one.Database == database.Database)?.Keys ?? 0;
            if (found < database.Keys - database.Expires)
            {
                _problems.Add(string.Create(
                    CultureInfo.InvariantCulture,
                    $"Database {database.Database} has {found:N0} keys, and the backup has {database.Keys - database.Expires:N0} there that do not expire: they were not loaded, or clients have removed them since."));
            }
        }
    }

    private void CompareFunctions(RedisInfo info)
    {
        if (_content is { Functions.Count: > 0 } content && info.Number("number_of_libraries") is { } found && found < content.Functions.Count)
        {
            _problems.Add(string.Create(
                CultureInfo.InvariantCulture, $"The backup has {content.Functions.Count} libraries of functions, and the server has {found}."));
        }
    }
}
