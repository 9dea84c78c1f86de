using SmcDr.Core.Repositories;

namespace SmcDr.Core.Retention;

/// <summary>Which WAL of a cluster its backups need: everything from a position on, and of older backups what makes them consistent.</summary>
internal sealed record WalNeeds(Lsn From, IReadOnlyList<(Lsn Start, Lsn Stop)> Ranges)
{
    /// <param name="kept">The backups of one cluster that stay; at least one.</param>
    /// <param name="window">Within which every instant can be recovered to; where null, from the oldest backup on.</param>
    /// <param name="now">The end of the window.</param>
    public static WalNeeds Of(IReadOnlyCollection<BackupHeader> kept, TimeSpan? window, DateTimeOffset now)
    {
        IEnumerable<BackupHeader> full = kept;
        if (window is { } length)
        {
            DateTimeOffset start = RetentionRules.WindowStart(length, now);
            BackupHeader? anchor = kept.Where(header => header.EndTime <= start)
                .OrderByDescending(static header => header.EndTime).ThenByDescending(static header => header.Id, StringComparer.Ordinal).FirstOrDefault();
            BackupHeader[] inWindow = [.. kept.Where(header => header == anchor || header.EndTime > start)];
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
