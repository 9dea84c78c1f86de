using SmcDr.Core.Dns;
using SmcDr.Core.Plans;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Leads clients to the new region.</summary>
internal sealed class SwitchDnsStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Switch the DNS record", work.Site.GetDns().Record, after)
{
    public const string StepKey = "switch-dns";

    public override bool CanUndo => true;

    public override string Describe() => $"Leads it to '{Intent.To}', and waits until the zone's servers say so.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        using DnsRecords records = Work.Site.CreateDns(context.Observer);
        DnsChangePlan plan = await records.PlanAsync(Work.Site.CreateDnsRequest(null, null, Intent.To, [], null), cancellationToken).ConfigureAwait(false);
        DnsApplyOptions options = Work.Site.CreateDnsApplyOptions(plan.Name, null);
        if (plan.Changes.Count > 0)
        {
            // Before it is changed: one that was interrupted behind its change finds nothing to change, and could not say any more what was there.
            await context.SaveAsync(
                new DnsSwitch(plan.ToUndo(DateTimeOffset.UtcNow).ToJson()), RegionFailoverJson.Default.DnsSwitch, cancellationToken).ConfigureAwait(false);
        }

        DnsChangeResult result = await records.ApplyAsync(plan, options, cancellationToken).ConfigureAwait(false);
        if (options.FindFailure(result) is { } failure)
        {
            throw failure;
        }

        foreach (string problem in result.Problems)
        {
            context.Observer.Warning(problem);
        }

        return result.IsChanged
            ? $"It leads to {result.After}{(result.OldAnswerUntil is { } until ? $"; resolvers may answer as before until {DisplayText.Time(until)}" : "")}."
            : $"It leads to {result.After} already.";
    }

    public override async Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken)
    {
        if (context.GetSaved(RegionFailoverJson.Default.DnsSwitch)?.Undo is not { } undo)
        {
            return "It was not changed by this plan.";
        }

        using DnsRecords records = Work.Site.CreateDns(context.Observer);
        DnsChangePlan plan = await records.PlanUndoAsync(DnsUndo.Parse(undo), force: false, cancellationToken).ConfigureAwait(false);
        DnsChangeResult result = await records.ApplyAsync(plan, Work.Site.CreateDnsApplyOptions(plan.Name, null), cancellationToken).ConfigureAwait(false);
        return $"It leads to {result.After} again.";
    }
}
