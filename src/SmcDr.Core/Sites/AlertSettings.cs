namespace SmcDr.Core.Sites;

/// <summary>How alerts are sent; <see cref="Site.Notifications"/> says to whom.</summary>
public sealed record AlertSettings : ISiteRules
{
    [SiteKey("For how long a channel that was told of something is not told again, such as 4h, which is the default; 0s repeats all.")]
    public TimeSpan? RepeatAfter { get; init; }

    [SiteKey("A URL that is told that all is well, and raises an alarm by itself when it is not told any more (a dead man's switch).")]
    public SecretReference? HeartbeatUrl { get; init; }

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (RepeatAfter > TimeSpan.FromDays(30))
        {
            yield return ("repeatAfter", "must be 30d at most, or what fails for a month would be told once");
        }
    }
}
