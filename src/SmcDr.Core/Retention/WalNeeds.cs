using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Retention;

/// <summary>Which WAL of a cluster its backups need: everything from a position on, and of older backups what makes them consistent.</summary>
internal sealed record WalNeeds(Lsn From, IReadOnlyList<(Lsn Start, Lsn Stop)> Ranges)
{
    /// <param name="kept">The backups of one cluster that stay; at least one.</param>
    /// <param name="window">Within which every instant can be recovered to; where null, from the oldest backup on.</param>
    /// <param name="timelines">The timelines of which something lies in the window; null where they cannot be found out.</param>
    /// <param name="now">The end of the window.</param>
    public static WalNeeds Of(
        IReadOnlyCollection<BackupHeader> kept, TimeSpan? window, IReadOnlyList<TimelineHistory>? timelines, DateTimeOffset now)
    {
        IEnumerable<BackupHeader> full = kept;
        if (window is { } length)
        {
            DateTimeOffset start = RetentionRules.WindowStart(length, now);
            HashSet<string> anchors = RecoveryAnchors.Find(
                kept.Select(static header => new RecoveryAnchors.Candidate(
                    header.Id, header.EndTime, header.Database!.Timeline, header.Database.StopLsn)),
                timelines,
                start);
            BackupHeader[] inWindow = [.. kept.Where(header => anchors.Contains(header.Id) || header.EndTime > start)];
            full = inWindow;
        }

        return new WalNeeds(
            full.Select(static header => header.Database!.StartLsn).Min(),
            [.. kept.Select(static header => (header.Database!.StartLsn, header.Database.StopLsn))]);
    }

    /// <summary>Whether the WAL between two positions is needed, whatever its timeline.</summary>
    public bool Contains(Lsn start, Lsn end) =>
        end > From || Ranges.Any(range => end > range.Start && start <= range.Stop);
}
