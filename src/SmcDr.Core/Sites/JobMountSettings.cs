using SmcDr.Core.Kubernetes.Jobs;

namespace SmcDr.Core.Sites;

/// <summary>What of the cluster the pods of Jobs have in a directory.</summary>
public sealed record JobMountSettings : ISiteRules
{
    // What the image has there would be hidden (New-OciImage.ps1).
    private static readonly string[] s_own = ["/tmp", "/usr", "/etc/passwd", "/etc/ssl", "/run/smcdr"];

    [SiteKey("The directory in the pod.", Kind = SiteValueKind.Path)]
    public required string Path { get; init; }

    [SiteKey("A Secret of the namespace; each of its keys is a file.", Kind = SiteValueKind.ObjectName)]
    public string? Secret { get; init; }

    [SiteKey("A ConfigMap of the namespace; each of its keys is a file.", Kind = SiteValueKind.ObjectName)]
    public string? ConfigMap { get; init; }

    [SiteKey("A PersistentVolumeClaim of the namespace.", Kind = SiteValueKind.ObjectName)]
    public string? Claim { get; init; }

    internal JobMount ToMount() => new() { Path = Path, Secret = Secret, ConfigMap = ConfigMap, Claim = Claim };

    IEnumerable<(string Key, string Problem)> ISiteRules.FindProblems()
    {
        if (new[] { Secret, ConfigMap, Claim }.Count(static name => name is not null) != 1)
        {
            yield return ("path", "needs exactly one of secret, configMap and claim beside it");
        }

        if (s_own.Any(own => PathText.IsWithin(own, Path)) || PathText.IsWithin(Path, "/run/smcdr"))
        {
            yield return ("path", $"is '{Path}', which pods of smcdr have for themselves");
        }
    }
}
