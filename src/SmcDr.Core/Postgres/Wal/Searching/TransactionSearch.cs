using System.Globalization;
using System.Runtime.CompilerServices;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal.Searching;

/// <summary>Finds, in archived WAL, the committed transactions that somebody may wish to take back.</summary>
public static class TransactionSearch
{
    private const string Activity = "Search of the write-ahead log";
    private const int MaximumReads = 8;
    private const int ReadBytes = 128 << 20;

    // Clocks of concurrent commits are read a little before their records are written, in any order.
    private static readonly TimeSpan s_disorder = TimeSpan.FromMinutes(1);

    /// <summary>Opens the archive of a cluster in a repository, or the only one that there is.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.ObjectNotFound"/>: there is none. <see cref="SmcErrorCode.ArgumentInvalid"/>: there are several.
    /// </exception>
    public static async Task<WalArchive> OpenArchiveAsync(Repository repository, ulong? systemId, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        if (systemId is { } given)
        {
            return new WalArchive(repository, given);
        }

        List<ulong> systems = [];
        await foreach (ulong system in WalArchive.ListSystemsAsync(repository, cancellationToken).ConfigureAwait(false))
        {
            systems.Add(system);
        }

        return systems switch
        {
            [var only] => new WalArchive(repository, only),
            [] => throw new SmcException(
                SmcErrorCode.ObjectNotFound,
                $"There is no write-ahead log in '{repository.Location}'.",
                recommendation: "Bring it by Start-SmcWalStream or 'smcdr wal stream', or by Import-SmcWal or 'smcdr wal import'."),
            _ => throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"There is write-ahead log of {systems.Count} database clusters in '{repository.Location}'.",
                recommendation: $"Give the system identifier of one of them: {string.Join(", ", systems)}."),
        };
    }

    /// <summary>Searches. Results come as they are found, in the order of their commits.</summary>
    /// <param name="archive">The archive.</param>
    /// <param name="options">What is looked for.</param>
    /// <param name="connector">A server of the cluster that can tell names; null = none.</param>
    /// <param name="observer">Hears of progress, and of WAL that cannot be read.</param>
    /// <param name="cancellationToken">Stops the search.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.ObjectNotFound"/>: no WAL is archived. <see cref="SmcErrorCode.ArgumentInvalid"/>,
    /// <see cref="SmcErrorCode.TimelineMismatch"/>.
    /// </exception>
    public static async IAsyncEnumerable<TransactionInfo> FindAsync(
        WalArchive archive,
        TransactionSearchOptions options,
        PostgresConnector? connector,
        IOperationObserver observer,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(archive);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        if (options.MinimumRows < 1)
        {
            throw new SmcException(SmcErrorCode.ArgumentInvalid, "The least number of rows is 1.");
        }

        if (options.From > options.To || options.FromLsn > options.ToLsn)
        {
            throw new SmcException(SmcErrorCode.ArgumentInvalid, "The search would end before it begins.");
        }

        WalStretch stretch = await WalStretch.OpenAsync(archive, options, cancellationToken).ConfigureAwait(false);
        RelationNames? names = connector is null
            ? null
            : await RelationNames.OpenAsync(connector, archive.SystemId, observer, cancellationToken).ConfigureAwait(false);
        try
        {
            TransactionReport report = new(archive, stretch.History, options, names);
            List<FoundTransaction> found = [];
            TransactionWatcher watcher = new(options.MinimumRows, found.Add);
            WalRecordScanner? scanner = null;
            await foreach ((WalItem? item, byte[] content, string? problem) in ReadAsync(archive, stretch, cancellationToken).ConfigureAwait(false))
            {
                observer.Progress(new OperationProgress(
                    Activity, item?.Name.ToString() ?? "", stretch.Done, stretch.Total, ProgressUnit.Items));
                if (problem is not null || scanner?.Position != item!.StartLsn)
                {
                    string? why = problem ?? (scanner is null ? null : $"Write-ahead log is missing from {scanner.Position} on.");
                    if (why is not null)
                    {
                        observer.Warning($"{why} What was committed there is not found, and rows are counted anew behind it.");
                    }

                    watcher.Restart();
                    scanner = item is null ? null : NewScanner(item, stretch, archive, watcher);
                }

                if (item is not null)
                {
                    try
                    {
                        scanner!.Append(content);
                    }
                    catch (SmcException e) when (e.Code == SmcErrorCode.WalInvalid)
                    {
                        observer.Warning($"{e.Message} What was committed there is not found, and rows are counted anew behind it.");
                        watcher.Restart();
                        scanner = null;
                    }
                }

                foreach (FoundTransaction transaction in found)
                {
                    if (await report.DescribeAsync(transaction, cancellationToken).ConfigureAwait(false) is { } result)
                    {
                        yield return result;
                    }
                }

                found.Clear();
            }
        }
        finally
        {
            observer.Progress(new OperationProgress(Activity, "", stretch.Done, stretch.Total, ProgressUnit.Items) { IsCompleted = true });
            if (names is not null)
            {
                await names.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    private static WalRecordScanner NewScanner(WalItem item, WalStretch stretch, WalArchive archive, TransactionWatcher watcher) =>
        new(item.StartLsn, stretch.History.Timeline, item.SegmentSize, archive.SystemId)
        {
            SelectsRecord = TransactionWatcher.Selects,
            OnRecord = watcher.Take,
        };

    /// <summary>Reads segments ahead of the scan, in order, as many at once as fit the memory that is given to it.</summary>
    private static async IAsyncEnumerable<(WalItem? Item, byte[] Content, string? Problem)> ReadAsync(
        WalArchive archive, WalStretch stretch, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using CancellationTokenSource leave = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Queue<Task<(WalItem? Item, byte[] Content, string? Problem)>> reads = new();
        int most = Math.Clamp(ReadBytes / stretch.SegmentSize, 1, MaximumReads);
        try
        {
            int next = 0;
            while (next < stretch.Count || reads.Count > 0)
            {
                while (next < stretch.Count && reads.Count < most)
                {
                    int index = next++;
                    reads.Enqueue(Task.Run(() => ReadOneAsync(archive, stretch, index, leave.Token), leave.Token));
                }

                (WalItem? Item, byte[] Content, string? Problem) read = await reads.Dequeue().ConfigureAwait(false);
                if (read.Item?.Index.FirstCommitTime > stretch.Options.To?.Add(s_disorder))
                {
                    yield break;
                }

                stretch.Done++;
                yield return read;
            }
        }
        finally
        {
            await leave.CancelAsync().ConfigureAwait(false);
            foreach (Task read in reads)
            {
                await read.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private static async Task<(WalItem? Item, byte[] Content, string? Problem)> ReadOneAsync(
        WalArchive archive, WalStretch stretch, int index, CancellationToken cancellationToken)
    {
        try
        {
            return await stretch.LoadAsync(index, cancellationToken).ConfigureAwait(false) is { } item
                ? (item, await archive.ReadAsync(item, cancellationToken).ConfigureAwait(false), null)
                : (null, [], string.Create(CultureInfo.InvariantCulture, $"The WAL segment '{stretch.Name(index)}' has no beginning."));
        }
        catch (SmcException e) when (e.Code is SmcErrorCode.ChecksumMismatch or SmcErrorCode.ManifestInvalid or SmcErrorCode.WalDuplicate)
        {
            return (null, [], e.Message);
        }
    }
}
