using SmcDr.Core.Recovery;
using SmcDr.Core.Recovery.Pods;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Certification;

/// <summary>What is recovered for a test, and what must hold then.</summary>
public sealed record RecoveryTestOptions
{
    /// <summary>Where the backups and the WAL are, and the certificate goes.</summary>
    public required Repository Repository { get; init; }

    /// <summary>The site's name.</summary>
    public required string Site { get; init; }

    /// <summary>The base backup; null = the newest that is old enough for the target.</summary>
    public string? BackupId { get; init; }

    /// <summary>The state to recover to; null = the end of the archive or, with <see cref="BackupId"/>, the end of that backup.</summary>
    public RecoveryTarget? Target { get; init; }

    /// <summary>Whether the target is a point of the recovery windows, drawn by chance.</summary>
    public bool IsRandom { get; init; }

    /// <summary>The directory in which the cluster gets one of its own for the while, with room for all of it.</summary>
    public string WorkDirectory { get; init; } = SideInstance.DefaultWorkDirectory;

    /// <summary>Where in a cluster it is recovered instead; null = in <see cref="WorkDirectory"/> of this host.</summary>
    public PodSideInstanceOptions? Pod { get; init; }

    /// <summary>Where the certificate goes and earlier ones are; null = <see cref="Repository"/>.</summary>
    public Repository? Certificates { get; init; }

    /// <summary>The directory of PostgreSQL's programs; null = look for those of the backup's major version.</summary>
    public string? BinDirectory { get; init; }

    /// <summary>The account that the server runs as, where we are root; null = <c>postgres</c>.</summary>
    public string? OsUser { get; init; }

    /// <summary>The database in which <see cref="Checks"/> are asked; null = <c>postgres</c>.</summary>
    public string? Database { get; init; }

    /// <summary>Queries whose values say whether the data is what it should be.</summary>
    public IReadOnlyList<SqlCheck> Checks { get; init; } = [];

    /// <summary>Whether every table and index is read and every row counted; without it, only the queries are asked.</summary>
    public bool IsWhole { get; init; } = true;

    /// <summary>How long a query, or the check of a relation, may take.</summary>
    public TimeSpan QueryTimeout { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How long a recovery may take; null = there is no objective.</summary>
    public TimeSpan? Objective { get; init; }

    /// <summary>Draws the point for <see cref="IsRandom"/>.</summary>
    public Random Random { get; init; } = Random.Shared;
}
