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
            (inventory.Damaged.TryGetValue(folder.Id, out SmcException? problem) && Repository.IsForeign(problem))))
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
                IReadOnlyList<TimelineHistory>? timelines = window is { } length
                    ? await FindTimelinesAsync(archive, catalog, RetentionRules.WindowStart(length, now), cancellationToken).ConfigureAwait(false)
                    : [];
                WalNeeds needs = WalNeeds.Of(kept, window, timelines, now);
                foreach (WalCatalog.Listing listing in catalog.Timelines.Values)
                {
                    removals.AddRange(Find(system, listing, size, needs, storedBefore, now - _options.GraceTime));
                }
            }
        }

        return removals;
    }

    /// <summary>The timelines of each cluster that has base backups, as far as something of them lies in the window.</summary>
    private async Task<Dictionary<string, IReadOnlyList<TimelineHistory>?>> FindTimelinesAsync(
        IEnumerable<BackupFact> backups, DateTimeOffset windowStart, CancellationToken cancellationToken)
    {
        Dictionary<string, IReadOnlyList<TimelineHistory>?> timelines = new(StringComparer.Ordinal);
        foreach (string system in backups.Where(static backup => backup.Timeline is not null).Select(static backup => backup.Subject).Distinct())
        {
            WalArchive archive = new(_repository, ulong.Parse(system, CultureInfo.InvariantCulture));
            WalCatalog catalog = await archive.LoadCatalogAsync(cancellationToken).ConfigureAwait(false);
            timelines[system] = await FindTimelinesAsync(archive, catalog, windowStart, cancellationToken).ConfigureAwait(false);
        }

        return timelines;
    }

    /// <summary>
    /// The timelines of which something lies in the window: of which WAL was stored since it begins. What was stored later than it was written
    /// counts for longer than it must. Null where a history cannot be read.
    /// </summary>
    private async Task<IReadOnlyList<TimelineHistory>?> FindTimelinesAsync(
        WalArchive archive, WalCatalog catalog, DateTimeOffset windowStart, CancellationToken cancellationToken)
    {
        List<TimelineHistory> timelines = [];
        foreach (WalCatalog.Listing listing in catalog.Timelines.Values)
        {
            IEnumerable<ObjectInfo> objects = listing.Segments.Values
                .SelectMany(static segment => segment.Pieces.Select(static piece => piece.Info).Concat(segment.Whole is { } whole ? [whole] : []))
                .Concat(listing.History is { } history ? [history] : []);
            if (!objects.Any(info => info.LastModified >= windowStart - s_clockMargin))
            {
                continue;
            }

            try
            {
                timelines.Add(listing.History is null
                    ? TimelineHistory.Root(listing.Timeline)
                    : await archive.ReadHistoryAsync(listing.Timeline, listing.History, cancellationToken).ConfigureAwait(false));
            }
            catch (SmcException e) when (Repository.IsUnreadable(e) || e.Code is SmcErrorCode.ObjectNotFound or SmcErrorCode.WalInvalid)
            {
                _observer.Warning(
                    $"Which backups the recovery window needs cannot be found out, so that it keeps all base backups and their WAL now: {e.Message} " +
                    $"Take the object '{listing.History!.Key}' from a copy, or import it with Import-SmcWal (or 'smcdr wal import') from a server that " +
                    "has it.");
                return null;
            }
        }

        return timelines;
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
