namespace SmcDr.Core.Recovery;

/// <summary>What a journaled recovery is about: a second run goes on with it where it asks for the same.</summary>
internal sealed record RecoveryIntent
{
    public required string OperationId { get; init; }

    public required DateTimeOffset StartTime { get; init; }

    public required Guid RepositoryId { get; init; }

    public required string SystemId { get; init; }

    public required string BackupId { get; init; }

    /// <summary><see cref="RecoveryTarget.Identity"/>.</summary>
    public required string Target { get; init; }

    public required string TargetKind { get; init; }

    public string? TargetValue { get; init; }

    public required string DataDirectory { get; init; }

    /// <summary>Whether the data directory itself is restored to.</summary>
    public bool Delta { get; init; }

    /// <summary>How it is isolated for good; null where it is not.</summary>
    public ServerIsolation? Isolation { get; init; }

    /// <summary>Whether it becomes a standby instead of being promoted.</summary>
    public bool Standby { get; init; }

    public IReadOnlyList<RecoveryTablespace> Tablespaces { get; init; } = [];

    public required long RestoreBytes { get; init; }

    public required long WalBytes { get; init; }
}
