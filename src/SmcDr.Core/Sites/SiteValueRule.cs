using System.Collections.Frozen;
using System.Text.RegularExpressions;
using Npgsql;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Sites;

/// <summary>The rule of one kind of text in the site file.</summary>
/// <param name="Expected">What is accepted, for messages: "must be …".</param>
/// <param name="Pattern">The expression that the whole text matches, in the dialect that .NET and JSON Schema share.</param>
/// <param name="IsSensitive">Whether a wrong text may hold a secret and must not be repeated.</param>
/// <param name="AllowsEmpty">Whether an empty text says something.</param>
internal sealed record SiteValueRule(string Expected, string? Pattern = null, bool IsSensitive = false, bool AllowsEmpty = false)
{
    private static readonly FrozenDictionary<SiteValueKind, SiteValueRule> s_rules = new Dictionary<SiteValueKind, SiteValueRule>
    {
        [SiteValueKind.Text] = new("a text"),
        [SiteValueKind.Name] = new(
            "a name of up to 63 letters, digits, '.', '_' and '-'", "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"),
        [SiteValueKind.Path] = new("a path"),
        [SiteValueKind.Location] = new(
            "a location such as s3://bucket/prefix?region=eu-central-1, file:///var/backups or a path", IsSensitive: true),
        [SiteValueKind.Connection] = new(
            "an Npgsql connection string such as \"Host=db;Username=postgres;Database=orders\"", IsSensitive: true),
        [SiteValueKind.Slot] = new(
            "a replication slot's name: up to 63 lower-case letters, digits and '_'", "^[a-z0-9_]{1,63}$"),
        [SiteValueKind.Workload] = new(
            "a workload such as deployment/api or statefulset/postgres",
            "^(deployment|statefulset|replicaset|daemonset|cronjob)/[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
        [SiteValueKind.Endpoint] = new(
            "a host and a port such as redis:6379", "^([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5}$"),
        [SiteValueKind.HostName] = new(
            "a host name such as api.example.com", "^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?[.]?$"),
        [SiteValueKind.Url] = new(
            "a URL such as https://api.example.com/health", "^https?://[^/?#@]+([/?#].*)?$", IsSensitive: true),
        [SiteValueKind.Expectation] = new(
            "a comparison such as \"> 0\" or \"= ready\"", "^(=|<>|!=|<=|>=|<|>) *[^ <>=!].*$"),
        [SiteValueKind.Schedule] = new(
            "five fields of cron (minute, hour, day of month, month, day of week) such as \"0 */6 * * *\"",
            "^[0-9*/,A-Za-z-]+( +[0-9*/,A-Za-z-]+){4}$"),
        [SiteValueKind.Service] = new(
            "the name of a service of systemd such as redis-server", "^[A-Za-z0-9][A-Za-z0-9:_.@-]{0,254}$"),
        [SiteValueKind.Command] = new(
            "the name that the server has for the command, without spaces, or \"\" where it took the command away",
            "^[!-~]{0,128}$", AllowsEmpty: true),
        [SiteValueKind.RecordType] = new("a type of record: A, AAAA or CNAME", "^(A|AAAA|CNAME)$"),
        [SiteValueKind.EmailAddress] = new("an e-mail address such as dba@example.com", "^[^@ <>,;:\"()]+@[A-Za-z0-9.-]+$"),
        [SiteValueKind.Image] = new(
            "an image such as registry.example.com/smcdr:0.1.0", "^[A-Za-z0-9]([A-Za-z0-9._/:@-]*[A-Za-z0-9])?$"),
        [SiteValueKind.ObjectName] = new(
            "the name of an object in Kubernetes: lower-case letters, digits, '.' and '-'", "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"),
        [SiteValueKind.CpuQuantity] = new("a quantity of processors such as 500m or 2", "^([1-9][0-9]{0,5}m|[1-9][0-9]{0,2}([.][0-9]{1,3})?|0[.][0-9]{1,3})$"),
        [SiteValueKind.HostedZone] = new("the id of a hosted zone such as Z0123456789ABC", "^[A-Za-z0-9]{1,32}$"),
    }.ToFrozenDictionary();

    private readonly Regex? _regex = Pattern is null ? null : new Regex(Pattern, RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);

    /// <summary>The rule of a kind.</summary>
    public static SiteValueRule Of(SiteValueKind kind) => s_rules[kind];

    /// <summary>What is wrong with a text, as the rest of a sentence that begins with its key, or null.</summary>
    public static string? FindProblem(SiteValueKind kind, string text)
    {
        SiteValueRule rule = Of(kind);
        if (text.Length == 0 && !rule.AllowsEmpty || text.AsSpan().ContainsAny('\0', '\n', '\r') && kind is not SiteValueKind.Text ||
            rule._regex?.IsMatch(text) == false)
        {
            // "must be a location …, not 's3://key:secret@…'" would print the secret.
            return rule.IsSensitive || text.Length > 200 ? $"must be {rule.Expected}" : $"must be {rule.Expected}, not '{text}'";
        }

        return kind switch
        {
            SiteValueKind.Connection => FindConnectionProblem(text),
            SiteValueKind.Location => FindLocationProblem(text),
            SiteValueKind.Schedule => CronText.FindProblem(text),
            SiteValueKind.Endpoint when !ushort.TryParse(text[(text.LastIndexOf(':') + 1)..], out ushort port) || port == 0 =>
                $"must be {rule.Expected}, and ports go from 1 to 65535",
            _ => null,
        };
    }

    private static string? FindConnectionProblem(string text)
    {
        // Before parsing, so that no message of the parser repeats a part of it.
        if (text.Contains("password", StringComparison.OrdinalIgnoreCase) || text.Contains("pwd", StringComparison.OrdinalIgnoreCase))
        {
            return "must not hold a password; take it out and give a secret reference beside it, such as password: env:PGPASSWORD";
        }

        try
        {
            NpgsqlConnectionStringBuilder builder = new(text);
            return string.IsNullOrEmpty(builder.Host) ? "names no Host" : null;
        }
        catch (Exception e) when (e is ArgumentException or FormatException or OverflowException or InvalidCastException)
        {
            return $"is not a connection string: {e.Message.TrimEnd('.')}";
        }
    }

    private static string? FindLocationProblem(string text)
    {
        if (text.Contains("://", StringComparison.Ordinal) && text.Contains('@', StringComparison.Ordinal))
        {
            return "must not hold credentials; they come from the environment or the profile, as with other AWS tools";
        }

        try
        {
            ObjectStoreLocation.Parse(text);
            return null;
        }
        catch (SmcException e)
        {
            // The reason without the location, which may hold a secret where an option is misunderstood.
            string reason = e.Message.Replace($" '{text}'", "", StringComparison.Ordinal);
            return $"must be {Of(SiteValueKind.Location).Expected}: {reason[(reason.IndexOf(": ", StringComparison.Ordinal) + 2)..].TrimEnd('.')}";
        }
    }
}
