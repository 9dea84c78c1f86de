namespace SmcDr.Core.Retention;

/// <summary>What becomes of a backup, and why.</summary>
/// <param name="Backup">The backup.</param>
/// <param name="Reasons">Each reason that keeps it; none where it goes.</param>
public sealed record RetentionDecision(BackupFact Backup, IReadOnlyList<string> Reasons)
{
    /// <summary>Whether it stays.</summary>
    public bool IsKept => Reasons.Count > 0;
}
