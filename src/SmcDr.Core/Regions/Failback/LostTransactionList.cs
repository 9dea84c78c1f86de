using System.Text.Json;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal.Searching;
using SmcDr.Core.Regions.Failover;

namespace SmcDr.Core.Regions.Failback;

/// <summary>Writes down what a former primary committed and the one that leads never saw, one transaction a line, as JSON.</summary>
internal static class LostTransactionList
{
    public const string FileName = "transactions.jsonl";

    /// <summary>Writes the list.</summary>
    /// <param name="path">Where to. It is whole when this returns.</param>
    /// <param name="dataDirectory">The data directory of the former primary.</param>
    /// <param name="lineage">Its timelines, newest first.</param>
    /// <param name="left">Where its history was left.</param>
    /// <param name="leader">The server that leads: it tells what relations are called.</param>
    /// <param name="systemId">The database cluster.</param>
    /// <param name="observer">Hears of names that cannot be told.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>What was read, and how many lines there are; null where the file in which the history was left is gone.</returns>
    public static async Task<(LostWal Wal, long Lines)?> WriteAsync(
        string path,
        string dataDirectory,
        IReadOnlyList<uint> lineage,
        Lsn left,
        PostgresConnector leader,
        ulong systemId,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        RelationNames? names = await RelationNames.OpenAsync(leader, systemId, observer, cancellationToken).ConfigureAwait(false);
        try
        {
            RelationDescriber relations = new(names);
            List<FoundTransaction> found = [];
            long lines = 0;
            FileStream file = new(path, FileMode.Create, FileAccess.Write);
            await using (file.ConfigureAwait(false))
            {
                TransactionWatcher watcher = new(1, found.Add) { TellsAll = true };
                LostWal? lost = await LostWal.ReadAsync(dataDirectory, null, lineage, left, watcher, WriteFoundAsync, cancellationToken).ConfigureAwait(false);
                file.Flush(flushToDisk: true);
                return lost is null ? null : (lost, lines);
            }

            async Task WriteFoundAsync()
            {
                foreach (FoundTransaction transaction in found.Where(transaction => transaction.EndLsn > left))
                {
                    await relations.LoadNamesAsync(transaction, cancellationToken).ConfigureAwait(false);
                    LostTransaction line = new()
                    {
                        CommitTime = transaction.Time,
                        CommitLsn = transaction.CommitLsn,
                        EndLsn = transaction.EndLsn,
                        Xid = transaction.Xid,
                        DatabaseOid = transaction.Database,
                        Database = names?.Database(transaction.Database),
                        IsPrepared = transaction.IsPrepared,
                        IsPartlySeen = transaction.IsPartlySeen,
                        Relations = [.. transaction.Relations.Select(relations.Describe)],
                    };
                    await JsonSerializer.SerializeAsync(file, line, RegionFailbackJson.Default.LostTransaction, cancellationToken).ConfigureAwait(false);
                    file.WriteByte((byte)'\n');
                    lines++;
                }

                found.Clear();
            }
        }
        finally
        {
            if (names is not null)
            {
                await names.DisposeAsync().ConfigureAwait(false);
            }
        }
    }
}
