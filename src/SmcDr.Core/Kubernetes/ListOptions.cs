namespace SmcDr.Core.Kubernetes;

/// <summary>Which objects are meant.</summary>
public sealed record ListOptions
{
    public string? LabelSelector { get; init; }

    public string? FieldSelector { get; init; }

    /// <summary>How many objects a page has; null = as the client's options say.</summary>
    public int? PageSize { get; init; }
}
