using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Retention;

/// <summary>What lies in the folder of a backup. Objects that SmcDr does not know are not among it, and stay.</summary>
internal sealed class BackupFolder
{
    private BackupFolder(string id) => Id = id;

    public string Id { get; }

    /// <summary>Marker, manifest and claim, as far as they are there.</summary>
    public Dictionary<string, ObjectInfo> Documents { get; } = new(StringComparer.Ordinal);

    /// <summary>The packs by their numbers.</summary>
    public SortedDictionary<int, ObjectInfo> Packs { get; } = [];

    /// <summary>The claim, where it can be read.</summary>
    public BackupStart? Claim { get; private set; }

    public bool HasClaim => Documents.ContainsKey("started");

    /// <summary>Whether a marker is listed: the backup is damaged, or was completed this moment.</summary>
    public bool HasMarker => Documents.ContainsKey("complete");

    public IEnumerable<ObjectInfo> Objects => Documents.Values.Concat(Packs.Values);

    public DateTimeOffset Newest => Objects.Any() ? Objects.Max(static info => info.LastModified) : DateTimeOffset.MinValue;

    public static async Task<BackupFolder> LoadAsync(
        Repository repository, Component component, string id, CancellationToken cancellationToken)
    {
        BackupFolder result = new(id);
        string folder = RepositoryKeys.Backup(component, id);
        await foreach (ObjectInfo info in repository.Store.ListAsync(folder, cancellationToken).ConfigureAwait(false))
        {
            string name = info.Key[folder.Length..];
            if (RepositoryKeys.TryParsePack(name, out int number))
            {
                result.Packs[number] = info;
            }
            else if (name is "complete" or "manifest" or "started")
            {
                result.Documents[name] = info;
            }
        }

        if (result.HasClaim)
        {
            try
            {
                result.Claim = await repository.TryReadDocumentAsync(
                    RepositoryKeys.Started(component, id), RepositoryJson.Default.BackupStart, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (Repository.IsUnreadable(e))
            {
                // There is a claim, and what it says is lost: it may build on anything.
            }
        }

        return result;
    }

    /// <summary>Whether somebody may be at work on it: it has no marker, and something of it is young.</summary>
    public bool IsAlive(DateTimeOffset deadBefore) => HasMarker || (HasClaim && Newest >= deadBefore);
}
