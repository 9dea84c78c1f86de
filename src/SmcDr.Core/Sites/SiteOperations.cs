using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites;

/// <summary>From what a site file says to the engine's operations, so that every front end means the same by it.</summary>
public static class SiteOperations
{
    /// <summary>Opens the site's repository, which must exist.</summary>
    public static Task<Repository> OpenRepositoryAsync(this Site site, CancellationToken cancellationToken)
    {
        return Repository.OpenAsync(OpenStore(site), cancellationToken);
    }

    /// <summary>Opens the site's repository, and makes it where there is none yet.</summary>
    public static Task<Repository> OpenOrCreateRepositoryAsync(this Site site, CancellationToken cancellationToken)
    {
        return Repository.OpenOrCreateAsync(OpenStore(site), cancellationToken);
    }

    /// <summary>How a base backup of the primary database is taken.</summary>
    public static BaseBackupOptions CreateBackupOptions(this Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        return new BaseBackupOptions { Site = site.Name, Slot = site.GetDatabase().Slot };
    }

    /// <summary>How a logical backup of the primary region's databases is taken.</summary>
    public static LogicalBackupOptions CreateLogicalBackupOptions(this Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        return new LogicalBackupOptions { Site = site.Name, BinDirectory = site.GetDatabase().BinDirectory };
    }

    /// <summary>Opens a backup of databases where it is a logical one; null where it is another or is not there.</summary>
    public static async Task<BackupReader?> TryOpenLogicalBackupAsync(this Site site, string backupId, CancellationToken cancellationToken)
    {
        Repository repository = await site.OpenRepositoryAsync(cancellationToken).ConfigureAwait(false);
        return RepositoryKeys.IsId(backupId) &&
            await repository.TryFindAsync(Component.Database, backupId, cancellationToken).ConfigureAwait(false) is { Header.Logical: not null }
                ? await repository.OpenBackupAsync(Component.Database, backupId, cancellationToken).ConfigureAwait(false)
                : null;
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

    private static IObjectStore OpenStore(Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        // Who asks for encryption must not get backups in clear without a word.
        return site.Repository.EncryptionKey is null
            ? ObjectStoreFactory.Open(site.Repository.Location)
            : throw new SmcException(
                SmcErrorCode.SiteInvalid,
                $"The site '{site.Name}' asks for an encrypted repository, and this version does not encrypt.",
                recommendation: $"Remove 'encryptionKey' from '{site.Path}' and protect the storage itself, by its own encryption and access rules.",
                target: site.Path);
    }
}
