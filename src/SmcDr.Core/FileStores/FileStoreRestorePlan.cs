namespace SmcDr.Core.FileStores;

/// <summary>What a restore of a file store would do, after everything was looked at.</summary>
public sealed record FileStoreRestorePlan
{
    /// <summary>The backup.</summary>
    public required string BackupId { get; init; }

    /// <summary>The file store's name.</summary>
    public required string Name { get; init; }

    /// <summary>The directory that is restored to.</summary>
    public required string TargetPath { get; init; }

    /// <summary>How many files would be written.</summary>
    public required long FileCount { get; init; }

    /// <summary>The size of these files, in bytes.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>How many files and links that are there would be replaced.</summary>
    public required long ReplacedCount { get; init; }

    /// <summary>How many files are there already, with the right content.</summary>
    public required long KeptFileCount { get; init; }

    /// <summary>The plan in one sentence.</summary>
    public string Describe()
    {
        string replaced = ReplacedCount > 0 ? FormattableString.Invariant($", replacing {ReplacedCount} that differ") : "";
        string kept = KeptFileCount > 0 ? FormattableString.Invariant($"; {KeptFileCount} are there already") : "";
        return FormattableString.Invariant(
            $"Restore {FileCount} files ({DisplayText.Size(SizeBytes)}) of file store '{Name}' from backup '{BackupId}' to '{TargetPath}'{replaced}{kept}.");
    }
}
