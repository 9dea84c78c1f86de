using SmcDr.Core.Repositories;

namespace SmcDr.Core.Retention;

/// <summary>A hold or a lock on a backup, as an object of its own in the repository.</summary>
public sealed record BackupProtection
{
    /// <summary>The kind that only a person ends.</summary>
    public const string Hold = "hold";

    /// <summary>The kind that only time ends.</summary>
    public const string Lock = "lock";

    public int Format { get; init; } = Repository.FormatVersion;

    public required Guid RepositoryId { get; init; }

    public required Component Component { get; init; }

    public required string BackupId { get; init; }

    /// <summary><see cref="Hold"/> or <see cref="Lock"/>.</summary>
    public required string Kind { get; init; }

    public required DateTimeOffset CreatedTime { get; init; }

    /// <summary>The end of a lock.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>The reason of a hold.</summary>
    public string? Reason { get; init; }

    /// <summary>Who asked for it: account and machine.</summary>
    public required string By { get; init; }

    /// <summary>The mode of a lock, as the object store names it.</summary>
    public string? Mode { get; init; }
}
