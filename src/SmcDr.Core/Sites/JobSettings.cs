namespace SmcDr.Core.Sites;

/// <summary>How commands run in a region's cluster, as Jobs.</summary>
public sealed record JobSettings
{
    [SiteKey("The image of smcdr, such as registry.example.com/smcdr:0.1.0.")]
    public required string Image { get; init; }

    [SiteKey("The ServiceAccount that pods have; without it, the namespace's default one.", Kind = SiteValueKind.Name)]
    public string? ServiceAccount { get; init; }

    [SiteKey("The Secrets by which the image is pulled.", Kind = SiteValueKind.Name)]
    public IReadOnlyList<string> ImagePullSecrets { get; init; } = [];

    [SiteKey("Secrets of the namespace of which each key is an environment variable in the pod: for env: references, and the object store's credentials.",
        Kind = SiteValueKind.Name)]
    public IReadOnlyList<string> EnvironmentSecrets { get; init; } = [];

    [SiteKey("Secrets, ConfigMaps and claims that pods have in directories: for file: references, certificates, and what is kept in files.")]
    public IReadOnlyList<JobMountSettings> Mounts { get; init; } = [];
}
