using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Regions.Failback;

/// <summary>Finds where the history of a data directory and that of a server part (pg_rewind.c, findCommonAncestorTimeline).</summary>
internal static class ForkPoint
{
    /// <summary>Finds it. Whoever was on the same timeline has no such point.</summary>
    /// <param name="dataDirectory">The data directory.</param>
    /// <param name="timeline">The timeline that it is on.</param>
    /// <param name="leader">The history of the server.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.RegionUnsuitable"/>: they have no history in common.</exception>
    public static async Task<FailbackFacts> FindAsync(
        string dataDirectory, uint timeline, TimelineHistory leader, CancellationToken cancellationToken)
    {
        string file = Path.Combine(dataDirectory, BackupFileRules.Wal, TimelineHistory.FileName(timeline));
        TimelineHistory own = timeline > 1 && File.Exists(file)
            ? TimelineHistory.Parse(timeline, await File.ReadAllBytesAsync(file, cancellationToken).ConfigureAwait(false))
            : TimelineHistory.Root(timeline);
        if (own.Lineage.Where(leader.Contains).Select(static common => (uint?)common).FirstOrDefault() is not { } common)
        {
            throw new SmcException(
                SmcErrorCode.RegionUnsuitable,
                $"The server in '{dataDirectory}' is on timeline {timeline}, of which the one that leads, on timeline {leader.Timeline}, knows nothing.",
                recommendation: "Keep the directory, and make a standby beside it: Initialize-SmcRegionReplica -Force (or 'smcdr region init --force').",
                target: dataDirectory);
        }

        Lsn? here = own.SwitchPoint(common);
        Lsn? there = leader.SwitchPoint(common);
        return new FailbackFacts([.. own.Lineage], leader.Timeline, here is null || there < here ? there ?? here : here);
    }
}
