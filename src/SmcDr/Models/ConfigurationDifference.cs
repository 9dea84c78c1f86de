namespace SmcDr;

/// <summary>An object in which a cluster differs from the backup of its configuration.</summary>
public sealed record ConfigurationDifference : IConfigurationObject
{
    /// <summary>The backup that the cluster was compared with.</summary>
    public required string BackupId { get; init; }

    /// <summary><c>Added</c>: the cluster has it, and the backup does not. <c>Removed</c>: the other way round. <c>Changed</c>: both have it, and it differs.</summary>
    public required string Difference { get; init; }

    /// <summary>The object's kind, such as <c>Deployment</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>The group and version of its kind.</summary>
    public required string ApiVersion { get; init; }

    /// <summary>The namespace in the cluster; null for an object of the cluster.</summary>
    public string? Namespace { get; init; }

    /// <summary>The object's name.</summary>
    public required string Name { get; init; }

    /// <summary>The fields that differ, with their values in the backup and in the cluster. What a Secret holds is not shown.</summary>
    public IReadOnlyList<ConfigurationFieldChange> Changes { get; init => field = ResultList.Of(value); } = new ResultList<ConfigurationFieldChange>([]);

    /// <summary>Kind, namespace and name.</summary>
    public override string ToString() => Namespace is null ? $"{Kind}/{Name}" : $"{Kind}/{Namespace}/{Name}";
}
