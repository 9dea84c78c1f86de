namespace SmcDr.Core.Repositories;

/// <summary>A manifest that was read and found to be sound: every path stays below the root, every extent lies in its block, every block in its pack.</summary>
/// <param name="Header">What is true of the backup as a whole.</param>
/// <param name="Packs">The packs that hold its blocks, of this backup and of earlier ones.</param>
/// <param name="Entries">Its files, directories and links, in ordinal order of their paths.</param>
public sealed record Manifest(
    BackupHeader Header, IReadOnlyList<PackReference> Packs, IReadOnlyList<ManifestEntry> Entries);
