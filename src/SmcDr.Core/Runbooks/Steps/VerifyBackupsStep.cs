using SmcDr.Core.Plans;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Systems.Restore;
using SmcDr.Core.Verification;

namespace SmcDr.Core.Runbooks.Steps;

/// <summary>Reads every byte of the backups that are restored: what somebody has changed is seen by its digest.</summary>
internal sealed class VerifyBackupsStep(SitePlanContext context, SystemRestoreIntent restore, IReadOnlyList<string> after)
    : RunbookPlanStep(context, StepKey, "Verify backups", context.Repository.Location, after)
{
    public const string StepKey = "verify-backups";

    public override string Describe() => $"Read every byte of {string.Join(", ", restore.Backups().Select(static backup => backup.Id))}.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        BackupVerification verification = new(Context.Repository, new BackupVerificationOptions { Deep = true }, context.Observer);
        List<string> problems = [];
        long bytes = 0;
        await foreach (BackupTestResult result in verification
            .RunAsync([.. restore.Backups()], cancellationToken).ConfigureAwait(false))
        {
            bytes += result.CheckedBytes;
            problems.AddRange(result.Problems.Select(problem => $"{result.Id}: {problem}"));
        }

        context.SizeBytes = bytes;
        return problems.Count == 0
            ? $"Every byte of them is what it was ({DisplayText.Size(bytes)})."
            : throw new SmcException(
                SmcErrorCode.BackupTestFailed,
                $"Backups in {Context.Repository.Location} are not what they were: {string.Join(" ", problems.Take(5))}",
                recommendation: "Give this plan up (Stop-SmcPlan, 'smcdr plan stop'), and begin again with an earlier instant, for which another backup is taken.",
                target: Context.Repository.Location);
    }
}
