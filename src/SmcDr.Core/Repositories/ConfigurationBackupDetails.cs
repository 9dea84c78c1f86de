namespace SmcDr.Core.Repositories;

/// <summary>What is true of the backup of a configuration as a whole.</summary>
public sealed record ConfigurationBackupDetails
{
    /// <summary>The namespaces that were backed up.</summary>
    public required IReadOnlyList<string> Namespaces { get; init; }

    /// <summary>The cluster, as the kubeconfig calls it.</summary>
    public required string Cluster { get; init; }

    /// <summary>The version of its API server.</summary>
    public required string ServerVersion { get; init; }

    /// <summary>Whether Secrets were left out, as somebody wanted it.</summary>
    public bool WithoutSecrets { get; init; }

    /// <summary>How many documents there are of each kind.</summary>
    public IReadOnlyDictionary<string, long> Kinds { get; init; } = new Dictionary<string, long>();

    /// <summary>How many objects were left out, by the reason: what the cluster or a controller makes anew.</summary>
    public IReadOnlyDictionary<string, long> Skipped { get; init; } = new Dictionary<string, long>();

    /// <summary>What could not be read. None is the only good number.</summary>
    public IReadOnlyList<ConfigurationGap> Missing { get; init; } = [];

    /// <summary>The releases of Helm in the namespaces, the newest revision of each.</summary>
    public IReadOnlyList<HelmReleaseInfo> HelmReleases { get; init; } = [];
}
