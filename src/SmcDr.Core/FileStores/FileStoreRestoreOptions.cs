namespace SmcDr.Core.FileStores;

/// <summary>How a file store is restored.</summary>
public sealed record FileStoreRestoreOptions
{
    /// <summary>The directory to restore to; null for the one that was backed up.</summary>
    public string? TargetPath { get; init; }

    /// <summary>What is restored; see <see cref="PathPattern"/>. Everything where empty.</summary>
    public IReadOnlyList<string> Include { get; init; } = [];

    /// <summary>Whether files that are there already, and differ, are replaced. Files that the backup does not have are never touched.</summary>
    public bool Force { get; init; }

    /// <summary>Whether owners are restored; null: where this process is root's.</summary>
    public bool? Owners { get; init; }

    /// <summary>Whether the owners' numbers count, although their names have other numbers here.</summary>
    public bool NumericOwners { get; init; }

    /// <summary>How much is read from the repository at a time.</summary>
    public int Parallelism { get; init; } = Math.Clamp(Environment.ProcessorCount, 1, 4);
}
