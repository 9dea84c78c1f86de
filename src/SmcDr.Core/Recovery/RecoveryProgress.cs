namespace SmcDr.Core.Recovery;

/// <summary>What a journal says, all its lines together.</summary>
internal sealed class RecoveryProgress
{
    private readonly List<RecoveryMove> _moves = [];

    public RecoveryPhase Phase { get; private set; }

    public RecoveryIntent? Intent { get; private set; }

    public RecoveryOutcome? Outcome { get; private set; }

    public DateTimeOffset? DoneTime { get; private set; }

    public double RestoreSeconds { get; private set; }

    public RecoveryFiles? Files { get; private set; }

    public IReadOnlyList<RecoveryMove> Moves => _moves;

    public void Apply(RecoveryJournalEntry entry)
    {
        Phase = entry.Phase;
        Intent = entry.Intent ?? Intent;
        Outcome = entry.Outcome ?? Outcome;
        Files = entry.Files ?? Files;
        RestoreSeconds = entry.RestoreSeconds ?? RestoreSeconds;
        DoneTime = entry.Phase == RecoveryPhase.Done ? entry.Time : null;
        if (entry.Move is not null)
        {
            _moves.Add(entry.Move);
        }
    }
}
