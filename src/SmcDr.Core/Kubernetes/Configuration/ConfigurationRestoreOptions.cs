using SmcDr.Core.Kubernetes.Workloads;

namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>How a configuration is restored.</summary>
public sealed record ConfigurationRestoreOptions
{
    /// <summary>Which objects.</summary>
    public ObjectFilter Filter { get; init; } = new();

    /// <summary>Which namespaces of the backup become which others; those that are not named stay.</summary>
    public IReadOnlyDictionary<string, string> NamespaceMapping { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether an object that differs in what cannot be changed is deleted and made again. Never what holds data or other objects.</summary>
    public bool Force { get; init; }

    /// <summary>Whether volumes that were made for their claims are restored as well: their storage must have outlived the claims.</summary>
    public bool RestoreVolumes { get; init; }

    /// <summary>
    /// Workloads that are not to start by being restored, with who starts them (see <see cref="Suspension"/>): one that is made anew is made stopped and
    /// remembers its replicas, one that is there stays as it is in this.
    /// </summary>
    public IReadOnlyDictionary<WorkloadName, string> Held { get; init; } = new Dictionary<WorkloadName, string>();

    /// <summary>Whether nothing is changed, and it is only found out what would be.</summary>
    public bool DryRun { get; init; }

    /// <summary>How many objects are restored at a time.</summary>
    public int Parallelism { get; init; } = 16;

    /// <summary>How long what is being deleted is waited for.</summary>
    public TimeSpan TerminatingTimeout { get; init; } = TimeSpan.FromMinutes(3);

    /// <summary>How long a new kind may take until it can be used.</summary>
    public TimeSpan EstablishedTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a webhook that cannot be asked is waited for at the end: its pods may just have been restored.</summary>
    public TimeSpan WebhookTimeout { get; init; } = TimeSpan.FromSeconds(60);
}
