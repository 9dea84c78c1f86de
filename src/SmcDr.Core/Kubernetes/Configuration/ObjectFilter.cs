namespace SmcDr.Core.Kubernetes.Configuration;

/// <summary>Which objects of a configuration are meant.</summary>
public sealed record ObjectFilter
{
    /// <summary>Only these kinds, as kubectl names them: <c>deployments</c>, <c>deploy</c>, <c>Deployment</c>, <c>deployments.apps</c>. Empty = all.</summary>
    public IReadOnlyList<string> Kinds { get; init; } = [];

    /// <summary>Not these kinds.</summary>
    public IReadOnlyList<string> ExcludeKinds { get; init; } = [];

    /// <summary>Only names that are so, where * and ? stand for characters. Empty = all.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary>Only objects with such labels, in kubectl's words; null = all.</summary>
    public string? LabelSelector { get; init; }

    /// <summary>Only these, by group, kind, namespace and name in the cluster that they are restored to; null = all.</summary>
    public IReadOnlyCollection<IConfigurationObject>? Objects { get; init; }

    internal bool IsEmpty => Kinds.Count == 0 && ExcludeKinds.Count == 0 && Names.Count == 0 && LabelSelector is null && Objects is null;
}
