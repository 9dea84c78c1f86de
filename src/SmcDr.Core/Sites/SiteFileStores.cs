using SmcDr.Core.FileStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites;

/// <summary>From the file stores of a site file to the engine's operations, so that every front end means the same by it.</summary>
public static class SiteFileStores
{
    /// <summary>The file stores of these names, each once and in the site's order; all of them where no name is given.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: the site has none, or none of such a name.</exception>
    public static IReadOnlyList<FileStoreSettings> GetFileStores(this Site site, IReadOnlyCollection<string> names)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(names);
        if (site.FileStores.Count == 0)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The site '{site.Name}' has no file stores.",
                recommendation: $"Add them to '{site.Path}', such as: fileStores: [ {{ name: config, path: /etc/smc-trading }} ].",
                target: site.Path);
        }

        if (names.FirstOrDefault(name => site.FileStores.All(store => store.Name != name)) is { } unknown)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"The site '{site.Name}' has no file store '{unknown}'.",
                recommendation: $"Give one of its file stores: {string.Join(", ", site.FileStores.Select(static store => store.Name))}.",
                target: unknown);
        }

        return [.. site.FileStores.Where(store => names.Count == 0 || names.Contains(store.Name))];
    }

    /// <summary>How a file store of the site is backed up.</summary>
    public static FileStoreBackupOptions CreateBackupOptions(this Site site, FileStoreSettings store)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(store);
        return new FileStoreBackupOptions { Site = site.Name, Exclude = store.Exclude, OneFileSystem = store.OneFileSystem };
    }

    /// <summary>The backup of a file store that is meant: the one of an id, or the site's newest of a name.</summary>
    /// <param name="site">The site.</param>
    /// <param name="repository">Where it is.</param>
    /// <param name="id">The backup's id; null for the newest.</param>
    /// <param name="name">The file store's name; null where the repository holds one of the site only, or an id is given.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.BackupNotFound"/>: there is none. <see cref="SmcErrorCode.BackupUnsuitable"/>: it is that of another file
    /// store. <see cref="SmcErrorCode.ArgumentInvalid"/>: there are several file stores, and none was named.
    /// </exception>
    public static async Task<BackupReader> OpenFileStoreBackupAsync(
        this Site site, Repository repository, string? id, string? name, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(repository);
        if (id is null)
        {
            BackupHeader? newest = null;
            SortedSet<string> found = new(StringComparer.Ordinal);
            await foreach (BackupEntry entry in repository.ListBackupsAsync(Component.FileStore, cancellationToken).ConfigureAwait(false))
            {
                if (entry.Header?.FileStore is { } details && (name is null || details.Name == name) && entry.Header.MayBeOf(site.Name))
                {
                    newest = entry.Header;
                    found.Add(details.Name);
                }
            }

            if (found.Count > 1)
            {
                throw new SmcException(
                    SmcErrorCode.ArgumentInvalid,
                    $"The repository at {repository.Location} holds several file stores of the site '{site.Name}': {string.Join(", ", found)}.",
                    recommendation: "Name the one that you want to restore.",
                    target: repository.Location);
            }

            id = newest?.Id ?? throw new SmcException(
                SmcErrorCode.BackupNotFound,
                name is null
                    ? $"There is no backup of a file store of the site '{site.Name}' in {repository.Location}."
                    : $"There is no backup of the file store '{name}' of the site '{site.Name}' in {repository.Location}.",
                target: name ?? repository.Location);
        }

        BackupReader reader = await repository.OpenBackupAsync(Component.FileStore, id, cancellationToken).ConfigureAwait(false);
        string? stored = reader.Header.FileStore?.Name;
        return name is null || stored == name
            ? reader
            : throw new SmcException(
                SmcErrorCode.BackupUnsuitable, $"The backup '{id}' is that of file store '{stored}', not of '{name}'.", target: id);
    }
}
