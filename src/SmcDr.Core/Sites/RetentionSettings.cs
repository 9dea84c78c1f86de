namespace SmcDr.Core.Sites;

/// <summary>How long backups are kept: the newest of each of so many days, weeks and months.</summary>
public sealed record RetentionSettings : ISiteRules
{
    [SiteKey("Of how many days the newest backup is kept.")]
    public int Daily { get; init; }

    [SiteKey("Of how many weeks the newest backup is kept.")]
    public int Weekly { get; init; }

    [SiteKey("Of how many months the newest backup is kept.")]
    public int Monthly { get; init; }

    [SiteKey("For how long nobody can remove a backup, where the object store can lock objects.")]
    public TimeSpan? Lock { get; init; }

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (Daily + (long)Weekly + Monthly == 0)
        {
            yield return ("daily", "is 0 like weekly and monthly, and then no backup would be kept; leave retention out to keep all");
        }
    }
}
