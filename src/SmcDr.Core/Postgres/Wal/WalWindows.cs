using System.Globalization;
using System.Runtime.CompilerServices;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>What can truly be restored: base backups, each with the unbroken WAL behind it.</summary>
public static class WalWindows
{
    /// <summary>
    /// The recovery windows of all clusters in a repository, by base backup, oldest first. A base backup without all the WAL from its start
    /// to its stop cannot be made consistent, and has none.
    /// </summary>
    public static async IAsyncEnumerable<RecoveryWindow> ListAsync(
        Repository repository, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        Dictionary<ulong, (WalArchive Archive, WalCatalog Catalog)> archives = [];
        await foreach (BackupEntry backup in repository.ListBackupsAsync(Component.Database, cancellationToken).ConfigureAwait(false))
        {
            if (backup.Header?.Database is not { } database ||
                !ulong.TryParse(database.SystemId, NumberStyles.None, CultureInfo.InvariantCulture, out ulong systemId))
            {
                continue;
            }

            if (!archives.TryGetValue(systemId, out (WalArchive Archive, WalCatalog Catalog) known))
            {
                WalArchive archive = new(repository, systemId);
                archives[systemId] = known = (archive, await archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false));
            }

            WalCoverage coverage;
            try
            {
                coverage = await known.Archive.GetCoverageAsync(
                    known.Catalog, database.Timeline, database.StartLsn, database.StopLsn, null, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.ObjectNotFound)
            {
                // Pieces have become a segment since they were listed.
                archives[systemId] = known with { Catalog = await known.Archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false) };
                coverage = await known.Archive.GetCoverageAsync(
                    database.Timeline, database.StartLsn, database.StopLsn, null, cancellationToken).ConfigureAwait(false);
            }

            if (coverage.EndLsn >= database.StopLsn)
            {
                yield return new RecoveryWindow
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
                };
            }
        }
    }
}
