using SmcDr.Core.Sites;

namespace SmcDr.Core.Schedules;

/// <summary>What a site has done by a schedule.</summary>
/// <param name="Task">Its key in the site file.</param>
/// <param name="Schedule">When it is due.</param>
internal sealed record ScheduledWork(string Task, CronSchedule Schedule)
{
    /// <summary>The arguments of the program that does the work of a task; null where there is no such task.</summary>
    /// <remarks>The monitor's limit is the site's own, so that it is read when the work is done and not when it was registered.</remarks>
    public static IReadOnlyList<string>? CommandOf(Site site, string task)
    {
        ArgumentNullException.ThrowIfNull(site);
        return task switch
        {
            "database" => ["backup", "database"],
            "logical" => ["backup", "database", "--method", "logical"],
            "redis" => ["backup", "redis"],
            "configuration" => ["backup", "configuration"],
            "fileStore" => ["backup", "filestore"],
            "monitor" => ["test", "backup", "--newer-than", FormattableString.Invariant($"{(long)(site.Schedules.NewerThan ?? DefaultAge).TotalSeconds}s")],
            "verification" => ["test", "backup", "--deep"],
            "recoveryTest" => ["test", "recovery"],
            "retention" => ["retention", "--yes"],
            _ => null,
        };
    }

    /// <summary>The names of all tasks that there can be.</summary>
    public static IReadOnlyList<string> Tasks { get; } =
        ["database", "logical", "redis", "configuration", "fileStore", "monitor", "verification", "recoveryTest", "retention"];

    /// <summary>
    /// How long a run of a task may take: what takes longer hangs, and would keep all that follow from beginning. What reads or writes all data has a wide
    /// limit, since ending it would do harm where it does not hang; that its backups are missing the monitor tells long before.
    /// </summary>
    public static TimeSpan LimitOf(Site site, string task)
    {
        ArgumentNullException.ThrowIfNull(site);
        return site.Schedules.RunLimit ?? task switch
        {
            "monitor" => TimeSpan.FromHours(1),
            "configuration" => TimeSpan.FromHours(2),
            "redis" or "retention" => TimeSpan.FromHours(12),
            "verification" => TimeSpan.FromDays(4),
            _ => TimeSpan.FromDays(2),
        };
    }

    // A day, and the time that a backup may take longer than the one before.
    private static TimeSpan DefaultAge { get; } = TimeSpan.FromHours(26);

    /// <summary>What a site has done by a schedule, in the order in which it is shown.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.ScheduleUnsuitable"/>: nothing is, or a schedule never comes.
    /// </exception>
    public static IReadOnlyList<ScheduledWork> Of(Site site)
    {
        ArgumentNullException.ThrowIfNull(site);
        ScheduleSettings schedules = site.Schedules;
        ScheduledWork[] work =
        [
            .. Tasks.Zip(
                [
                    schedules.Database, schedules.Logical, schedules.Redis, schedules.Configuration, schedules.FileStore, schedules.Monitor, schedules.Verification,
                    schedules.RecoveryTest, schedules.Retention,
                ],
                static (task, text) => text is null ? null : new ScheduledWork(task, CronSchedule.Parse(text))).OfType<ScheduledWork>(),
        ];
        if (work.Length == 0)
        {
            throw new SmcException(
                SmcErrorCode.ScheduleUnsuitable,
                $"The site '{site.Name}' has no schedules.",
                recommendation: $"Add 'schedules: {{ database: \"0 */6 * * *\", monitor: \"0 8 * * *\" }}' to '{site.Path}'.",
                target: site.Name);
        }

        return work.FirstOrDefault(one => one.Schedule.NextAfter(DateTimeOffset.UtcNow, ZoneOf(site)) is null) is { } never
            ? throw new SmcException(
                SmcErrorCode.ScheduleUnsuitable, $"The schedule '{never.Schedule.Text}' of '{never.Task}' never comes.", target: never.Task)
            : work;
    }

    /// <summary>The time zone of a site's schedules.</summary>
    public static TimeZoneInfo ZoneOf(Site site) => site.Schedules.TimeZone is { } zone ? TimeZoneInfo.FindSystemTimeZoneById(zone) : TimeZoneInfo.Utc;

    /// <summary>The name of the time zone of a site's schedules, as schedulers know it.</summary>
    public static string ZoneNameOf(Site site) => site.Schedules.TimeZone ?? "UTC";
}
