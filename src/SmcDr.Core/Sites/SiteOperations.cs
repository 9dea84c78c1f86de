using System.Globalization;
using System.Runtime.CompilerServices;
using SmcDr.Core.Copies;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites;

/// <summary>From what a site file says to the engine's operations, so that every front end means the same by it.</summary>
public static class SiteOperations
{
    /// <summary>How many objects are copied to another repository at a time, where nobody says.</summary>
    public const int CopyParallelism = 4;

    /// <summary>Opens the site's repository alone, which must exist.</summary>
    public static Task<Repository> OpenRepositoryAsync(this Site site, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        return OpenAsync(OpenStore(site, site.Repository.Location), cancellationToken);
    }

    /// <summary>
    /// Opens the site's repository to restore from: what it lacks or has damaged is read from its copies, and where it does not answer
    /// at all, a copy takes its place.
    /// </summary>
    /// <param name="site">The site.</param>
    /// <param name="observer">Hears of what is read from a copy, and why.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static Task<Repository> OpenForReadingAsync(this Site site, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        return RepositoryCopies.OpenAsync(
            PlaceOf(site, site.Repository.Location), [.. CopiesOf(site)], observer, cancellationToken);
    }

    /// <summary>
    /// Opens the site's repository and its copies, each alone, to list what is in them. Without the copies it is the repository, or the
    /// first copy that answers where it does not.
    /// </summary>
    public static async IAsyncEnumerable<Repository> OpenAllAsync(
        this Site site, bool includeCopies, IOperationObserver observer, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(observer);
        (Repository repository, RepositoryPlace[] others) = await RepositoryCopies.OpenFirstAsync(
            PlaceOf(site, site.Repository.Location), [.. CopiesOf(site)], observer, cancellationToken).ConfigureAwait(false);
        yield return repository;
        foreach (RepositoryPlace place in includeCopies ? others : [])
        {
            Repository? copy = null;
            try
            {
                copy = await place.OpenAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e)
            {
                observer.Warning($"The copy at {place.Location} cannot be listed: {e.Message}");
            }

            if (copy is not null)
            {
                yield return copy;
            }
        }
    }

    /// <summary>Where backups are copied to: the place that is given, or else the site's copies.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: none is given, and the site has none.</exception>
    public static string[] CopyDestinations(this Site site, string? destination)
    {
        ArgumentNullException.ThrowIfNull(site);
        return destination is not null
            ? [destination]
            : site.Repository.Copies.Count > 0
                ? [.. site.Repository.Copies]
                : throw new SmcException(
                    SmcErrorCode.ArgumentInvalid,
                    $"The site '{site.Name}' has no copies, and no destination was given.",
                    recommendation: $"Give -Destination (or --destination), or list locations under repository.copies in '{site.Path}'.");
    }

    /// <summary>Opens a place to copy the site's backups to; an empty one becomes a copy.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">The site's repository alone.</param>
    /// <param name="destination">The location.</param>
    /// <param name="observer">Hears how far it is, and of what is damaged.</param>
    /// <param name="parallelism">How many objects are copied at a time; <see cref="CopyParallelism"/> where null.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static Task<RepositoryCopy> OpenCopyAsync(
        this Site site,
        Repository repository,
        string destination,
        IOperationObserver observer,
        int? parallelism,
        CancellationToken cancellationToken)
    {
        IObjectStore store = OpenStore(site, destination);
        return RepositoryCopy.OpenAsync(
            repository, store, token => OpenAsync(store, token), observer, parallelism ?? CopyParallelism, cancellationToken);
    }

    /// <summary>
    /// Copies a backup that was just taken, and the WAL, to the site's copies. The backup stands, whatever becomes of that: a failure is a
    /// warning, and <see cref="BackupInfo.CopyState"/> says so.
    /// </summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">The site's repository alone.</param>
    /// <param name="backup">The backup.</param>
    /// <param name="observer">Hears how far it is, and of what failed.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<BackupInfo> CopyBackupAsync(
        this Site site, Repository repository, BackupInfo backup, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(backup);
        ArgumentNullException.ThrowIfNull(observer);
        if (site.Repository.Copies.Count == 0)
        {
            return backup;
        }

        bool isComplete = true;
        foreach (string location in site.Repository.Copies)
        {
            try
            {
                RepositoryCopy copy = await site.OpenCopyAsync(repository, location, observer, null, cancellationToken).ConfigureAwait(false);
                BackupCopyResult result = await copy.CopyBackupAsync(
                    Enum.Parse<Component>(backup.Component), backup.Id, cancellationToken).ConfigureAwait(false);
                isComplete &= result.Problems.Count == 0;
                if (backup.SystemId is { } systemId)
                {
                    BackupCopyResult wal = await copy.CopyWalAsync(
                        ulong.Parse(systemId, CultureInfo.InvariantCulture), null, cancellationToken).ConfigureAwait(false);
                    isComplete &= wal.Problems.Count == 0;
                }
            }
            catch (SmcException e)
            {
                isComplete = false;
                observer.Warning($"The backup '{backup.Id}' is complete, and was not copied to {location}: {e.Message} {e.Recommendation}");
            }
        }

        return backup with { CopyState = isComplete ? "Complete" : "Incomplete" };
    }

    /// <summary>Opens the site's repository, and makes it where there is none yet.</summary>
    public static Task<Repository> OpenOrCreateRepositoryAsync(this Site site, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        return Repository.OpenOrCreateAsync(OpenStore(site, site.Repository.Location), cancellationToken);
    }

    /// <summary>How a base backup of the primary database is taken.</summary>
    public static BaseBackupOptions CreateBackupOptions(this Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        return new BaseBackupOptions { Site = site.Name, Slot = site.GetDatabase().Slot };
    }

    /// <summary>What receives the WAL of the primary database.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">Where the WAL goes.</param>
    /// <param name="secrets">Gives the password.</param>
    /// <param name="slot">The replication slot; null = the site's, empty = a temporary one.</param>
    /// <param name="observer">Hears of interruptions.</param>
    public static WalReceiver CreateWalReceiver(
        this Site site, Repository repository, SecretResolver secrets, string? slot, IOperationObserver observer)
    {
        DatabaseSettings database = site.GetDatabase();
        string name = slot ?? database.Slot;
        return new WalReceiver(
            database.CreateConnector(secrets),
            repository,
            new WalReceiverOptions { Slot = name.Length == 0 ? null : name },
            observer);
    }

    /// <summary>A recovery of the primary database on this host, to the end of the archive.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">Where backups and WAL are.</param>
    /// <param name="dataDirectory">The directory to restore to; null = the site's.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: nobody says which directory.</exception>
    public static RecoveryRequest CreateRecoveryRequest(this Site site, Repository repository, string? dataDirectory)
    {
        DatabaseSettings database = site.GetDatabase();
        return new RecoveryRequest
        {
            Repository = repository,
            DataDirectory = dataDirectory ?? database.DataDirectory ?? throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The site '{site.Name}' does not say which data directory its database has, and none was given.",
                recommendation: $"Give -DataDirectory (or --data-directory), or add 'dataDirectory' to the database in '{site.Path}'."),
            BinDirectory = database.BinDirectory,
            OsUser = database.OsUser,
        };
    }

    private static RepositoryPlace PlaceOf(Site site, string location)
    {
        IObjectStore store = OpenStore(site, location);
        return new RepositoryPlace(store.Location, token => OpenAsync(store, token));
    }

    private static IEnumerable<RepositoryPlace> CopiesOf(Site site) => site.Repository.Copies.Select(location => PlaceOf(site, location));

    private static Task<Repository> OpenAsync(IObjectStore store, CancellationToken cancellationToken) =>
        Repository.OpenAsync(store, cancellationToken);

    private static IObjectStore OpenStore(Site site, string location)
    {
        // Who asks for encryption must not get backups in clear without a word.
        return site.Repository.EncryptionKey is null
            ? ObjectStoreFactory.Open(location)
            : throw new SmcException(
                SmcErrorCode.SiteInvalid,
                $"The site '{site.Name}' asks for an encrypted repository, and this version does not encrypt.",
                recommendation: $"Remove 'encryptionKey' from '{site.Path}' and protect the storage itself, by its own encryption and access rules.",
                target: site.Path);
    }
}
