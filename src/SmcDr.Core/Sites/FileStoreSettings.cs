namespace SmcDr.Core.Sites;

/// <summary>A directory tree that is backed up.</summary>
public sealed record FileStoreSettings
{
    [SiteKey("The name of the file store.", Kind = SiteValueKind.Name)]
    public required string Name { get; init; }

    [SiteKey("The directory.", Kind = SiteValueKind.Path)]
    public required string Path { get; init; }

    [SiteKey("What is left out, as patterns such as *.log or cache/**; one without a slash is looked for at any depth.")]
    public IReadOnlyList<string> Exclude { get; init; } = [];

    [SiteKey("Whether directories on other file systems are left out.")]
    public bool OneFileSystem { get; init; } = true;

    [SiteKey("Whether it belongs to the configuration, and each backup of that takes it along.")]
    public bool WithConfiguration { get; init; }
}
