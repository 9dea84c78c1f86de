namespace SmcDr.Core.Schedules;

/// <summary>How a site's schedules are registered.</summary>
public sealed record ScheduleOptions
{
    /// <summary>
    /// What is to run them; null = CronJobs where the site names an image for jobs, else timers where systemd runs this host, else the crontab.
    /// </summary>
    public ScheduleKind? Kind { get; init; }

    /// <summary>Which of the site's tasks; none = all that it has a schedule for.</summary>
    public IReadOnlyList<string> Tasks { get; init; } = [];

    /// <summary>The full path of the program <c>smcdr</c> on this host; null = the one that is found.</summary>
    public string? Program { get; init; }

    /// <summary>Where units of systemd are put; null = this account's place for them.</summary>
    public string? UnitDirectory { get; init; }

    /// <summary>A file with the environment variables that the site's secrets are in; null = this account's place for it.</summary>
    public string? EnvironmentFile { get; init; }
}
