namespace SmcDr.Core.Sites;

/// <summary>One receiver of alerts. The address of a webhook is a secret: whoever has it can post.</summary>
public sealed record NotificationSettings : ISiteRules
{
    [SiteKey("The channel's name, for results and to name it by -Channel; without it, slack, webhook or email.", Kind = SiteValueKind.Name)]
    public string? Name { get; init; }

    [SiteKey("The URL of a Slack incoming webhook.")]
    public SecretReference? Slack { get; init; }

    [SiteKey("A URL that receives each alert as JSON.")]
    public SecretReference? Webhook { get; init; }

    [SiteKey("Alerts as e-mail, through an SMTP server.")]
    public EmailSettings? Email { get; init; }

    [SiteKey("What is sent to the webhook as the header Authorization, such as Bearer and a token.")]
    public SecretReference? Authorization { get; init; }

    [SiteKey("The least severity that is told: information, warning, error or critical; without it, all are.")]
    public AlertSeverity MinimumSeverity { get; init; }

    [SiteKey("A PEM file of the authorities that alone may have signed the receiver's certificate; without it, those of the system.", Kind = SiteValueKind.Path)]
    public string? CaFile { get; init; }

    /// <summary>What it is: <c>slack</c>, <c>webhook</c> or <c>email</c>.</summary>
    internal string Kind => Slack is not null ? "slack" : Webhook is not null ? "webhook" : "email";

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (new object?[] { Slack, Webhook, Email }.Count(static receiver => receiver is not null) != 1)
        {
            yield return ("slack", "or webhook or email must be given, and one of them only in an entry");
        }
        else if (Authorization is not null && Webhook is null)
        {
            yield return ("authorization", "is for a webhook");
        }
    }
}
