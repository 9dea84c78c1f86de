namespace SmcDr.Core.Kubernetes;

/// <summary>How an object is applied.</summary>
public sealed record ApplyOptions
{
    /// <summary>Who owns the fields from then on; null = as the client's options say.</summary>
    public string? FieldManager { get; init; }

    /// <summary>Whether fields that others own are taken over.</summary>
    public bool Force { get; init; }

    public bool DryRun { get; init; }
}
