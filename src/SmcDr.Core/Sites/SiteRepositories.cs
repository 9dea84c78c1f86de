using System.Globalization;
using System.Runtime.CompilerServices;
using SmcDr.Core.Copies;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites;

/// <summary>Opens the repository of a site and its copies, so that every front end means the same by it.</summary>
public static class SiteRepositories
{
    /// <summary>How many objects are copied to another repository at a time, where nobody says.</summary>
    public const int CopyParallelism = 4;

    /// <summary>Opens the site's repository alone, which must exist: for who writes to it, or decides by what is in it.</summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives the key of an encrypted one.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static Task<Repository> OpenRepositoryAsync(this Site site, SecretResolver secrets, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        return OpenAsync(site, secrets, ObjectStoreFactory.Open(site.Repository.Location), cancellationToken);
    }

    /// <summary>Opens the site's repository, and makes it where there is none yet.</summary>
    /// <inheritdoc cref="OpenRepositoryAsync"/>
    public static async Task<Repository> OpenOrCreateRepositoryAsync(
        this Site site, SecretResolver secrets, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        using RepositoryKeySource? key = await site.ResolveKeyAsync(secrets, cancellationToken).ConfigureAwait(false);
        IObjectStore store = ObjectStoreFactory.Open(site.Repository.Location);
        await site.EnsureNothingIsMissingAsync(store, cancellationToken).ConfigureAwait(false);
        return await Repository.OpenOrCreateAsync(store, key, site.Tell(secrets), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What opens the site's repository; null where the site does not ask for an encrypted one.</summary>
    public static async Task<RepositoryKeySource?> ResolveKeyAsync(this Site site, SecretResolver secrets, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        return await site.ResolveForgetfulKeyAsync(secrets, cancellationToken).ConfigureAwait(false) is { } key
            ? new RememberingKeySource(key, site.Keys)
            : null;
    }

    /// <summary>The same, without what was opened by it before: for the proof that it opens now.</summary>
    internal static async Task<RepositoryKeySource?> ResolveForgetfulKeyAsync(this Site site, SecretResolver secrets, CancellationToken cancellationToken) =>
        site.Repository.EncryptionKey is { } reference
            ? await reference.ResolveAsync(secrets.Of(site.PrimaryRegion), cancellationToken).ConfigureAwait(false)
            : null;

    /// <summary>
    /// Opens the site's repository to restore from: what it lacks or has damaged is read from its copies, and where it does not answer
    /// at all, a copy takes its place.
    /// </summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives the key of an encrypted one.</param>
    /// <param name="observer">Hears of what is read from a copy, and why.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static Task<Repository> OpenForReadingAsync(
        this Site site, SecretResolver secrets, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        return RepositoryCopies.OpenAsync(
            PlaceOf(site, secrets, site.Repository.Location), [.. CopiesOf(site, secrets)], observer, cancellationToken);
    }

    /// <summary>
    /// Opens the site's repository and its copies, each alone, to list what is in them. Without the copies it is the repository, or the
    /// first copy that answers where it does not.
    /// </summary>
    public static async IAsyncEnumerable<Repository> OpenAllAsync(
        this Site site,
        SecretResolver secrets,
        bool includeCopies,
        IOperationObserver observer,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(observer);
        (Repository repository, RepositoryPlace[] others) = await RepositoryCopies.OpenFirstAsync(
            PlaceOf(site, secrets, site.Repository.Location), [.. CopiesOf(site, secrets)], observer, cancellationToken).ConfigureAwait(false);
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

    /// <summary>The site as if one of its places were all that it has: for who must not be given anything from another.</summary>
    /// <param name="site">The site.</param>
    /// <param name="location">The repository's location, or that of a copy.</param>
    public static Site At(this Site site, string location)
    {
        ArgumentNullException.ThrowIfNull(site);
        return site with { Repository = site.Repository with { Location = location, Copies = [] } };
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
    /// <param name="secrets">Gives the key of an encrypted one.</param>
    /// <param name="repository">The site's repository alone.</param>
    /// <param name="destination">The location.</param>
    /// <param name="observer">Hears how far it is, and of what is damaged.</param>
    /// <param name="parallelism">How many objects are copied at a time; <see cref="CopyParallelism"/> where null.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static Task<RepositoryCopy> OpenCopyAsync(
        this Site site,
        SecretResolver secrets,
        Repository repository,
        string destination,
        IOperationObserver observer,
        int? parallelism,
        CancellationToken cancellationToken)
    {
        IObjectStore store = ObjectStoreFactory.Open(destination);
        return RepositoryCopy.OpenAsync(
            repository, store, token => OpenAsync(site, secrets, store, token), observer, parallelism ?? CopyParallelism, cancellationToken);
    }

    /// <summary>
    /// Copies a backup that was just taken, and the WAL behind a physical one, to the site's copies. The backup stands, whatever becomes of that: a failure is a
    /// warning, and <see cref="BackupInfo.CopyState"/> says so.
    /// </summary>
    /// <param name="site">The site.</param>
    /// <param name="secrets">Gives the key of an encrypted one.</param>
    /// <param name="repository">The site's repository alone.</param>
    /// <param name="backup">The backup.</param>
    /// <param name="observer">Hears how far it is, and of what failed.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<BackupInfo> CopyBackupAsync(
        this Site site,
        SecretResolver secrets,
        Repository repository,
        BackupInfo backup,
        IOperationObserver observer,
        CancellationToken cancellationToken)
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
                RepositoryCopy copy = await site.OpenCopyAsync(secrets, repository, location, observer, null, cancellationToken).ConfigureAwait(false);
                BackupCopyResult result = await copy.CopyBackupAsync(
                    Enum.Parse<Component>(backup.Component), backup.Id, cancellationToken).ConfigureAwait(false);
                isComplete &= result.Problems.Count == 0;

                // Of a logical backup the cluster is known as well, but no WAL can be replayed on it.
                if (backup is { StartLsn: not null, SystemId: { } systemId })
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

    /// <summary>
    /// Throws where there is no repository and a copy of one: it is not the first backup that is taken now, and another repository could never
    /// be copied there.
    /// </summary>
    private static async Task EnsureNothingIsMissingAsync(this Site site, IObjectStore store, CancellationToken cancellationToken)
    {
        if (site.Repository.Copies.Count == 0 || await Repository.TryReadIdAsync(store, cancellationToken).ConfigureAwait(false) is not null)
        {
            return;
        }

        foreach (string location in site.Repository.Copies)
        {
            IObjectStore copy = ObjectStoreFactory.Open(location);
            await using (copy.ConfigureAwait(false))
            {
                Guid? id;
                try
                {
                    id = await Repository.TryReadIdAsync(copy, cancellationToken).ConfigureAwait(false);
                }
                catch (SmcException)
                {
                    // It says nothing, and is told of when it is copied to.
                    continue;
                }

                if (id is not null)
                {
                    throw new SmcException(
                        SmcErrorCode.RepositoryNotFound,
                        $"There is no repository at {store.Location}, and a copy of one at {copy.Location}. No new one is made in its place.",
                        recommendation: "Check that the storage is mounted, and that the location is right. Where the repository is lost, make the copy " +
                            "the site's repository (repository.location), or take it out of repository.copies to begin a new one.",
                        target: store.Location);
                }
            }
        }
    }

    private static RepositoryPlace PlaceOf(Site site, SecretResolver secrets, string location)
    {
        IObjectStore store = ObjectStoreFactory.Open(location);
        return new RepositoryPlace(store.Location, token => OpenAsync(site, secrets, store, token));
    }

    private static IEnumerable<RepositoryPlace> CopiesOf(Site site, SecretResolver secrets) =>
        site.Repository.Copies.Select(location => PlaceOf(site, secrets, location));

    private static async Task<Repository> OpenAsync(
        Site site, SecretResolver secrets, IObjectStore store, CancellationToken cancellationToken)
    {
        using RepositoryKeySource? key = await site.ResolveKeyAsync(secrets, cancellationToken).ConfigureAwait(false);
        return await Repository.OpenAsync(store, key, site.Tell(secrets), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Warns of what is wrong with a repository that opens all the same; of each once, however often the site's repositories are opened.</summary>
    private static Action<string> Tell(this Site site, SecretResolver secrets) => problem =>
    {
        if (site.Keys.TryTell(problem))
        {
            secrets.Observer.Warning(problem);
        }
    };
}
