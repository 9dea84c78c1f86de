namespace SmcDr.Core.Recovery;

/// <summary>What replay came to.</summary>
internal sealed record RecoveryOutcome
{
    public required uint Timeline { get; init; }

    public required Lsn RecoveredLsn { get; init; }

    public DateTimeOffset? RecoveredTime { get; init; }

    public string? StoppedAt { get; init; }

    public required double ReplaySeconds { get; init; }

    public IReadOnlyList<CollationChange> CollationChanges { get; init; } = [];
}
