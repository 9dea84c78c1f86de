namespace SmcDr.Core.Retention;

/// <summary>What retention knows of a complete backup when it decides.</summary>
public sealed record BackupFact
{
    public required Component Component { get; init; }

    public required string Id { get; init; }

    /// <summary>Of what it is a backup: a database cluster's system identifier, a file store's name. Each is decided on its own.</summary>
    public required string Subject { get; init; }

    /// <summary>
    /// What else a backup of the same subject must be to replace it: a logical backup is no substitute for a physical one, nor a dump of one
    /// database for that of another. Each series is decided on its own.
    /// </summary>
    public string Series { get; init; } = "";

    /// <summary>Whether no rule removes it: what was saved of a damaged server is removed by somebody, or never.</summary>
    public bool IsEmergency { get; init; }

    /// <summary>When it began: by this it falls into its day.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>When it became consistent: the earliest instant that it can be recovered to.</summary>
    public required DateTimeOffset StopTime { get; init; }

    /// <summary>The timeline that a base backup was taken on; null for all else.</summary>
    public uint? Timeline { get; init; }

    /// <summary>Where a base backup became consistent. A timeline that left the backup's before cannot be reached from it.</summary>
    public Lsn? StopLsn { get; init; }

    /// <summary>Whether something of it could not be read when it was taken.</summary>
    public bool IsPartial { get; init; }

    /// <summary>Why it is held; null where it is not.</summary>
    public string? Hold { get; init; }

    /// <summary>Until when it is locked.</summary>
    public DateTimeOffset? LockedUntil { get; init; }

    /// <summary>The running backup that builds on it.</summary>
    public string? NeededBy { get; init; }
}
