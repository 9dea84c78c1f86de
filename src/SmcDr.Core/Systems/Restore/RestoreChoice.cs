using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Verification;

namespace SmcDr.Core.Systems.Restore;

/// <summary>Which backup a part of a system is restored from, by one rule for the restore and for who looks for a place to restore from.</summary>
internal static class RestoreChoice
{
    /// <summary>The newest backup of a part that has nothing in it from after an instant; null where there is none.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">Where the backups are.</param>
    /// <param name="part">The part. Of a database, physical backups count alone.</param>
    /// <param name="before">The instant; null = the newest of all.</param>
    /// <param name="observer">Is told what the backup lacks.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static Task<BackupHeader?> FindAsync(
        Site site, Repository repository, ExpectedBackup part, DateTimeOffset? before, IOperationObserver observer, CancellationToken cancellationToken) =>
        part.Component == Component.Configuration
            ? site.FindConfigurationBackupAsync(repository, before, observer, cancellationToken)
            : repository.FindNewestAsync(
                part.Component, header => IsOf(site, part, header) && !(header.EndTime > before), cancellationToken);

    private static bool IsOf(Site site, ExpectedBackup part, BackupHeader header) => part.Component switch
    {
        // Several sites may share a repository.
        Component.Database => header.Database is not null && header.MayBeOf(site.Name),
        Component.Redis => header.MayBeOf(site.Name),
        _ => header.FileStore?.Name == part.Subject && header.MayBeOf(site.Name),
    };
}
