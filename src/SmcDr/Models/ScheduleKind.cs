namespace SmcDr;

/// <summary>What runs scheduled work.</summary>
public enum ScheduleKind
{
    /// <summary>A Kubernetes CronJob in the namespace of the site's primary region.</summary>
    CronJob,

    /// <summary>A timer of systemd on this host.</summary>
    SystemdTimer,

    /// <summary>A line of this account's crontab.</summary>
    Crontab,
}
