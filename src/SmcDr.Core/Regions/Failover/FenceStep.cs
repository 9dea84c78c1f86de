using SmcDr.Core.Leases;
using SmcDr.Core.Plans;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Begins the epoch of the new region: from then on the repository takes nothing of the old one.</summary>
internal sealed class FenceStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Fence the old region", work.From.Name, after)
{
    public const string StepKey = "fence-region";

    public override bool CanUndo => true;

    public override string Describe() => $"Begins epoch {Intent.Epoch + 1} for '{Intent.To}': the repository takes no WAL of '{Intent.From}' any more.";

    public override async Task<StepCheck> CheckAsync(StepContext context, CancellationToken cancellationToken)
    {
        FencingEpochs epochs = await Work.OpenEpochsAsync(cancellationToken).ConfigureAwait(false);
        return await epochs.ReadAsync(cancellationToken).ConfigureAwait(false) is { } epoch && epoch.Region == Intent.To
            ? StepCheck.AlreadyDone($"The site is in {epoch.Describe()}.")
            : StepCheck.Needed;
    }

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        FencingEpochs epochs = await Work.OpenEpochsAsync(cancellationToken).ConfigureAwait(false);
        long ending = await FindEndingAsync(epochs, cancellationToken).ConfigureAwait(false);
        FencingEpoch? epoch;
        try
        {
            epoch = await epochs.AdvanceAsync(ending, Intent.To, $"failover from {Intent.From}", cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.Fenced)
        {
            // An earlier run of this plan, which was taken over from, had sent its request when it ended, and that came a moment before ours: it is what was
            // to be begun, as it would have been had it come before we looked.
            epoch = await epochs.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (epoch is null || epoch.Region != Intent.To || epoch.Number != ending + 1)
            {
                throw;
            }
        }

        return $"The site is in {epoch.Describe()}.";
    }

    public override async Task VerifyAsync(StepContext context, CancellationToken cancellationToken)
    {
        FencingEpochs epochs = await Work.OpenEpochsAsync(cancellationToken).ConfigureAwait(false);
        FencingEpoch? epoch = await epochs.ReadAsync(cancellationToken).ConfigureAwait(false);
        if (epoch?.Region != Intent.To)
        {
            throw new SmcException(
                SmcErrorCode.Fenced,
                $"The site '{Work.Site.Name}' is not led by '{Intent.To}': it is in {epoch?.Describe() ?? "no epoch"}.",
                target: Work.Site.Name);
        }
    }

    public override async Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken)
    {
        FencingEpochs epochs = await Work.OpenEpochsAsync(cancellationToken).ConfigureAwait(false);
        FencingEpoch? epoch = await epochs.ReadAsync(cancellationToken).ConfigureAwait(false);
        if (epoch is null || epoch.Region != Intent.To)
        {
            return "It was not fenced.";
        }

        FencingEpoch back = await epochs.AdvanceAsync(epoch.Number, Intent.From, "the failover was taken back", cancellationToken).ConfigureAwait(false);
        return $"The site is in {back.Describe()}; the WAL stream of '{Intent.From}' must be started again.";
    }

    /// <summary>
    /// The epoch that ends: that of the decision. After it was taken back there are two more, of this plan and of its undoing, and the old region leads again.
    /// </summary>
    private async Task<long> FindEndingAsync(FencingEpochs epochs, CancellationToken cancellationToken) =>
        await epochs.ReadAsync(cancellationToken).ConfigureAwait(false) is { } epoch && epoch.Region == Intent.From && epoch.Number > Intent.Epoch &&
            epoch.Reason == "the failover was taken back"
            ? epoch.Number
            : Intent.Epoch;
}
