namespace SmcDr;

/// <summary>How far a step of a plan is.</summary>
public enum PlanStepState
{
    /// <summary>It has not begun.</summary>
    Pending,

    /// <summary>It is at work; or it was, when the plan was last heard of.</summary>
    Running,

    /// <summary>It was done and verified.</summary>
    Succeeded,

    /// <summary>It is not needed here.</summary>
    Skipped,

    /// <summary>What it is for was so already, or an earlier run of the plan has done it.</summary>
    AlreadyDone,

    /// <summary>It failed.</summary>
    Failed,

    /// <summary>It was stopped before its end.</summary>
    Interrupted,

    /// <summary>It was done and taken back.</summary>
    Undone,

    /// <summary>What it builds on was not done.</summary>
    NotReached,
}
