using SmcDr.Core.Plans;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Runbooks.Steps;

/// <summary>Saves what can still be read of the database. It is moved aside besides, so that nothing of this keeps a restore from going on.</summary>
internal sealed class EmergencyBackupStep(SitePlanContext context, IReadOnlyList<string> after)
    : RunbookPlanStep(context, StepKey, "Emergency backup", context.Site.CreateConnector(context.Secrets).Display, after)
{
    public const string StepKey = "emergency-backup";

    public override string Describe() => "Dump all that can still be read of the present state; no rule removes that backup. Where it cannot be taken, the plan " +
        "goes on: the present data is moved aside, not deleted.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        try
        {
            Repository repository = await Site.OpenOrCreateRepositoryAsync(Context.Secrets, cancellationToken).ConfigureAwait(false);
            LogicalBackupOptions options = Site.CreateLogicalBackupOptions() with { Emergency = true, Label = $"before the plan {context.PlanId}" };
            BackupInfo backup = await LogicalBackup.RunAsync(
                Site.CreateConnector(Context.Secrets), repository, options, context.Observer, cancellationToken).ConfigureAwait(false);
            return $"What could be read is in the backup {backup.Id} ({backup.State}). It stays until somebody removes it.";
        }
        catch (SmcException e) when (e.Code != SmcErrorCode.OperationStopped)
        {
            context.Observer.Warning($"The present state was not saved: {e.Message}");
            return $"Nothing was saved: {e.Message}";
        }
    }
}
