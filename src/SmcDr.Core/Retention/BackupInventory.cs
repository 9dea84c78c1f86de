using System.Collections.Concurrent;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Retention;

/// <summary>
/// The backups of a component at one moment: first all markers, then all claims. A backup whose claim came too late to be seen here
/// found every marker missing that is missing here, so it does not build on what this inventory says is unneeded.
/// </summary>
internal sealed class BackupInventory
{
    private const int Parallelism = 16;

    private BackupInventory(
        Component component,
        IReadOnlyDictionary<string, BackupHeader> complete,
        IReadOnlyDictionary<string, SmcException> damaged,
        IReadOnlyDictionary<string, BackupFolder> open)
    {
        Component = component;
        Complete = complete;
        Damaged = damaged;
        Open = open;
    }

    public Component Component { get; }

    /// <summary>The complete backups.</summary>
    public IReadOnlyDictionary<string, BackupHeader> Complete { get; }

    /// <summary>Those whose marker cannot be believed, and why.</summary>
    public IReadOnlyDictionary<string, SmcException> Damaged { get; }

    /// <summary>The folders of the others, and of the damaged.</summary>
    public IReadOnlyDictionary<string, BackupFolder> Open { get; }

    public static async Task<BackupInventory> LoadAsync(Repository repository, Component component, CancellationToken cancellationToken)
    {
        ParallelOptions options = new() { MaxDegreeOfParallelism = Parallelism, CancellationToken = cancellationToken };
        ConcurrentDictionary<string, BackupHeader> complete = new(StringComparer.Ordinal);
        ConcurrentDictionary<string, SmcException> damaged = new(StringComparer.Ordinal);
        await Parallel.ForEachAsync(
            await ListIdsAsync(repository, component, cancellationToken).ConfigureAwait(false),
            options,
            async (id, token) =>
            {
                try
                {
                    if (await repository.TryReadHeaderAsync(component, id, token).ConfigureAwait(false) is { } header)
                    {
                        complete[id] = header;
                    }
                }
                catch (SmcException e) when (Repository.IsUnreadable(e))
                {
                    damaged[id] = e;
                }
            }).ConfigureAwait(false);

        // Listed again: the folder of a claim that was written meanwhile must not be missed.
        ConcurrentDictionary<string, BackupFolder> open = new(StringComparer.Ordinal);
        await Parallel.ForEachAsync(
            (await ListIdsAsync(repository, component, cancellationToken).ConfigureAwait(false)).Where(id => !complete.ContainsKey(id)),
            options,
            async (id, token) => open[id] = await BackupFolder.LoadAsync(repository, component, id, token).ConfigureAwait(false))
            .ConfigureAwait(false);
        return new BackupInventory(component, complete, damaged, open);
    }

    private static async Task<List<string>> ListIdsAsync(Repository repository, Component component, CancellationToken cancellationToken)
    {
        List<string> ids = [];
        string folder = RepositoryKeys.ComponentFolder(component) + "/";
        await foreach (string id in repository.Store.ListFoldersAsync(folder, cancellationToken).ConfigureAwait(false))
        {
            if (RepositoryKeys.IsId(id))
            {
                ids.Add(id);
            }
        }

        return ids;
    }
}
