using SmcDr.Core.Repositories;

namespace SmcDr.Core.Retention;

/// <summary>Which packs must stay, of the folders that have no complete backup.</summary>
internal sealed class PackNeeds
{
    private readonly HashSet<(string Id, int Pack)> _packs = [];
    private readonly HashSet<string> _folders = new(StringComparer.Ordinal);

    /// <summary>Why nothing at all can be said to be unneeded; null where it can.</summary>
    public string? Unknown { get; private set; }

    public bool Contains(string id, int pack) => Unknown is not null || _folders.Contains(id) || _packs.Contains((id, pack));

    /// <param name="repository">The repository.</param>
    /// <param name="inventory">What is there.</param>
    /// <param name="removed">The headers of backups that are being removed: a running backup may have claimed one of them just before.</param>
    /// <param name="isRemoved">Whether a complete backup counts as removed already, for a plan.</param>
    /// <param name="deadBefore">A backup without a marker is dead where nothing of it is younger.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<PackNeeds> FindAsync(
        Repository repository,
        BackupInventory inventory,
        IReadOnlyDictionary<string, BackupHeader> removed,
        Func<string, bool> isRemoved,
        DateTimeOffset deadBefore,
        CancellationToken cancellationToken)
    {
        PackNeeds needs = new();
        foreach ((string id, BackupHeader header) in inventory.Complete.Where(entry => !isRemoved(entry.Key)))
        {
            await needs.AddAsync(repository, id, header, cancellationToken).ConfigureAwait(false);
        }

        foreach (BackupFolder folder in inventory.Open.Values.Where(
            folder => !isRemoved(folder.Id) && (folder.IsAlive(deadBefore) || inventory.Damaged.ContainsKey(folder.Id))))
        {
            needs._folders.Add(folder.Id);
            if (folder.Claim is null)
            {
                needs.Unknown ??= $"the claim of the backup '{folder.Id}' cannot be read";
            }
            else if (folder.Claim.Parent is not { } parent || (inventory.Complete.ContainsKey(parent) && !isRemoved(parent)))
            {
                // It refers to nothing earlier, or to what is counted with its parent.
            }
            else if (removed.TryGetValue(parent, out BackupHeader? header))
            {
                await needs.AddAsync(repository, parent, header, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                needs.Unknown ??= $"the backup '{folder.Id}' builds on '{parent}', which is not there any more";
            }
        }

        return needs;
    }

    private async Task AddAsync(Repository repository, string id, BackupHeader header, CancellationToken cancellationToken)
    {
        _folders.Add(id);
        try
        {
            if (header.Uses is { } uses)
            {
                foreach (PackUse use in uses)
                {
                    _packs.UnionWith(use.Numbers().Select(number => (use.Backup, number)));
                }

                return;
            }

            // Written before markers said so.
            BackupReader reader = await repository.OpenBackupAsync(header.Component, id, cancellationToken).ConfigureAwait(false);
            StreamedManifest manifest = await reader.OpenManifestAsync(cancellationToken).ConfigureAwait(false);
            await using (manifest.ConfigureAwait(false))
            {
                _packs.UnionWith(manifest.Packs.Select(static pack => (pack.BackupId, pack.Number)));
            }
        }
        catch (SmcException e) when (BackupInventory.IsDamage(e) || e.Code is SmcErrorCode.ObjectNotFound or SmcErrorCode.BackupNotFound
            or SmcErrorCode.BackupIncomplete)
        {
            Unknown ??= $"which packs the backup '{id}' uses cannot be found out: {e.Message.TrimEnd('.')}";
        }
    }
}
