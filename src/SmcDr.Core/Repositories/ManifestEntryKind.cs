namespace SmcDr.Core.Repositories;

/// <summary>What an entry of a manifest is.</summary>
public enum ManifestEntryKind
{
    File,
    Directory,
    Link,

    /// <summary>A further name of a file that stands earlier in the manifest.</summary>
    HardLink,

    /// <summary>A pipe or a device file.</summary>
    Special,
}
