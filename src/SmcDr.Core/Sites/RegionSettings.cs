namespace SmcDr.Core.Sites;

/// <summary>One place that the system runs in.</summary>
public sealed record RegionSettings : ISiteRules
{
    [SiteKey("Whether the region serves or stands by.")]
    public required RegionRole Role { get; init; }

    [SiteKey("The Kubernetes cluster; without it, database and Redis run on this host.")]
    public KubernetesSettings? Kubernetes { get; init; }

    [SiteKey("The PostgreSQL database.")]
    public DatabaseSettings? Database { get; init; }

    [SiteKey("The Redis server.")]
    public RedisSettings? Redis { get; init; }

    [SiteKey("The host name that DNS leads to while this region serves.", Kind = SiteValueKind.HostName)]
    public string? Endpoint { get; init; }

    [SiteKey("Files and folders with the manifests that are deployed in this region.", Kind = SiteValueKind.Path)]
    public IReadOnlyList<string> Manifests { get; init; } = [];

    /// <summary>The region's name: its key in the site file.</summary>
    public string Name { get; init; } = "";

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (Kubernetes is null && Database?.Workload is not null)
        {
            yield return ("database", "names a workload, and the region has no kubernetes to find it in");
        }

        if (Kubernetes is null && Redis?.Workload is not null)
        {
            yield return ("redis", "names a workload, and the region has no kubernetes to find it in");
        }
    }
}
