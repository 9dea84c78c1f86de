namespace SmcDr.Core.Sites.Plans;

/// <summary>How a plan of a site is begun or gone on with.</summary>
public sealed record SitePlanOptions
{
    /// <summary>Whether an unfinished plan is gone on with, whatever else was asked for.</summary>
    public bool Resume { get; init; }

    /// <summary>The unfinished plan that is gone on with; null = the newest.</summary>
    public string? PlanId { get; init; }

    /// <summary>Whether unfinished plans of the site are given up for this one.</summary>
    public bool AbandonUnfinished { get; init; }

    /// <summary>Whether the site's lease is taken from another operation that still has it.</summary>
    public bool BreakLease { get; init; }

    /// <summary>Whether neither journal nor lease are kept, for a repository that takes nothing: nobody can resume the plan then.</summary>
    public bool NoJournal { get; init; }

    /// <summary>How many steps are at work at a time; null = as many as plans do by default.</summary>
    public int? Parallelism { get; init; }
}
