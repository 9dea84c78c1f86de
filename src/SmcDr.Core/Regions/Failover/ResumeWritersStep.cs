using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Plans;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Starts what writes to the new primary.</summary>
internal sealed class ResumeWritersStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Start the writers", string.Join(", ", work.Site.Writers), after)
{
    public const string StepKey = "resume-writers";

    public override string Describe() => $"Starts the writers in '{Intent.To}' as they were when SmcDr stopped them, and waits until they are ready.";

    public override Task<string> ActAsync(StepContext context, CancellationToken cancellationToken) => Work.WithWorkloadsAsync(
        Work.To,
        context.Observer,
        async workloads =>
        {
            List<string> states = [];
            // What was stopped last is started first.
            foreach (WorkloadName writer in Work.Site.SelectWriters([]).Reverse())
            {
                states.Add($"{writer} {(await workloads.ResumeAsync(writer, wait: true, cancellationToken).ConfigureAwait(false)).State}");
            }

            return $"{string.Join(", ", states)}.";
        },
        cancellationToken);
}
