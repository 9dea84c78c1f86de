namespace SmcDr.Core.Sites;

/// <summary>The Redis server of a region.</summary>
public sealed record RedisSettings : ISiteRules
{
    [SiteKey("The server's host and port, such as redis:6379.", Kind = SiteValueKind.Endpoint)]
    public required string Endpoint { get; init; }

    [SiteKey("The user that connects, where the server has several.", Kind = SiteValueKind.Name)]
    public string? Username { get; init; }

    [SiteKey("The password.")]
    public SecretReference? Password { get; init; }

    [SiteKey("Whether the connection is encrypted.")]
    public bool Tls { get; init; }

    [SiteKey("The data directory of a server on this host.", Kind = SiteValueKind.Path)]
    public string? DataDirectory { get; init; }

    [SiteKey("The directory of redis-server.", Kind = SiteValueKind.Path)]
    public string? BinDirectory { get; init; }

    [SiteKey("The account that the server runs as; without it, the owner of the data directory.", Kind = SiteValueKind.Name)]
    public string? OsUser { get; init; }

    [SiteKey("The workload in Kubernetes that Redis runs in.", Kind = SiteValueKind.Workload)]
    public string? Workload { get; init; }

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (DataDirectory is not null && Workload is not null)
        {
            yield return ("dataDirectory", "is for a server on this host, and workload says that it runs in Kubernetes");
        }
    }
}
