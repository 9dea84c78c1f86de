using SmcDr.Core.Postgres.Wal;

namespace SmcDr.Core.Retention;

/// <summary>With which backups recoveries to the first instant of a recovery window begin.</summary>
/// <remarks>
/// One would do if there were one history. After a recovery to an earlier instant there are several, and a base backup that was taken on the
/// part that was left behind leads to none of the instants of the timeline that goes on (xlogrecovery.c, InitWalRecovery: "requested timeline
/// is not a child of this server's history"): for those an older one is needed. So each timeline of which something lies in the window has
/// its own.
/// </remarks>
internal static class RecoveryAnchors
{
    /// <summary>Finds them among the backups of one thing.</summary>
    /// <param name="backups">The backups, in any order.</param>
    /// <param name="timelines">
    /// The histories of the timelines of which something lies in the window; null where they cannot be found out, and every backup may be
    /// an anchor. Of what has no timelines: none.
    /// </param>
    /// <param name="windowStart">The window's first instant.</param>
    /// <returns>The ids of the anchors.</returns>
    public static HashSet<string> Find(IEnumerable<Candidate> backups, IReadOnlyList<TimelineHistory>? timelines, DateTimeOffset windowStart)
    {
        Candidate[] newestFirst =
        [
            .. backups.Where(backup => backup.StopTime <= windowStart)
                .OrderByDescending(static backup => backup.StopTime).ThenByDescending(static backup => backup.Id, StringComparer.Ordinal),
        ];
        if (timelines is null)
        {
            return [.. newestFirst.Select(static backup => backup.Id)];
        }

        // The newest of all as well: a timeline may have no WAL here yet.
        HashSet<string> anchors = new(StringComparer.Ordinal);
        anchors.UnionWith(newestFirst.Take(1).Select(static backup => backup.Id));
        foreach (TimelineHistory timeline in timelines)
        {
            anchors.UnionWith(newestFirst.Where(backup => LeadsTo(backup, timeline)).Take(1).Select(static backup => backup.Id));
        }

        return anchors;
    }

    /// <summary>Whether a recovery along a timeline can begin with a backup: it was consistent before the timeline left the backup's.</summary>
    private static bool LeadsTo(Candidate backup, TimelineHistory timeline) =>
        backup.Timeline is { } own && (own == timeline.Timeline || timeline.SwitchPoint(own) >= backup.StopLsn);

    /// <summary>What is asked of a backup.</summary>
    /// <param name="Id">Its id.</param>
    /// <param name="StopTime">When it became consistent.</param>
    /// <param name="Timeline">The timeline that it was taken on; null where it has none.</param>
    /// <param name="StopLsn">Where it became consistent.</param>
    internal sealed record Candidate(string Id, DateTimeOffset StopTime, uint? Timeline, Lsn? StopLsn);
}
