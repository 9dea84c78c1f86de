using SmcDr.Core.Plans;

namespace SmcDr.Core.Regions.Failover;

/// <summary>A step of a failover.</summary>
/// <param name="work">What it works with.</param>
/// <param name="key">Its key.</param>
/// <param name="title">What is done, for people.</param>
/// <param name="target">To what.</param>
/// <param name="after">What comes before it.</param>
internal abstract class FailoverStep(FailoverWork work, string key, string title, string target, params string[] after) : PlanStep
{
    public override string Key => key;

    public override string Title => title;

    public override string Target => target;

    public override IReadOnlyList<string> After => after;

    protected FailoverWork Work => work;

    protected RegionFailoverIntent Intent => work.Intent;
}
