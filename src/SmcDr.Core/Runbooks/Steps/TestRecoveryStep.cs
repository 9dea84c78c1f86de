using SmcDr.Core.Certification;
using SmcDr.Core.Plans;
using SmcDr.Core.Recovery;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Systems.Restore;

namespace SmcDr.Core.Runbooks.Steps;

/// <summary>
/// Recovers the database to a server that is thrown away, and looks at it, before it is let in anywhere: what was there before an attack is seen to be what it
/// should be.
/// </summary>
internal sealed class TestRecoveryStep(SitePlanContext context, SystemRestoreIntent restore, IReadOnlyList<string> after)
    : RunbookPlanStep(context, StepKey, "Test recovery", context.Site.Name, after)
{
    public const string StepKey = "test-recovery";

    private bool IsInCluster => Site.RecoversInPod(null);

    public override string Describe() => $"Recover the database as of {DisplayText.Time(restore.TargetTime)} from {restore.Database!.BackupId} to a server that is thrown " +
        $"away, {(IsInCluster ? $"in the namespace '{Site.CreateTestPlace(null, Context.Observer).Namespace}'" : "on this host")}; read every table and index, and " +
        "ask the site's queries.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        RecoveryTestOptions options = Site.CreateRecoveryTest(Context.Repository, null) with
        {
            BackupId = restore.Database!.BackupId,
            Target = restore.TargetTime is { } time ? RecoveryTarget.AtTime(time) with { Timeline = restore.Database.Timeline } : RecoveryTarget.Latest,
            Pod = IsInCluster ? Site.CreateTestPlace(null, context.Observer) : null,
            Certificates = Context.Notes,
        };
        RecoveryTestResult result = await RecoveryTest.RunAsync(options, context.Observer, cancellationToken).ConfigureAwait(false);
        // That the log has a gap behind the instant is of the attack, and says nothing of what is before it.
        CheckResult[] failed = [.. result.Checks.Where(static check => check.Outcome == CheckOutcomes.Failed && check.Name != "Window")];
        return failed.Length == 0
            ? $"It comes back in {DisplayText.Seconds(result.RecoverySeconds)}, and is what it should be. Certificate {result.TestId}."
            : throw new SmcException(
                SmcErrorCode.VerificationFailed,
                $"What would be restored is not what it should be: {string.Join(" ", failed.Select(static check => $"{check.Name} ({check.Target}): {check.Message}"))}",
                recommendation: "Give this plan up (Stop-SmcPlan, 'smcdr plan stop'), and begin again with an earlier instant.",
                target: Site.Name);
    }
}
