using SmcDr.Core.Repositories;

namespace SmcDr.Core.Objectives;

/// <summary>How long a recovery took: what predictions are made of.</summary>
internal sealed record RecoveryMeasurement
{
    public int Format { get; init; } = Repository.FormatVersion;

    public required Guid RepositoryId { get; init; }

    public required string Site { get; init; }

    public required Component Component { get; init; }

    /// <summary>The name of a file store.</summary>
    public string? Subject { get; init; }

    public required string BackupId { get; init; }

    /// <summary><c>Host</c>, <c>Pod</c>, <c>Online</c>, <c>Offline</c> or <c>Cluster</c>: what took another way took another time.</summary>
    public required string Way { get; init; }

    public required DateTimeOffset StartTime { get; init; }

    /// <summary>All of it.</summary>
    public required double Seconds { get; init; }

    /// <summary>What was restored, in bytes.</summary>
    public required long SizeBytes { get; init; }

    /// <summary>Of a database, the part of the time in which files were restored.</summary>
    public double? RestoreSeconds { get; init; }

    /// <summary>Of a database, what was replayed, in bytes.</summary>
    public long? WalBytes { get; init; }

    /// <summary>Of a database, the part of the time in which it was.</summary>
    public double? ReplaySeconds { get; init; }

    /// <summary>The point that was brought back.</summary>
    public DateTimeOffset? RecoveredTime { get; init; }

    public required string Host { get; init; }

    public required string Tool { get; init; }
}
