using SmcDr.Core.Repositories;

namespace SmcDr.Core.Regions;

/// <summary>How a region is made to follow the one that leads.</summary>
public sealed record RegionReplicaRequest
{
    /// <summary>Where base backups and WAL are.</summary>
    public required Repository Repository { get; init; }

    /// <summary>The region; null = the only one that does not lead.</summary>
    public string? Region { get; init; }

    /// <summary>The base backup; null = the newest that the primary's history goes through.</summary>
    public string? BackupId { get; init; }

    /// <summary>Whether what is in the way is moved aside, and a Redis that has keys of its own loses them.</summary>
    public bool Force { get; init; }

    /// <summary>Whether what is right in an old data directory is kept, and the rest overwritten or removed without a copy.</summary>
    public bool Delta { get; init; }

    /// <summary>
    /// The words that start <c>smcdr</c> on this host, as the standby's <c>restore_command</c> will; empty = it gets none, and a link that was cut for too
    /// long ends it.
    /// </summary>
    public required IReadOnlyList<string> Program { get; init; }

    /// <summary>Whether Redis is left as it is.</summary>
    internal bool IsDatabaseAlone { get; init; }

    /// <summary>How many requests to the repository run at a time; null = a number that fits this machine.</summary>
    public int? Parallelism { get; init; }
}
