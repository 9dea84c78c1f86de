namespace SmcDr;

/// <summary>A hold or a lock on a backup.</summary>
public sealed record ProtectionInfo
{
    /// <summary>The backup's id.</summary>
    public required string BackupId { get; init; }

    /// <summary>Its component.</summary>
    public required string Component { get; init; }

    /// <summary><c>Hold</c>, which Unprotect-SmcBackup ends, or <c>Lock</c>, which time ends.</summary>
    public required string Kind { get; init; }

    /// <summary>The end of a lock, in UTC.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>The reason of a hold.</summary>
    public string? Reason { get; init; }

    /// <summary>The mode of a lock: <c>Governance</c> or <c>Compliance</c>.</summary>
    public string? Mode { get; init; }

    /// <summary>Who asked for it: account and machine.</summary>
    public required string By { get; init; }

    /// <summary>When, in UTC.</summary>
    public required DateTimeOffset CreatedTime { get; init; }

    /// <summary>Where the repository is.</summary>
    public required string Repository { get; init; }
}
