using SmcDr.Core.Plans;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Runbooks.Steps;

/// <summary>The base of the steps that runbooks add to the plans that they are about.</summary>
internal abstract class RunbookPlanStep(SitePlanContext context, string key, string title, string target, IReadOnlyList<string> after) : PlanStep
{
    public override string Key => key;

    public override string Title => title;

    public override string Target => target;

    public override IReadOnlyList<string> After => after;

    protected SitePlanContext Context => context;

    protected Site Site => context.Site;
}
