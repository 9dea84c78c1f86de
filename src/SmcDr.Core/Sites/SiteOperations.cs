using SmcDr.Core.Leases;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Postgres.Preparation;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Recovery;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites;

/// <summary>From what a site file says to the engine's operations, so that every front end means the same by it.</summary>
public static class SiteOperations
{
    // Whoever asks what can be recovered often asks because the server is down.
    private static readonly TimeSpan s_answerTime = TimeSpan.FromSeconds(5);

    /// <summary>How a base backup of the primary database is taken.</summary>
    public static BaseBackupOptions CreateBackupOptions(this Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        return new BaseBackupOptions
        {
            Site = site.Name,
            Slot = site.GetDatabase().Slot,
            FullInterval = site.Repository.FullEvery,
            Fencing = site.GetFencingScope(),
        };
    }

    /// <summary>On whose behalf the primary region's WAL is written.</summary>
    public static FencingScope GetFencingScope(this Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        return new FencingScope(site.Name, site.PrimaryRegion.Name);
    }

    /// <summary>How a logical backup of the primary region's databases is taken.</summary>
    public static LogicalBackupOptions CreateLogicalBackupOptions(this Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        return new LogicalBackupOptions { Site = site.Name, BinDirectory = site.GetDatabase().BinDirectory };
    }

    /// <summary>What receives the WAL of the primary database.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">Where the WAL goes.</param>
    /// <param name="secrets">Gives the password.</param>
    /// <param name="slot">The replication slot; null = the site's, empty = a temporary one.</param>
    /// <param name="options">
    /// How else; that it is the only stream, and its slot, are set here, and where it spills, unless that is given: empty = nowhere.
    /// </param>
    /// <param name="spillLimit">How much it may spill; null = what the site says.</param>
    /// <param name="observer">Hears of interruptions.</param>
    public static WalReceiver CreateWalReceiver(
        this Site site,
        Repository repository,
        SecretResolver secrets,
        string? slot,
        WalReceiverOptions options,
        long? spillLimit,
        IOperationObserver observer)
    {
        DatabaseSettings database = site.GetDatabase();
        string name = slot ?? database.Slot;
        string? spill = options.SpillDirectory ?? site.WalStream.SpillDirectory;
        if (spillLimit is not null && string.IsNullOrEmpty(spill))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "A limit is given for what is spilled, and no directory.",
                recommendation: $"Give -SpillDirectory (or --spill-directory), or add 'walStream: {{ spillDirectory: … }}' to '{site.Path}'.");
        }

        return new WalReceiver(
            site.CreateConnector(secrets),
            repository,
            options with
            {
                Slot = name.Length == 0 ? null : name,
                Exclusive = true,
                Fencing = site.GetFencingScope(),
                SpillDirectory = string.IsNullOrEmpty(spill) ? null : spill,
                SpillLimit = spillLimit ?? site.WalStream.SpillLimit ?? options.SpillLimit,
            },
            observer);
    }

    /// <summary>What can be recovered, and what would be lost now, where the site's server can be asked.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">The repository.</param>
    /// <param name="secrets">Gives the password.</param>
    /// <param name="isOffline">Whether no server is asked.</param>
    /// <param name="observer">Is warned of backups that have no window because something of them cannot be read.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static Task<IReadOnlyList<RecoveryWindow>> ListWindowsAsync(
        this Site site,
        Repository repository,
        SecretResolver secrets,
        bool isOffline,
        IOperationObserver observer,
        CancellationToken cancellationToken) => site.ListWindowsAsync(repository, null, secrets, isOffline, observer, cancellationToken);

    /// <summary>The same of the backups that count.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">The repository.</param>
    /// <param name="isMeant">Which base backups count; null = all in the repository, also those of other sites.</param>
    /// <param name="secrets">Gives the password.</param>
    /// <param name="isOffline">Whether no server is asked.</param>
    /// <param name="observer">Is warned of backups that have no window because something of them cannot be read.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    internal static Task<IReadOnlyList<RecoveryWindow>> ListWindowsAsync(
        this Site site,
        Repository repository,
        Func<BackupHeader, bool>? isMeant,
        SecretResolver secrets,
        bool isOffline,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        return !isOffline && site.PrimaryRegion.Database is { } database
            ? WalWindows.ListAsync(repository, site.CreateConnector(secrets), database.Slot, s_answerTime, isMeant, observer, cancellationToken)
            : WalWindows.ListAsync(repository, isMeant, observer, cancellationToken);
    }

    /// <summary>What makes the primary database's server ready for backups and the WAL stream.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives the site's password.</param>
    /// <param name="administrator">A superuser and its password; null = the site's own user.</param>
    /// <param name="role">The role that backups connect as and its password; null = the site's user.</param>
    /// <param name="isPreview">Whether nothing will be approved.</param>
    /// <param name="approve">Is asked before each change.</param>
    public static ServerPreparation CreatePreparation(
        this Site site,
        SecretResolver secrets,
        (string User, Func<CancellationToken, ValueTask<string?>>? Password)? administrator,
        (string User, Func<CancellationToken, ValueTask<string?>>? Password)? role,
        bool isPreview,
        Func<PreparationChange, Task<bool>> approve)
    {
        DatabaseSettings database = site.GetDatabase();
        PostgresConnector own = site.CreateConnector(secrets);
        return new ServerPreparation(
            administrator is { } admin ? own.WithUser(admin.User, admin.Password) : own,
            new ServerPreparationOptions
            {
                Slot = database.Slot,
                IsPreview = isPreview,
                Backup = role is { } other ? own.WithUser(other.User, other.Password) : own,
                Password = role is { } given ? given.Password : database.GetPassword(site.PrimaryRegion, secrets),
            },
            approve);
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
            Site = site.Name,
            // Of a database in a workload it is found out there.
            DataDirectory = dataDirectory ?? database.DataDirectory ?? (database.Workload is not null ? "" : null) ?? throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The site '{site.Name}' does not say which data directory its database has, and none was given.",
                recommendation: $"Give -DataDirectory (or --data-directory), or add 'dataDirectory' to the database in '{site.Path}'."),
            BinDirectory = database.BinDirectory,
            OsUser = database.OsUser,
        };
    }
}
