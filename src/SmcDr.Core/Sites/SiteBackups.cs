using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Verification;

namespace SmcDr.Core.Sites;

/// <summary>What a site says about the backups that it has, so that every front end means the same by it.</summary>
public static class SiteBackups
{
    /// <summary>Which backups the site keeps; null where it keeps all.</summary>
    public static RetentionPolicy? GetRetentionPolicy(this Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        return site.Repository.Retention is { } settings ? RetentionPolicy.From(settings) : null;
    }

    /// <summary>Of what there must be backups: of a database, physical ones; of the configuration, such with the site's namespace and its Secrets.</summary>
    public static IReadOnlyList<ExpectedBackup> GetExpectedBackups(this Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        // Several sites may share a repository, and a Redis server has no identity that outlives it.
        IEnumerable<ExpectedBackup> database = site.PrimaryRegion.Database is null ? [] : [new ExpectedBackup(Component.Database, null, site.Name)];
        IEnumerable<ExpectedBackup> redis = site.PrimaryRegion.Redis is null ? [] : [new ExpectedBackup(Component.Redis, site.Name)];
        IEnumerable<ExpectedBackup> configuration = site.PrimaryRegion.Kubernetes is not { } kubernetes
            ? []
            : [new ExpectedBackup(Component.Configuration, site.Name) { Namespace = kubernetes.Namespace }];
        return [.. database, .. redis, .. configuration, .. site.FileStores.Select(store => new ExpectedBackup(Component.FileStore, store.Name, site.Name))];
    }

    /// <summary>Locks a backup that was just completed for as long as the site asks for; does nothing where it asks for nothing.</summary>
    public static async Task LockNewBackupAsync(
        this Site site, Repository repository, BackupInfo backup, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(backup);
        if (site.Repository.Retention?.Lock is not { } duration)
        {
            return;
        }

        try
        {
            await new BackupProtections(repository).LockAsync(
                Enum.Parse<Component>(backup.Component),
                backup.Id,
                DateTimeOffset.UtcNow + duration,
                ObjectLockMode.Governance,
                observer,
                cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.LockUnsupported)
        {
            throw new SmcException(
                e.Code,
                $"The backup '{backup.Id}' is complete, but cannot be locked as the site asks for: {e.Message}",
                e,
                recommendation: "Remove 'repository.retention.lock' from the site file, or keep the repository in an S3 bucket with Object Lock.",
                target: backup.Id);
        }
    }

    /// <summary>Opens a backup of databases where it is a logical one; null where it is another or is not there.</summary>
    public static async Task<BackupReader?> TryOpenLogicalBackupAsync(
        this Repository repository, string id, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        return RepositoryKeys.IsId(id) &&
            await repository.TryFindAsync(Component.Database, id, cancellationToken).ConfigureAwait(false) is { Header.Logical: not null }
                ? await repository.OpenBackupAsync(Component.Database, id, cancellationToken).ConfigureAwait(false)
                : null;
    }

    /// <summary>The component of the backup that has an id.</summary>
    /// <exception cref="SmcException">None has it, or several have.</exception>
    public static async Task<Component> FindComponentAsync(
        this Repository repository, string id, Component? component, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        List<Component> found = [];
        if (RepositoryKeys.IsId(id))
        {
            foreach (Component one in component is { } given ? [given] : Enum.GetValues<Component>())
            {
                if (await repository.TryFindAsync(one, id, cancellationToken).ConfigureAwait(false) is not null)
                {
                    found.Add(one);
                }
            }
        }

        return found.Count switch
        {
            1 => found[0],
            0 => throw new SmcException(
                SmcErrorCode.BackupNotFound, $"There is no backup '{id}' in {repository.Location}.", target: id),
            _ => throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The components {string.Join(" and ", found)} both have a backup '{id}'.",
                recommendation: "Give -Component (or --component) as well.",
                target: id),
        };
    }

    /// <summary>The view of a protection that users see.</summary>
    public static ProtectionInfo ToInfo(this BackupProtection protection, string repository)
    {
        ArgumentNullException.ThrowIfNull(protection);
        return new ProtectionInfo
        {
            BackupId = protection.BackupId,
            Component = protection.Component.ToString(),
            Kind = protection.Kind == BackupProtection.Hold ? "Hold" : "Lock",
            Until = protection.Until,
            Reason = protection.Reason,
            Mode = protection.Mode,
            By = protection.By,
            CreatedTime = protection.CreatedTime,
            Repository = repository,
        };
    }
}
