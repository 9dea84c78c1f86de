using System.Text.RegularExpressions;

namespace SmcDr.Core.Notifications;

/// <summary>Takes secrets out of texts that are shown or sent: those that are known, and what has the form of one.</summary>
internal sealed partial class SecretText
{
    private const string Hidden = "***";

    // Shorter ones would take letters out of ordinary words, and no address or password that protects anything is so short.
    private const int MinimumLength = 4;

    private readonly string[] _secrets;

    public SecretText(IEnumerable<string> secrets) =>
        _secrets = [.. secrets.SelectMany(Forms).Where(static form => form.Length >= MinimumLength).Distinct(StringComparer.Ordinal)
            .OrderByDescending(static form => form.Length)];

    public string Hide(string text)
    {
        foreach (string secret in _secrets)
        {
            text = text.Replace(secret, Hidden, StringComparison.Ordinal);
        }

        text = WebhookPattern().Replace(UserInfoPattern().Replace(text, "$1***@"), "$1***");
        return PasswordPattern().Replace(text, "$1***");
    }

    /// <summary>A URL is known by what makes it one's own, too: messages name paths without their host.</summary>
    private static IEnumerable<string> Forms(string secret)
    {
        yield return secret;
        if (Uri.TryCreate(secret, UriKind.Absolute, out Uri? uri) && uri.PathAndQuery.Length > 1)
        {
            yield return uri.AbsoluteUri;
            yield return uri.PathAndQuery;
            yield return uri.PathAndQuery[1..];
        }
    }

    /// <summary>Name and password in front of a URL's host.</summary>
    [GeneratedRegex(@"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s@]+@", RegexOptions.CultureInvariant)]
    private static partial Regex UserInfoPattern();

    /// <summary>Addresses of webhooks of which everybody knows that whoever has them can write to the channel.</summary>
    [GeneratedRegex(
        @"(https://(?:hooks\.slack(?:-gov)?\.com/|discord(?:app)?\.com/api/webhooks/|[A-Za-z0-9.-]+\.webhook\.office\.com/|[A-Za-z0-9.:-]+\.logic\.azure\.com[:0-9]*/))[^\s;,'""<>]+",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex WebhookPattern();

    /// <summary>What connection strings, environments, documents and command lines say of passwords, such as AWS_SECRET_ACCESS_KEY=… or "password": "…".</summary>
    [GeneratedRegex(
        @"((?:\b|_)(?:PGPASSWORD|password|passphrase|passwd|pwd|secret|token|(?:access|api|account)[_-]?key)[""']?\s*[=:]\s*)(?:""[^""]*""|'[^']*'|[^\s;,'""]+)",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase)]
    private static partial Regex PasswordPattern();
}
