using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>Gives a standby the files of WAL that it asks for, from the repository: what its <c>restore_command</c> runs.</summary>
/// <remarks>
/// A standby goes on asking, so a file that is not there is no end, and one that is only begun is worth having: the stream stores a segment in pieces, and
/// after the loss of the primary its last one is all that there is. PostgreSQL puts what it is given in the place of the segment that it has itself
/// (xlogarchive.c, KeepFileRestoredFromArchive), which may go further than the repository's pieces. So behind their end the standby's own bytes follow: up to
/// where both are WAL they are the same, and behind that the standby decides as it would have without us.
/// </remarks>
public static class WalFetch
{
    /// <summary>Fetches a segment or a history file.</summary>
    /// <param name="repository">Where it is.</param>
    /// <param name="systemId">The database cluster.</param>
    /// <param name="name">The file as PostgreSQL asks for it (<c>%f</c>).</param>
    /// <param name="destination">Where to (<c>%p</c>), in the standby's <c>pg_wal</c>. It appears whole or not at all.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>Whether it is there: false where the repository surely has nothing of it.</returns>
    public static async Task<bool> TryFetchAsync(
        Repository repository, ulong systemId, string name, string destination, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentException.ThrowIfNullOrEmpty(destination);
        WalArchive archive = new(repository, systemId);
        WalCatalog catalog = await archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false);
        string folder = Path.GetDirectoryName(Path.GetFullPath(destination))!;
        if (name.Length == TimelineHistory.FileName(1).Length && WalSegmentName.TryParseHex(name.AsSpan(0, 8), out uint timeline) &&
            name == TimelineHistory.FileName(timeline))
        {
            if (catalog.Timelines.GetValueOrDefault(timeline)?.History is not { } info)
            {
                return false;
            }

            TimelineHistory history = await archive.ReadHistoryAsync(timeline, info, cancellationToken).ConfigureAwait(false);
            string temporary = destination + ".tmp";
            await File.WriteAllBytesAsync(temporary, history.Content.ToArray(), cancellationToken).ConfigureAwait(false);
            File.Move(temporary, destination, overwrite: true);
            return true;
        }

        // Others that PostgreSQL asks for, such as the history of a backup, are not kept here.
        if (!WalSegmentName.TryParse(name, out WalSegmentName segment) ||
            catalog.Timelines.GetValueOrDefault(segment.Timeline)?.Find(segment) is not { } found ||
            await archive.GetSegmentSizeAsync(catalog, cancellationToken).ConfigureAwait(false) is not { } size ||
            await archive.TryLoadItemAsync(found, size, cancellationToken).ConfigureAwait(false) is not { } item)
        {
            return false;
        }

        await archive.FetchAsync(item, destination, Path.Combine(folder, name), cancellationToken).ConfigureAwait(false);
        return true;
    }
}
