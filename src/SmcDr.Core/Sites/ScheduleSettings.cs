namespace SmcDr.Core.Sites;

/// <summary>When what must be done again and again is done, each as the five fields of cron.</summary>
public sealed record ScheduleSettings : ISiteRules
{
    [SiteKey("When a base backup of the database is taken.", Kind = SiteValueKind.Schedule)]
    public string? Database { get; init; }

    [SiteKey("When a logical backup of the database is taken.", Kind = SiteValueKind.Schedule)]
    public string? Logical { get; init; }

    [SiteKey("When Redis is backed up.", Kind = SiteValueKind.Schedule)]
    public string? Redis { get; init; }

    [SiteKey("When the Kubernetes configuration is backed up.", Kind = SiteValueKind.Schedule)]
    public string? Configuration { get; init; }

    [SiteKey("When the file stores are backed up.", Kind = SiteValueKind.Schedule)]
    public string? FileStore { get; init; }

    [SiteKey("When it is looked whether everything has a backup that is new enough and complete; where so, the heartbeat is told.", Kind = SiteValueKind.Schedule)]
    public string? Monitor { get; init; }

    [SiteKey("How old the newest backup may be before the monitor alerts, such as 26h, which is the default.")]
    public TimeSpan? NewerThan { get; init; }

    [SiteKey("When every byte of the backups is verified.", Kind = SiteValueKind.Schedule)]
    public string? Verification { get; init; }

    [SiteKey("When the database is recovered to a server that is thrown away, and the result certified.", Kind = SiteValueKind.Schedule)]
    public string? RecoveryTest { get; init; }

    [SiteKey("When the backups are removed that the site's retention does not keep.", Kind = SiteValueKind.Schedule)]
    public string? Retention { get; init; }

    [SiteKey("How long one run may take, such as 8h. One that takes longer is ended in a cluster and by systemd, and told of by cron; without it, by what is done.")]
    public TimeSpan? RunLimit { get; init; }

    [SiteKey("The time zone of all of these, such as Europe/Berlin; without it, UTC.")]
    public string? TimeZone { get; init; }

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (TimeZone is { } zone && (!TimeZoneInfo.TryFindSystemTimeZoneById(zone, out TimeZoneInfo? found) || !found.HasIanaId))
        {
            yield return ("timeZone", $"must be the name of a time zone such as Europe/Berlin, not '{zone}'");
        }

        if (NewerThan is { } age && age < TimeSpan.FromMinutes(1))
        {
            yield return ("newerThan", "must be 1m at least");
        }

        if (RunLimit is { } limit && limit < TimeSpan.FromMinutes(1))
        {
            yield return ("runLimit", "must be 1m at least");
        }
    }
}
