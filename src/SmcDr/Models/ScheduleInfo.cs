namespace SmcDr;

/// <summary>Work of a site that is done by a schedule, and what has it done.</summary>
public sealed record ScheduleInfo
{
    /// <summary>The site.</summary>
    public required string Site { get; init; }

    /// <summary>
    /// What is done: <c>database</c>, <c>logical</c>, <c>redis</c>, <c>configuration</c>, <c>fileStore</c>, <c>monitor</c>, <c>verification</c>,
    /// <c>recoveryTest</c> or <c>retention</c>, as the site file names it; <c>site</c> for the site file that jobs in a cluster read.
    /// </summary>
    public required string Task { get; init; }

    /// <summary>What runs it.</summary>
    public required ScheduleKind Kind { get; init; }

    /// <summary>The five fields of cron, as the site file has them; null where nothing is due by itself.</summary>
    public string? Schedule { get; init; }

    /// <summary>The time zone of the schedule.</summary>
    public string? TimeZone { get; init; }

    /// <summary>When it is due next, in UTC.</summary>
    public DateTimeOffset? NextTime { get; init; }

    /// <summary>What is run.</summary>
    public string Command { get; init; } = "";

    /// <summary>The name of the CronJob, the unit or the line.</summary>
    public required string Name { get; init; }

    /// <summary>Where it is registered: a cluster's namespace, a directory, or a crontab.</summary>
    public required string Target { get; init; }

    /// <summary>
    /// <c>Planned</c>: nothing was done. <c>Written</c>: to a file only. <c>Created</c>, <c>Changed</c>, <c>Same</c>: it is registered.
    /// <c>Removed</c>: it is not any more.
    /// </summary>
    public required string State { get; init; }

    /// <summary>The manifest, units or line, as they are written.</summary>
    public string Text { get; init; } = "";

    /// <summary>The files that were written.</summary>
    public IReadOnlyList<string> Files { get; init => field = ResultList.Of(value); } = new ResultList<string>([]);
}
