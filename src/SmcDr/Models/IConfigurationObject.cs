namespace SmcDr;

/// <summary>An object of a cluster that a result is about, by which it can be chosen again.</summary>
public interface IConfigurationObject
{
    /// <summary>The backup that it is from, or was compared with.</summary>
    string BackupId { get; }

    /// <summary>Its kind, such as <c>Deployment</c>.</summary>
    string Kind { get; }

    /// <summary>The group and version of its kind.</summary>
    string ApiVersion { get; }

    /// <summary>The namespace in the cluster; null for an object of the cluster.</summary>
    string? Namespace { get; }

    /// <summary>Its name in the cluster.</summary>
    string Name { get; }
}
