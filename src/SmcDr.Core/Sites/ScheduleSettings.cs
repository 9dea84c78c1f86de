namespace SmcDr.Core.Sites;

/// <summary>When backups are taken, each as the five fields of cron.</summary>
public sealed record ScheduleSettings
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
}
