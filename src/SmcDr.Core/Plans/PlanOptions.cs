using SmcDr.Core.Leases;

namespace SmcDr.Core.Plans;

/// <summary>How a plan is carried out.</summary>
public sealed record PlanOptions
{
    /// <summary>The plan in the repository's journal that is resumed; null = it begins.</summary>
    public string? Resume { get; init; }

    /// <summary>Whether plans of the site that were not finished are given up for this one.</summary>
    public bool AbandonOthers { get; init; }

    /// <summary>
    /// Whether neither journal nor lease are kept: for a repository that takes nothing, such as a full one or a locked copy. Nobody can resume
    /// it then, and nothing keeps a second operation away.
    /// </summary>
    public bool Unjournaled { get; init; }

    /// <summary>How many steps are at work at a time, at most, where the graph allows it.</summary>
    public int Parallelism { get; init; } = 4;

    /// <summary>How the site's lease is taken.</summary>
    public SiteLeaseOptions Lease { get; init; } = new();

    /// <summary>How long a run that is being stopped goes on to note what became of a step.</summary>
    internal TimeSpan NoteTime { get; init; } = TimeSpan.FromSeconds(10);
}
