using SmcDr.Core.Repositories;

namespace SmcDr.Core.Retention;

/// <summary>Which packs must stay, of the folders that have no complete backup.</summary>
internal sealed class PackNeeds
{
    private const int MostReasons = 5;

    private readonly HashSet<(string Id, int Pack)> _packs = [];
    private readonly HashSet<string> _folders = new(StringComparer.Ordinal);

    private readonly List<(string Reason, string Advice)> _unknown = [];

    /// <summary>Why nothing at all can be said to be unneeded, with the backups that are to blame; null where it can.</summary>
    public string? Unknown => _unknown.Count == 0
        ? null
        : string.Join("; and ", _unknown.Take(MostReasons).Select(static unknown => unknown.Reason)) +
            (_unknown.Count > MostReasons ? FormattableString.Invariant($"; and {_unknown.Count - MostReasons} more are so") : "");

    /// <summary>What can be done about it, in whole sentences; empty where nothing is unknown.</summary>
    public string Advice => string.Join(" ", _unknown.Take(MostReasons).Select(static unknown => unknown.Advice).Distinct());

    public bool Contains(string id, int pack) => _unknown.Count > 0 || _folders.Contains(id) || _packs.Contains((id, pack));

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
            inventory.Damaged.TryGetValue(folder.Id, out SmcException? damage);
            if (damage is not null && Repository.IsForeign(damage))
            {
                // Another format may refer to packs in ways that this version does not know.
                needs.Add(folder.Id, $"which packs the backup '{folder.Id}' uses is not known here: {damage.Message.TrimEnd('.')}", damage);
            }
            else if (folder.Claim is null)
            {
                needs.Add(folder.Id, $"the claim of the backup '{folder.Id}' cannot be read", null);
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
                string reason = $"the backup '{folder.Id}' builds on '{parent}', which is not there any more";
                if (damage is null)
                {
                    needs._unknown.Add((reason, $"Let the backup '{folder.Id}' end, or be taken for dead after the grace time; a later run removes them."));
                }
                else
                {
                    needs.Add(folder.Id, $"{reason}, and its marker is damaged", null);
                }
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
        catch (SmcException e) when (Repository.IsUnreadable(e) || e.Code is SmcErrorCode.ObjectNotFound or SmcErrorCode.BackupNotFound
            or SmcErrorCode.BackupIncomplete)
        {
            Add(id, $"which packs the backup '{id}' uses cannot be found out: {e.Message.TrimEnd('.')}", e);
        }
    }

    private void Add(string id, string reason, SmcException? problem) => _unknown.Add((
        reason,
        problem is not null && Repository.IsForeign(problem)
            ? $"Run it with the version of SmcDr that wrote '{id}', or with a key that opens it."
            : $"Take what is damaged of '{id}' from a copy of the repository, or remove that backup with 'Remove-SmcBackup {id} -Force' " +
                $"(or 'smcdr remove backup {id} --force'): until then its component only grows."));
}
