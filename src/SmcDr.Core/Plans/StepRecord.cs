namespace SmcDr.Core.Plans;

/// <summary>What a journal says of a step, all its entries together.</summary>
internal sealed record StepRecord
{
    /// <summary>The latest entry with a state.</summary>
    public required PlanJournalEntry Last { get; init; }

    /// <summary>How often it was begun since it was last taken back.</summary>
    public required int Begun { get; init; }

    public PlanStepState State => Last.State!.Value;

    /// <summary>Whether it needs nothing more.</summary>
    public bool IsDone => State is PlanStepState.Succeeded or PlanStepState.AlreadyDone or PlanStepState.Skipped;

    /// <summary>Whether anything of it may have been done by the plan.</summary>
    public bool HasActed => Begun > 0 && State is not PlanStepState.Undone;
}
