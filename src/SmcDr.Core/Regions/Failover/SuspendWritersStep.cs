using SmcDr.Core.Plans;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Stops what writes to the old primary.</summary>
internal sealed class SuspendWritersStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Stop the writers", string.Join(", ", work.Site.Writers), after)
{
    public const string StepKey = "suspend-writers";

    public override bool CanUndo => true;

    public override string Describe() => Intent.Planned
        ? $"Stops the writers in '{Intent.From}', so that nothing is written that the standby does not get."
        : $"Stops the writers in '{Intent.From}', where its cluster answers.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        string stopped = $"Stopped: {string.Join(", ", Work.Site.SelectWriters([]))}.";
        if (Intent.Planned)
        {
            await Work.Site.CreateWriters(context.Observer, Intent.From)!.SuspendAsync(cancellationToken).ConfigureAwait(false);
            return stopped;
        }

        try
        {
            IReadOnlyList<string> problems = await Work.StopBehindAsync(Work.Site.SelectWriters([]), context.Observer, cancellationToken)
                .ConfigureAwait(false);
            foreach (string problem in problems)
            {
                context.Observer.Warning(problem);
            }

            return problems.Count == 0 ? stopped : $"Not all of them stopped: {string.Join(" ", problems)}";
        }
        catch (SmcException e) when (FailoverWork.IsClusterLost(e))
        {
            // A region that is lost has a cluster that is lost. What is written there, the fence keeps out.
            context.Observer.Warning($"The writers in '{Intent.From}' could not be stopped: {e.Message}");
            return $"The cluster of '{Intent.From}' does not answer: {e.Message}";
        }
    }

    public override async Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken)
    {
        await Work.Site.CreateWriters(context.Observer, Intent.From)!.ResumeAsync(cancellationToken).ConfigureAwait(false);
        return $"The writers in '{Intent.From}' were started again.";
    }
}
