using SmcDr.Core.Repositories;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>How a configuration is backed up.</summary>
public sealed record ConfigurationBackupOptions
{
    /// <summary>The namespaces.</summary>
    public required IReadOnlyList<string> Namespaces { get; init; }

    /// <summary>Leaves Secrets out, which go into an encrypted repository only.</summary>
    public bool SkipSecrets { get; init; }

    public string? Label { get; init; }

    public string? Site { get; init; }

    /// <summary>How the backup is written.</summary>
    public BackupWriterOptions Writer { get; init; } = new();
}
