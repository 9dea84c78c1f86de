using SmcDr.Core.Repositories;

namespace SmcDr.Core.Recovery;

/// <summary>A side instance that is needed for a while.</summary>
public sealed record SideInstanceOptions
{
    /// <summary>Where the backups and the WAL are.</summary>
    public required Repository Repository { get; init; }

    /// <summary>The base backup; null = the newest that is old enough for the target.</summary>
    public string? BackupId { get; init; }

    /// <summary>The cluster, where the repository holds several.</summary>
    public ulong? SystemId { get; init; }

    /// <summary>The site whose cluster it is: where the repository holds several clusters and none is named, its own backups are chosen from; null = all.</summary>
    public string? Site { get; init; }

    /// <summary>The state that it has.</summary>
    public RecoveryTarget Target { get; init; } = RecoveryTarget.Latest;

    /// <summary>The directory in which it gets one of its own, with room for the whole cluster.</summary>
    public required string WorkDirectory { get; init; }

    /// <summary>The directory of PostgreSQL's programs; null = look for those of the backup's major version.</summary>
    public string? BinDirectory { get; init; }

    /// <summary>The account that the server runs as, where we are root; null = <c>postgres</c>.</summary>
    public string? OsUser { get; init; }

    /// <summary>The superuser who connects.</summary>
    public string Superuser { get; init; } = "postgres";

    /// <summary>Whether transactions may write. What they write goes with the instance.</summary>
    public bool ReadWrite { get; init; }

    /// <summary>How many requests to the repository run at a time; null = a number that fits this machine.</summary>
    public int? Parallelism { get; init; }

    /// <summary>Is told what will be recovered, before it is.</summary>
    internal Action<RecoveryPlan>? Planned { get; init; }
}
