namespace SmcDr.Core.Repositories;

/// <summary>What an entry of a manifest is.</summary>
public enum ManifestEntryKind
{
    File,
    Directory,
    Link,
}
