using System.Globalization;
using System.Runtime.CompilerServices;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>What can truly be restored: base backups, each with the unbroken WAL behind it, as far as there are keys for them.</summary>
public static class WalWindows
{
    /// <summary>
    /// The recovery windows of all clusters in a repository, by base backup, oldest first. A base backup without all the WAL from its start
    /// to its stop cannot be made consistent, and has none.
    /// </summary>
    public static IAsyncEnumerable<RecoveryWindow> ListAsync(Repository repository, CancellationToken cancellationToken) =>
        ListAsync(repository, NullObserver.Instance, cancellationToken);

    /// <inheritdoc cref="ListAsync(Repository, CancellationToken)"/>
    /// <param name="repository">The repository.</param>
    /// <param name="observer">Is warned of backups that have no window because something of them cannot be read.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async IAsyncEnumerable<RecoveryWindow> ListAsync(
        Repository repository, IOperationObserver observer, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach ((RecoveryWindow window, WalCoverage _) in FindAsync(repository, null, observer, cancellationToken).ConfigureAwait(false))
        {
            yield return window;
        }
    }

    /// <inheritdoc cref="ListAsync(Repository, CancellationToken)"/>
    /// <param name="repository">The repository.</param>
    /// <param name="isMeant">Which base backups count.</param>
    /// <param name="observer">Is warned of backups that have no window because something of them cannot be read.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    internal static async Task<IReadOnlyList<RecoveryWindow>> ListAsync(
        Repository repository, Func<BackupHeader, bool>? isMeant, IOperationObserver observer, CancellationToken cancellationToken)
    {
        List<RecoveryWindow> windows = [];
        await foreach ((RecoveryWindow window, WalCoverage _) in FindAsync(repository, isMeant, observer, cancellationToken).ConfigureAwait(false))
        {
            windows.Add(window);
        }

        return windows;
    }

    /// <summary>The same, and in the newest window of the server's cluster what would be lost if the server were gone now.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="connector">The server. Where it does not answer, the window says so.</param>
    /// <param name="slot">The slot of the stream; null = it is not looked at.</param>
    /// <param name="timeout">How long the server may take.</param>
    /// <param name="observer">Is warned of backups that have no window because something of them cannot be read.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static Task<IReadOnlyList<RecoveryWindow>> ListAsync(
        Repository repository,
        PostgresConnector connector,
        string? slot,
        TimeSpan timeout,
        IOperationObserver observer,
        CancellationToken cancellationToken) => ListAsync(repository, connector, slot, timeout, null, observer, cancellationToken);

    /// <inheritdoc cref="ListAsync(Repository, PostgresConnector, string, TimeSpan, IOperationObserver, CancellationToken)"/>
    /// <param name="repository">The repository.</param>
    /// <param name="connector">The server. Where it does not answer, the window says so.</param>
    /// <param name="slot">The slot of the stream; null = it is not looked at.</param>
    /// <param name="timeout">How long the server may take.</param>
    /// <param name="isMeant">Which base backups count; null = all.</param>
    /// <param name="observer">Is warned of backups that have no window because something of them cannot be read.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    internal static async Task<IReadOnlyList<RecoveryWindow>> ListAsync(
        Repository repository,
        PostgresConnector connector,
        string? slot,
        TimeSpan timeout,
        Func<BackupHeader, bool>? isMeant,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(observer);
        List<(RecoveryWindow Window, WalCoverage Coverage)> found = [];
        await foreach ((RecoveryWindow Window, WalCoverage Coverage) one in FindAsync(repository, isMeant, observer, cancellationToken).ConfigureAwait(false))
        {
            found.Add(one);
        }

        if (found.Count > 0)
        {
            UnarchivedWal loss = await UnarchivedWal
                .MeasureAsync(connector, [.. found.Select(static one => one.Coverage)], slot, timeout, cancellationToken).ConfigureAwait(false);
            int i = loss.Coverage is null ? found.Count - 1 : found.FindIndex(one => one.Coverage == loss.Coverage);
            RecoveryWindow window = found[i].Window;
            if (loss is { Coverage: { } end, Acknowledged: { } acknowledged } && acknowledged > end.EndLsn)
            {
                await WarnOfSpillAsync(repository, slot!, end, acknowledged, observer, cancellationToken).ConfigureAwait(false);
            }

            found[i] = found[i] with
            {
                Window = window with
                {
                    LossBytes = loss.Bytes,
                    LossSeconds = loss.OldestCommit is { } oldest ? Math.Max(0, (loss.ServerTime - oldest).TotalSeconds)
                        : loss.IsSearched ? 0
                        : loss.Bytes is null ? null
                        : Math.Max(0, (loss.ServerTime - (window.LatestTime ?? window.EarliestTime)).TotalSeconds),
                    LossProblem = loss.Problem,
                },
            };
        }

        return [.. found.Select(static one => one.Window)];
    }

    private static async IAsyncEnumerable<(RecoveryWindow Window, WalCoverage Coverage)> FindAsync(
        Repository repository, Func<BackupHeader, bool>? isMeant, IOperationObserver observer, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(observer);
        Dictionary<ulong, (WalArchive Archive, WalCatalog Catalog)> archives = [];
        await foreach (BackupEntry backup in repository.ListBackupsAsync(Component.Database, cancellationToken).ConfigureAwait(false))
        {
            if (backup.Problem is { } problem && !BackupKinds.IsLogical(backup.Start?.Kind))
            {
                Warn(observer, backup, problem);
            }

            if (backup.Header?.Database is not { } database || isMeant?.Invoke(backup.Header) == false ||
                !ulong.TryParse(database.SystemId, NumberStyles.None, CultureInfo.InvariantCulture, out ulong systemId))
            {
                continue;
            }

            WalCoverage coverage;
            try
            {
                if (backup.IsEncrypted)
                {
                    await CheckKeysAsync(repository, backup.Header, cancellationToken).ConfigureAwait(false);
                }

                if (!archives.TryGetValue(systemId, out (WalArchive Archive, WalCatalog Catalog) known))
                {
                    WalArchive archive = new(repository, systemId);
                    archives[systemId] = known = (archive, await archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false));
                }

                try
                {
                    coverage = await known.Archive
                        .GetCoverageAsync(
                            known.Catalog, database.Timeline, database.StartLsn, database.StopLsn, null, cancellationToken, endsAtUnreadable: true)
                        .ConfigureAwait(false);
                }
                catch (SmcException e) when (e.Code == SmcErrorCode.ObjectNotFound)
                {
                    // Pieces have become a segment since they were listed.
                    archives[systemId] = known with { Catalog = await known.Archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false) };
                    coverage = await known.Archive
                        .GetReadableCoverageAsync(database.Timeline, database.StartLsn, database.StopLsn, null, cancellationToken).ConfigureAwait(false);
                }
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.KeyMissing or SmcErrorCode.ObjectNotFound || SmcErrors.IsDamage(e.Code))
            {
                Warn(observer, backup, e);
                continue;
            }

            if (coverage.Unreadable is { } closed)
            {
                observer.Warning($"The window of the backup '{backup.Id}' ends at {coverage.EndLsn}, before WAL that cannot be read: {closed.Message}");
            }

            if (coverage.EndLsn >= database.StopLsn)
            {
                yield return (
                    new RecoveryWindow
                    {
                        BackupId = backup.Id,
                        SystemId = database.SystemId,
                        Timeline = (int)coverage.EndTimeline,
                        EarliestTime = database.StopTime,
                        LatestTime = coverage.LastCommitTime > database.StopTime ? coverage.LastCommitTime : null,
                        EarliestLsn = database.StopLsn.ToString(),
                        LatestLsn = coverage.EndLsn.ToString(),
                        WalBytes = coverage.Length,
                        Gap = coverage.Gap?.ToString(),
                        Repository = repository.Location,
                    },
                    coverage);
            }
        }
    }

    /// <summary>
    /// Opens one pack of each earlier backup that this one refers to: all packs of a backup are encrypted with the key that was the newest
    /// when it began, which the header of this one does not tell.
    /// </summary>
    private static async Task CheckKeysAsync(Repository repository, BackupHeader header, CancellationToken cancellationToken)
    {
        foreach (PackUse use in header.Uses ?? [])
        {
            foreach (int number in use.Numbers().Take(1))
            {
                string key = RepositoryKeys.Pack(Component.Database, use.Backup, number);
                _ = await repository.ReadAsync(
                    key,
                    async (store, token) =>
                    {
                        Stream stream = await store.OpenReadAsync(key, 0, 1, token).ConfigureAwait(false);
                        await using (stream.ConfigureAwait(false))
                        {
                            return await stream.ReadAsync(new byte[1], token).ConfigureAwait(false);
                        }
                    },
                    cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>
    /// A stream that spills tells the server that WAL is durable which is on its own host only. Listed again, because one that works has brought
    /// more since the windows were listed.
    /// </summary>
    private static async Task WarnOfSpillAsync(
        Repository repository, string slot, WalCoverage end, Lsn acknowledged, IOperationObserver observer, CancellationToken cancellationToken)
    {
        WalArchive archive = new(repository, end.SystemId);
        WalCatalog catalog = await archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false);
        if (end.Items.Count > 0 && catalog.FindEnd(end.Items[0].SegmentSize) >= acknowledged)
        {
            return;
        }

        IReadOnlyList<StreamHolder> holders = await StreamClaim.ListHoldersAsync(repository, end.SystemId, cancellationToken).ConfigureAwait(false);
        observer.Warning(
            $"The slot '{slot}' was told that WAL up to {acknowledged} is durable, and {repository.Location} has it up to {end.EndLsn}: the rest may be " +
            $"spilled {StreamHolder.DescribeSpills(holders)}. Until the stream there has brought it, it is on that host only.");
    }

    private static void Warn(IOperationObserver observer, BackupEntry backup, SmcException problem) =>
        observer.Warning($"The backup '{backup.Id}' cannot be restored here, so it has no window: {problem.Message}");
}
