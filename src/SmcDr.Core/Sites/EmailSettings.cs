namespace SmcDr.Core.Sites;

/// <summary>How alerts are sent as e-mail.</summary>
public sealed record EmailSettings : ISiteRules
{
    [SiteKey("The host name of the SMTP server.", Kind = SiteValueKind.HostName)]
    public required string Host { get; init; }

    [SiteKey("Its port; without it, 587 with startTls, 465 with tls and 25 with none.", Minimum = 1, Maximum = 65535)]
    public int? Port { get; init; }

    [SiteKey("startTls: encrypted after a greeting, or not at all. tls: encrypted from the beginning. none: in clear, without a password unless the server is this host.")]
    public EmailSecurity Security { get; init; }

    [SiteKey("The address that alerts come from.", Kind = SiteValueKind.EmailAddress)]
    public required string From { get; init; }

    [SiteKey("The addresses that alerts go to.", Kind = SiteValueKind.EmailAddress)]
    public required IReadOnlyList<string> To { get; init; }

    [SiteKey("The user that logs in to the server; without it, nobody does.")]
    public string? UserName { get; init; }

    [SiteKey("The user's password.")]
    public SecretReference? Password { get; init; }

    /// <summary>The port that is meant.</summary>
    internal int EffectivePort => Port ?? Security switch
    {
        EmailSecurity.StartTls => 587,
        EmailSecurity.Tls => 465,
        _ => 25,
    };

    private bool IsLoopback => Host == "localhost" || System.Net.IPAddress.TryParse(Host, out System.Net.IPAddress? address) && System.Net.IPAddress.IsLoopback(address);

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (To.Count == 0)
        {
            yield return ("to", "names nobody");
        }

        if (UserName is null != Password is null)
        {
            yield return (UserName is null ? "password" : "userName", "needs both userName and password");
        }

        if (Password is not null && Security == EmailSecurity.None && !IsLoopback)
        {
            yield return ("security", "is none, and a password would go over the network in clear");
        }
    }
}
