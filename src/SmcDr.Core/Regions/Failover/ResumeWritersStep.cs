using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Plans;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Starts what writes to the new primary.</summary>
internal sealed class ResumeWritersStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Start the writers", string.Join(", ", work.Site.Writers), after)
{
    public const string StepKey = "resume-writers";

    public override string Describe() => $"Starts the writers in '{Intent.To}' as they were when SmcDr stopped them, and waits until all are ready.";

    // What was stopped last is started first.
    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken) => string.Join(
        ", ",
        (await Work.StartAheadAsync(Work.Site.SelectWriters([]).Reverse(), context.Observer, cancellationToken).ConfigureAwait(false))
            .Select(static writer => $"{writer.Name} {writer.State}")) + ".";
}
