using SmcDr.Core.Postgres;
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
        IDatabaseWriters writers = Work.Site.CreateWriters(context.Observer, Intent.From)!;
        try
        {
            await writers.SuspendAsync(cancellationToken).ConfigureAwait(false);
            return $"Stopped: {string.Join(", ", writers.Names)}.";
        }
        catch (SmcException e) when (!Intent.Planned && e.Code is SmcErrorCode.ClusterUnavailable or SmcErrorCode.ClusterAuthenticationFailed)
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
