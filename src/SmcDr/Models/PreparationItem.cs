namespace SmcDr;

/// <summary>One thing that streaming backup needs of a server, and how it stands.</summary>
public sealed record PreparationItem
{
    /// <summary>What it is: a setting's name, or such as <c>Role</c>, <c>ReplicationSlot</c> or <c>Execute pg_backup_start</c>.</summary>
    public required string Item { get; init; }

    /// <summary>What it was when it was looked at; none where it did not exist. Never a password.</summary>
    public string? Current { get; init; }

    /// <summary>What it has to be.</summary>
    public required string Wanted { get; init; }

    /// <summary>
    /// <c>Right</c>; <c>Changed</c>, just now; <c>NeedsRestart</c>: set, and taken when the server starts again; <c>Missing</c>: not as it has to be;
    /// or <c>Advice</c>: backups work without it.
    /// </summary>
    public required string State { get; init; }

    /// <summary>What to do about it, where there is something to do.</summary>
    public string? Recommendation { get; init; }

    /// <summary>The server.</summary>
    public required string Server { get; init; }
}
