namespace SmcDr.Core.Systems;

/// <summary>Which backup of a whole system is asked for.</summary>
public sealed record SystemBackupOptions
{
    /// <summary>The label that all backups of it share; null = one with the time.</summary>
    public string? Label { get; init; }

    /// <summary>What is backed up; empty = all that the site has.</summary>
    public IReadOnlyCollection<Component> Components { get; init; } = [];
}
