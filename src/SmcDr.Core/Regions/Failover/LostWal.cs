using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Regions.Failover;

/// <summary>What the WAL of a former primary holds behind the point at which its timeline was left.</summary>
/// <param name="EndLsn">Where its last record ends.</param>
/// <param name="Commits">How many transactions were committed in it.</param>
/// <param name="FirstCommit">When the first of them was.</param>
/// <param name="LastCommit">When the last of them was.</param>
internal sealed record LostWal(Lsn EndLsn, long Commits, DateTimeOffset? FirstCommit, DateTimeOffset? LastCommit)
{
    private const int PageSize = 8192;

    /// <summary>Reads the files of a server on this host, as far as they hold records; null where the file in which the timeline was left is gone.</summary>
    /// <param name="dataDirectory">The server's data directory.</param>
    /// <param name="timeline">The timeline that was left.</param>
    /// <param name="left">Where.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<LostWal?> ReadAsync(string dataDirectory, uint timeline, Lsn left, CancellationToken cancellationToken)
    {
        ControlFile control = await ControlFile.ReadAsync(dataDirectory, cancellationToken).ConfigureAwait(false);
        int size = control.WalSegmentSize;
        WalSegmentName name = WalSegmentName.Containing(left, timeline, size);
        long commits = 0;
        DateTimeOffset? first = null;
        DateTimeOffset? last = null;
        WalRecordScanner scanner = new(name.StartLsn(size), timeline, size, control.SystemId)
        {
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
        bool isFirst = true;
        for (; ; name = name.Next(size))
        {
            string path = Path.Combine(dataDirectory, BackupFileRules.Wal, name.ToString());
            if (!File.Exists(path))
            {
                return isFirst ? null : Result();
            }

            isFirst = false;
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
                        return Result();
                    }
                }
            }
        }

        LostWal Result() => new(scanner.LastRecordEnd, commits, first, last);
    }
}
