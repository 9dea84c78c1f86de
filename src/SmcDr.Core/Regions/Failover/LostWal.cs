using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Postgres.Wal.Searching;

namespace SmcDr.Core.Regions.Failover;

/// <summary>What the WAL of a former primary holds behind the point at which its history was left.</summary>
/// <param name="EndLsn">Where its last record ends.</param>
/// <param name="Commits">How many transactions were committed in it.</param>
/// <param name="FirstCommit">When the first of them was.</param>
/// <param name="LastCommit">When the last of them was.</param>
/// <param name="Unread">How many records the watcher could not take apart, so that it may not tell of all rows.</param>
internal sealed record LostWal(Lsn EndLsn, long Commits, DateTimeOffset? FirstCommit, DateTimeOffset? LastCommit, long Unread)
{
    private const int PageSize = 8192;

    // So many segments before that point are read as well, where they are there: what began in them is then seen whole.
    private const int Before = 8;

    /// <summary>Reads the files of a server on this host, as far as they hold records; null where the file in which the history was left is gone.</summary>
    /// <param name="dataDirectory">The server's data directory.</param>
    /// <param name="walDirectory">Where the files are; null = in its <c>pg_wal</c>.</param>
    /// <param name="lineage">The server's timelines, newest first.</param>
    /// <param name="left">Where its history was left.</param>
    /// <param name="watcher">Looks at all records; null = nobody does.</param>
    /// <param name="onPage">Called after each page, when the watcher may have found something.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<LostWal?> ReadAsync(
        string dataDirectory,
        string? walDirectory,
        IReadOnlyList<uint> lineage,
        Lsn left,
        TransactionWatcher? watcher,
        Func<Task>? onPage,
        CancellationToken cancellationToken)
    {
        ControlFile control = await ControlFile.ReadAsync(dataDirectory, cancellationToken).ConfigureAwait(false);
        string folder = walDirectory ?? Path.Combine(dataDirectory, BackupFileRules.Wal);
        int size = control.WalSegmentSize;
        ulong number = left.Value / (uint)size;
        if (Find(folder, lineage, number, size) is null)
        {
            return null;
        }

        for (int i = 0; i < Before && watcher is not null && number > 0 && Find(folder, lineage, number - 1, size) is not null; i++)
        {
            number--;
        }

        long commits = 0;
        long unread = 0;
        DateTimeOffset? first = null;
        DateTimeOffset? last = null;
        WalRecordScanner scanner = new(new Lsn(number * (uint)size), lineage[0], size, control.SystemId)
        {
            SelectsRecord = watcher is null ? null : TransactionWatcher.Selects,
            // The scanner would take such a record for the end of the WAL, and its checksum says that it is none.
            OnRecord = watcher is null ? null : record =>
            {
                unread += watcher.Take(record) ? 0 : 1;
                return true;
            },
            OnTransaction = transaction =>
            {
                if (transaction.IsCommit && transaction.EndLsn > left)
                {
                    commits++;
                    first ??= transaction.Time;
                    last = transaction.Time;
                }
            },
        };
        byte[] page = new byte[PageSize];
        for (; Find(folder, lineage, number, size) is { } path; number++)
        {
            FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            await using (file.ConfigureAwait(false))
            {
                while (file.Position < size)
                {
                    await file.ReadExactlyAsync(page, cancellationToken).ConfigureAwait(false);
                    try
                    {
                        scanner.Append(page);
                    }
                    catch (SmcException e) when (e.Code == SmcErrorCode.WalInvalid)
                    {
                        // Behind the last record lies what the file held before it was used again.
                        await (onPage?.Invoke() ?? Task.CompletedTask).ConfigureAwait(false);
                        return Result();
                    }

                    await (onPage?.Invoke() ?? Task.CompletedTask).ConfigureAwait(false);
                }
            }
        }

        return Result();

        LostWal Result() => new(scanner.LastRecordEnd, commits, first, last, unread);
    }

    /// <summary>The file of a segment: of several timelines, the newest goes on from the others.</summary>
    private static string? Find(string folder, IReadOnlyList<uint> lineage, ulong number, int size) => lineage
        .Select(timeline => Path.Combine(folder, WalSegmentName.FromNumber(timeline, number, size).ToString()))
        .FirstOrDefault(File.Exists);
}
