namespace SmcDr.Core.Plans;

/// <summary>What a step finds before it acts.</summary>
public sealed record StepCheck
{
    private StepCheck(PlanStepState? state, string detail) => (State, Detail) = (state, detail);

    /// <summary>It is to act.</summary>
    public static StepCheck Needed { get; } = new(null, "");

    /// <summary>How it ends without having acted; null where it is to act.</summary>
    internal PlanStepState? State { get; }

    internal string Detail { get; }

    /// <summary>What it is for is so already.</summary>
    public static StepCheck AlreadyDone(string detail) => new(PlanStepState.AlreadyDone, detail);

    /// <summary>It is not needed here.</summary>
    public static StepCheck Skip(string detail) => new(PlanStepState.Skipped, detail);
}
