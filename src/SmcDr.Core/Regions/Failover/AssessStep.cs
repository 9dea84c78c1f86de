using SmcDr.Core.Plans;

namespace SmcDr.Core.Regions.Failover;

/// <summary>Notes where everybody is, before anything is changed.</summary>
internal sealed class AssessStep(FailoverWork work, params string[] after)
    : FailoverStep(work, StepKey, "Assess the regions", $"{work.From.Name}, {work.To.Name}", after)
{
    public const string StepKey = "assess-region";

    public override bool CanUndo => true;

    public override string Describe() => "Notes how far the standby and, where it answers, the primary are.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        DateTimeOffset start = DateTimeOffset.UtcNow;
        DatabaseSighting standby = await Work.LookAtNewAsync(cancellationToken).ConfigureAwait(false);
        DatabaseSighting primary = await Work.LookAtOldAsync(cancellationToken).ConfigureAwait(false);
        bool isExact = primary is { IsReachable: true, IsStandby: false };
        FailoverFacts facts = new(start, isExact ? primary.Lsn : standby.PrimaryLsn, isExact);
        await context.SaveAsync(facts, RegionFailoverJson.Default.FailoverFacts, cancellationToken).ConfigureAwait(false);
        string there = isExact ? $"The primary is at {primary.Lsn}" : $"The primary does not answer ({primary.Problem?.TrimEnd('.')})";
        return standby.IsReachable
            ? $"{there}; the standby has received up to {standby.ReachableLsn} and replayed up to {standby.Lsn}."
            : $"{there}. {standby.Problem}";
    }

    public override Task<string> UndoAsync(StepContext context, CancellationToken cancellationToken) => Task.FromResult("Nothing was changed by it.");
}
