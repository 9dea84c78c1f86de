namespace SmcDr.Core.Kubernetes.Jobs;

/// <summary>How a command in a pod is accompanied.</summary>
public sealed record JobOptions
{
    /// <summary>Whether the command ends when whoever follows it is stopped; else it goes on in the cluster.</summary>
    public bool CancelOnStop { get; init; }

    /// <summary>What stands before the texts of this command, where several are followed at once; null = nothing.</summary>
    public string? Prefix { get; init; }
}
