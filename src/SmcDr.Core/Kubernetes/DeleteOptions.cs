namespace SmcDr.Core.Kubernetes;

/// <summary>How an object is deleted.</summary>
public sealed record DeleteOptions
{
    public DeletePropagation Propagation { get; init; } = DeletePropagation.Background;

    /// <summary>Only this very object, and not one that has its name meanwhile.</summary>
    public string? Uid { get; init; }

    /// <summary>How long the object has to end; null = as it says itself.</summary>
    public TimeSpan? GracePeriod { get; init; }

    public bool DryRun { get; init; }
}
