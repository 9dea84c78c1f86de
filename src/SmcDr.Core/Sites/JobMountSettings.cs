namespace SmcDr.Core.Sites;

/// <summary>What of the cluster the pods of Jobs have in a directory.</summary>
public sealed record JobMountSettings : ISiteRules
{
    [SiteKey("The directory in the pod.", Kind = SiteValueKind.Path)]
    public required string Path { get; init; }

    [SiteKey("A Secret of the namespace; each of its keys is a file.", Kind = SiteValueKind.Name)]
    public string? Secret { get; init; }

    [SiteKey("A ConfigMap of the namespace; each of its keys is a file.", Kind = SiteValueKind.Name)]
    public string? ConfigMap { get; init; }

    [SiteKey("A PersistentVolumeClaim of the namespace.", Kind = SiteValueKind.Name)]
    public string? Claim { get; init; }

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (new[] { Secret, ConfigMap, Claim }.Count(static name => name is not null) != 1)
        {
            yield return ("path", "needs exactly one of secret, configMap and claim beside it");
        }
    }
}
