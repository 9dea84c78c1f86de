using System.Globalization;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Retention;

/// <summary>Decides which backups stay. Nothing but its arguments decides, so that a plan can be shown, tested and repeated.</summary>
public static class RetentionRules
{
    /// <summary>The reason that keeps the newest backup of everything, whatever the rules say.</summary>
    public const string Newest = "newest";

    /// <summary>The reason that keeps emergency backups.</summary>
    public const string Emergency = "emergency backups are kept until they are removed";

    /// <summary>Decides over all backups; of each component, subject and series on its own.</summary>
    public static IReadOnlyList<RetentionDecision> Decide(RetentionPolicy policy, IEnumerable<BackupFact> backups, DateTimeOffset now) =>
        Decide(policy, backups, static _ => [], now);

    /// <summary>As the other one, with the timelines of databases.</summary>
    /// <param name="policy">The rules.</param>
    /// <param name="backups">The backups.</param>
    /// <param name="timelinesOf">The timelines of a subject of which something lies in the recovery window; null where they cannot be found out.</param>
    /// <param name="now">The moment.</param>
    internal static IReadOnlyList<RetentionDecision> Decide(
        RetentionPolicy policy, IEnumerable<BackupFact> backups, Func<string, IReadOnlyList<TimelineHistory>?> timelinesOf, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(policy);
        return
        [
            .. backups.GroupBy(static backup => (backup.Component, backup.Subject, backup.Series, backup.IsEmergency))
                .OrderBy(static group => group.Key)
                .SelectMany(group => DecideSeries(
                    policy,
                    // By id where they began at the same time: a decision must not depend on the order in which a store lists.
                    [.. group.OrderByDescending(static b => b.StartTime).ThenByDescending(static b => b.Id, StringComparer.Ordinal)],
                    group.Any(static backup => backup.Timeline is not null) ? timelinesOf(group.Key.Subject) : [],
                    now)),
        ];
    }

    /// <summary>The oldest instant that the recovery window asks for.</summary>
    internal static DateTimeOffset WindowStart(TimeSpan window, DateTimeOffset now) =>
        window < now - DateTimeOffset.MinValue ? now - window : DateTimeOffset.MinValue;

    private static IEnumerable<RetentionDecision> DecideSeries(
        RetentionPolicy policy, List<BackupFact> backups, IReadOnlyList<TimelineHistory>? timelines, DateTimeOffset now)
    {
        Dictionary<BackupFact, List<string>> reasons = backups.ToDictionary(
            static backup => backup, static _ => new List<string>(), (IEqualityComparer<BackupFact>)ReferenceEqualityComparer.Instance);

        if (backups[0].IsEmergency)
        {
            backups.ForEach(backup => reasons[backup].Add(Emergency));
        }
        else
        {
            ApplyRules(policy, backups, timelines, reasons, now);
        }

        foreach (BackupFact backup in backups)
        {
            if (backup.Hold is { } hold)
            {
                reasons[backup].Add($"held: {hold}");
            }

            if (backup.LockedUntil is { } until && until > now)
            {
                reasons[backup].Add($"locked until {DisplayText.Time(until)}");
            }

            if (backup.NeededBy is { } running)
            {
                reasons[backup].Add($"the running backup {running} builds on it");
            }
        }

        return backups.Select(backup => new RetentionDecision(backup, reasons[backup]));
    }

    private static void ApplyRules(
        RetentionPolicy policy,
        List<BackupFact> backups,
        IReadOnlyList<TimelineHistory>? timelines,
        Dictionary<BackupFact, List<string>> reasons,
        DateTimeOffset now)
    {
        reasons[backups[0]].Add(Newest);
        if (backups[0].IsPartial && backups.Find(static backup => !backup.IsPartial) is { } whole)
        {
            reasons[whole].Add("newest that is not partial");
        }

        foreach (BackupFact backup in backups.Take(policy.Last))
        {
            reasons[backup].Add(Rule("last", policy.Last));
        }

        if (policy.Within is { } within)
        {
            foreach (BackupFact backup in backups.Where(backup => backup.StartTime > WindowStart(within, now)))
            {
                reasons[backup].Add($"within {DurationText.Format(within)}");
            }
        }

        KeepPeriods("daily", policy.Daily, static time => time.Date);
        KeepPeriods("weekly", policy.Weekly, static time => time.Date.AddDays(-(((int)time.DayOfWeek + 6) % 7)));
        KeepPeriods("monthly", policy.Monthly, static time => new DateTime(time.Year, time.Month, 1));
        KeepPeriods("yearly", policy.Yearly, static time => new DateTime(time.Year, 1, 1));
        if (policy.RecoveryWindow is { } window)
        {
            string rule = $"recoveryWindow {DurationText.Format(window)}";
            DateTimeOffset start = WindowStart(window, now);
            HashSet<string> anchors = RecoveryAnchors.Find(
                backups.Select(static backup => new RecoveryAnchors.Candidate(backup.Id, backup.StopTime, backup.Timeline, backup.StopLsn)), timelines, start);
            foreach (BackupFact backup in backups.Where(backup => anchors.Contains(backup.Id) || backup.StopTime > start))
            {
                reasons[backup].Add(rule);
            }
        }

        void KeepPeriods(string name, int count, Func<DateTime, DateTime> periodOf)
        {
            foreach (IGrouping<DateTime, BackupFact> period in backups.GroupBy(backup => periodOf(backup.StartTime.UtcDateTime)).Take(count))
            {
                reasons[period.FirstOrDefault(static backup => !backup.IsPartial) ?? period.First()].Add(Rule(name, count));
            }
        }

        static string Rule(string name, int count) => string.Create(CultureInfo.InvariantCulture, $"{name} {count}");
    }
}
