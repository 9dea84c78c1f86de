namespace SmcDr.Core.Sites;

/// <summary>How long backups are kept. Each rule keeps what it names; what no rule names goes. Days begin at midnight in UTC.</summary>
public sealed record RetentionSettings : ISiteRules
{
    [SiteKey("How many of the newest backups are kept, whatever their age.")]
    public int Last { get; init; }

    [SiteKey("Every backup that is younger than this is kept.")]
    public TimeSpan? Within { get; init; }

    [SiteKey("Of how many days the newest backup is kept. Days without a backup do not count.")]
    public int Daily { get; init; }

    [SiteKey("Of how many weeks, from Monday on, the newest backup is kept.")]
    public int Weekly { get; init; }

    [SiteKey("Of how many months the newest backup is kept.")]
    public int Monthly { get; init; }

    [SiteKey("Of how many years the newest backup is kept.")]
    public int Yearly { get; init; }

    [SiteKey("For how long back every instant of a database can be recovered to. Older backups keep only the WAL that they cannot do without.")]
    public TimeSpan? RecoveryWindow { get; init; }

    [SiteKey("For how long nobody can remove a backup, where the object store can lock objects.")]
    public TimeSpan? Lock { get; init; }

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (Last + (long)Daily + Weekly + Monthly + Yearly == 0 && Within is null && RecoveryWindow is null)
        {
            yield return ("daily", "is 0 like all other rules, and then no backup would be kept; leave retention out to keep all");
        }
    }
}
