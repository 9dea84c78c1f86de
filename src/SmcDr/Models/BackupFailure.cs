namespace SmcDr;

/// <summary>Why there is no backup: one that failed, as the command that took it has noted, or one that was begun and never finished.</summary>
public sealed record BackupFailure
{
    /// <summary>When it failed, in UTC, by the clock of the host that it ran on; of one that was never finished, when it began.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>The site.</summary>
    public required string Site { get; init; }

    /// <summary><c>Database</c>, <c>Redis</c>, <c>Configuration</c> or <c>FileStore</c>; null where a command backs up several.</summary>
    public string? Component { get; init; }

    /// <summary>The backup that was begun, as Get-SmcBackup lists it; null where it did not come to that.</summary>
    public string? BackupId { get; init; }

    /// <summary>What went wrong.</summary>
    public required string Problem { get; init; }

    /// <summary>What to do about it.</summary>
    public string? Recommendation { get; init; }

    /// <summary>The id of the error, such as <c>SmcServerUnavailable</c>; null where the backup ended without a word.</summary>
    public string? ErrorId { get; init; }

    /// <summary>The command with its arguments; null where the backup ended without a word.</summary>
    public string? Command { get; init; }

    /// <summary>How long it had been at it; null where that is not known.</summary>
    public TimeSpan? Elapsed { get; init; }

    /// <summary>The account and the host that it ran by.</summary>
    public string? By { get; init; }

    /// <summary>The first backup of the component that was complete afterwards; null while there is none, and where a command backs up several.</summary>
    public string? NextBackupId { get; init; }

    /// <summary>Where it is noted: the repository, or a directory of this account where the repository could not be written to.</summary>
    public required string NotedIn { get; init; }

    /// <summary>When it was, and what went wrong.</summary>
    public override string ToString() => $"{DisplayText.Time(Time)} {Component ?? "System"}: {Problem}";
}
