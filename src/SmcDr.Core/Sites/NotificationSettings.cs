namespace SmcDr.Core.Sites;

/// <summary>One receiver of notifications. Its address is a secret: whoever has it can post.</summary>
public sealed record NotificationSettings : ISiteRules
{
    [SiteKey("The URL of a Slack incoming webhook.")]
    public SecretReference? Slack { get; init; }

    [SiteKey("A URL that receives each notification as JSON.")]
    public SecretReference? Webhook { get; init; }

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (Slack is null == Webhook is null)
        {
            yield return ("slack", "or webhook must be given, and not both in one entry");
        }
    }
}
