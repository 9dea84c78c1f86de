using System.Globalization;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Retention;

/// <content>The WAL that no backup needs.</content>
public sealed partial class BackupRetention
{
    // Clocks of server, store and this machine differ; nothing is decided within that.
    private static readonly TimeSpan s_clockMargin = TimeSpan.FromHours(1);

    private sealed record WalRemoval(RetentionResult Result, IReadOnlyList<ObjectInfo> Objects);

    /// <summary>
    /// A recovery reads forward from its backup's start, whatever the timeline, so what ends at or before the earliest start that counts is
    /// never read again. History files stay: they are small, and without one a timeline's WAL is lost.
    /// </summary>
    private async Task<List<WalRemoval>> FindWalAsync(
        BackupInventory inventory, Func<string, bool> isRemoved, TimeSpan? window, DateTimeOffset now, CancellationToken cancellationToken)
    {
        List<WalRemoval> removals = [];
        BackupFolder[] open =
        [
            .. inventory.Open.Values.Where(folder =>
                !isRemoved(folder.Id) && (folder.IsAlive(now - _options.GraceTime) || inventory.Damaged.ContainsKey(folder.Id))),
        ];
        if (Array.Exists(open, folder => folder.Claim is null ||
            (inventory.Damaged.TryGetValue(folder.Id, out SmcException? problem) && BackupInventory.IsForeign(problem))))
        {
            // It may need any of it. Why packs stay as well is told for it.
            return removals;
        }

        await foreach (ulong systemId in WalArchive.ListSystemsAsync(_repository, cancellationToken).ConfigureAwait(false))
        {
            string system = systemId.ToString(CultureInfo.InvariantCulture);
            BackupHeader[] kept = [.. inventory.Complete.Where(entry => !isRemoved(entry.Key)).Select(static entry => entry.Value)
                .Where(header => header.Database?.SystemId == system)];
            if (kept.Length == 0)
            {
                // Its first backup may be about to begin, or all of its backups are elsewhere. Nobody asked for the WAL to go.
                continue;
            }

            DateTimeOffset storedBefore = open
                .Where(folder => folder.Claim!.SystemId is null || folder.Claim.SystemId == system)
                .Select(static folder => folder.Claim!.StartTime - s_clockMargin)
                .Append(now - _options.GraceTime)
                .Min();
            WalArchive archive = new(_repository, systemId);
            WalCatalog catalog = await archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false);
            if (await archive.GetSegmentSizeAsync(catalog, cancellationToken).ConfigureAwait(false) is { } size)
            {
                WalNeeds needs = WalNeeds.Of(kept, window, now);
                foreach (WalCatalog.Listing listing in catalog.Timelines.Values)
                {
                    removals.AddRange(Find(system, listing, size, needs, storedBefore, now - _options.GraceTime));
                }
            }
        }

        return removals;
    }

    private IEnumerable<WalRemoval> Find(
        string system, WalCatalog.Listing listing, int size, WalNeeds needs, DateTimeOffset storedBefore, DateTimeOffset supersededBefore)
    {
        List<(WalSegmentName Name, ObjectInfo Info)> unneeded = [];
        List<(WalSegmentName Name, ObjectInfo Info)> superseded = [];
        foreach (WalCatalog.Segment segment in listing.Segments.Values)
        {
            IEnumerable<ObjectInfo> pieces = segment.Pieces.Select(static piece => piece.Info);
            if (!needs.Contains(segment.Name.StartLsn(size), segment.Name.EndLsn(size)))
            {
                unneeded.AddRange(pieces.Concat(segment.Whole is { } info ? [info] : [])
                    .Where(info => info.LastModified < storedBefore).Select(info => (segment.Name, info)));
            }
            else if (segment.Whole is { } whole && whole.LastModified < supersededBefore)
            {
                superseded.AddRange(pieces.Where(info => info.LastModified < supersededBefore).Select(info => (segment.Name, info)));
            }
        }

        if (unneeded.Count > 0)
        {
            yield return Removal("Wal", "no backup needs it", unneeded);
        }

        if (superseded.Count > 0)
        {
            yield return Removal("WalPieces", "their segments are stored whole", superseded);
        }

        WalRemoval Removal(string kind, string reason, List<(WalSegmentName Name, ObjectInfo Info)> objects) => new(
            Result(
                Component.Database,
                objects[0].Name == objects[^1].Name ? $"{objects[0].Name}" : $"{objects[0].Name}-{objects[^1].Name}",
                kind,
                Remove,
                [reason]) with
            {
                Subject = system,
                ObjectCount = objects.Count,
                FreedBytes = objects.Sum(static o => o.Info.Length),
            },
            [.. objects.Select(static o => o.Info)]);
    }
}
