namespace SmcDr;

/// <summary>What a restore of a configuration does, or would do, with one object.</summary>
public sealed record ConfigurationRestoreResult : IConfigurationObject
{
    /// <summary>The backup that the object is from.</summary>
    public required string BackupId { get; init; }

    /// <summary>The object's kind, such as <c>Deployment</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>The group and version of its kind, as the backup has it.</summary>
    public required string ApiVersion { get; init; }

    /// <summary>The namespace that it is restored to; null for an object of the cluster.</summary>
    public string? Namespace { get; init; }

    /// <summary>The object's name.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// <c>Create</c>: it is not there. <c>Change</c>: it differs in <see cref="Changes"/>. <c>Replace</c>: it differs in what cannot be changed, and is
    /// deleted and made again. <c>Same</c>: it is as it was. <c>Skip</c>: it is not restored. <c>Restore</c>: it was to be restored, and could not be.
    /// </summary>
    public required string Action { get; init; }

    /// <summary>
    /// <c>Planned</c> with <c>-WhatIf</c>; <c>Done</c>; <c>NeedsReplace</c> where it must be replaced and nobody asked for that; <c>Skipped</c>;
    /// <c>Failed</c>.
    /// </summary>
    public required string State { get; init; }

    /// <summary>The fields that change, with their values in the cluster and in the backup. What a Secret holds is not shown.</summary>
    public IReadOnlyList<ConfigurationFieldChange> Changes { get; init => field = ResultList.Of(value); } = new ResultList<ConfigurationFieldChange>([]);

    /// <summary>What else is to be known, such as why it is skipped.</summary>
    public string? Detail { get; init; }

    /// <summary>The id of the error; null where there was none.</summary>
    public string? ErrorId { get; init; }

    /// <summary>What went wrong.</summary>
    public string? Error { get; init; }

    /// <summary>What to do about it.</summary>
    public string? Recommendation { get; init; }

    /// <summary>Kind, namespace and name.</summary>
    public override string ToString() => Namespace is null ? $"{Kind}/{Name}" : $"{Kind}/{Namespace}/{Name}";
}
