namespace SmcDr.Core.Recovery;

/// <summary>A line of the journal.</summary>
internal sealed record RecoveryJournalEntry
{
    public required RecoveryPhase Phase { get; init; }

    public required DateTimeOffset Time { get; init; }

    /// <summary>With <see cref="RecoveryPhase.Begun"/>.</summary>
    public RecoveryIntent? Intent { get; init; }

    /// <summary>Where something is about to be moved aside: written before it is moved, so that it is found again.</summary>
    public RecoveryMove? Move { get; init; }

    /// <summary>With <see cref="RecoveryPhase.Fetched"/>: seconds that fetching took in this run.</summary>
    public double? RestoreSeconds { get; init; }

    /// <summary>With <see cref="RecoveryPhase.Fetched"/>: what restoring the files did in this run, where it did anything.</summary>
    public RecoveryFiles? Files { get; init; }

    /// <summary>With <see cref="RecoveryPhase.Recovered"/>.</summary>
    public RecoveryOutcome? Outcome { get; init; }
}
