using SmcDr.Core.Plans;

namespace SmcDr.Core.Regions.Failback;

/// <summary>A step of a failback before its switchover.</summary>
/// <param name="work">What it works with.</param>
/// <param name="key">Its key.</param>
/// <param name="title">What is done, for people.</param>
/// <param name="target">To what.</param>
/// <param name="after">What comes before it.</param>
internal abstract class FailbackStep(FailbackWork work, string key, string title, string target, params string[] after) : PlanStep
{
    public override string Key => key;

    public override string Title => title;

    public override string Target => target;

    public override IReadOnlyList<string> After => after;

    // What leads stays as it is until the switchover, whose steps are taken back by themselves: a standby more harms nothing.
    public override bool CanUndo => true;

    protected FailbackWork Work => work;

    protected RegionFailbackIntent Intent => work.Intent;

    public override Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken) =>
        Task.FromResult($"What was done to '{work.Former.Name}' stays: it does not lead.");
}
