namespace SmcDr.Core.Sites;

/// <summary>A directory tree that is backed up.</summary>
public sealed record FileStoreSettings
{
    [SiteKey("The name of the file store.", Kind = SiteValueKind.Name)]
    public required string Name { get; init; }

    [SiteKey("The directory.", Kind = SiteValueKind.Path)]
    public required string Path { get; init; }
}
