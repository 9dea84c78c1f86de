using SmcDr.Core.Regions.Failback;
using SmcDr.Core.Regions.Failover;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Systems.Restore;

namespace SmcDr.Core.Runbooks;

/// <summary>All kinds of plans of a site that there are: by them whoever resumes one, whatever it is, builds its steps again.</summary>
public static class SitePlanKinds
{
    /// <summary>What a command begins with, a resumed plan is built by: each kind has its line here.</summary>
    public static IReadOnlyList<SitePlanKind> All { get; } =
    [
        SystemRestore.Kind,
        RegionFailover.Kind,
        RegionFailback.Kind,
        RunbookPlan.Kind,
    ];
}
