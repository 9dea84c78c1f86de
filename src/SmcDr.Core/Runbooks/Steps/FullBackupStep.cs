using SmcDr.Core.Plans;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Runbooks.Steps;

/// <summary>Begins again to be safe: the log of the new timeline needs a base backup of its own.</summary>
internal sealed class FullBackupStep(SitePlanContext context, IReadOnlyList<string> after)
    : RunbookPlanStep(context, StepKey, "Full backup", context.Site.Repository.Location, after)
{
    public const string StepKey = "full-backup";

    public override string Describe() => "Take a full base backup of the recovered database, copied and locked as the site asks for it.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        Repository repository = await Site.OpenOrCreateRepositoryAsync(Context.Secrets, cancellationToken).ConfigureAwait(false);
        BackupInfo backup = await BaseBackup.RunAsync(
            Site.CreateConnector(Context.Secrets),
            repository,
            Site.CreateBackupOptions() with { Full = true, Label = $"after the plan {context.PlanId}" },
            context.Observer,
            cancellationToken).ConfigureAwait(false);
        backup = await Site.CopyBackupAsync(Context.Secrets, repository, backup, context.Observer, cancellationToken).ConfigureAwait(false);
        await Site.LockNewBackupAsync(repository, backup, context.Observer, cancellationToken).ConfigureAwait(false);
        context.SizeBytes = backup.SizeBytes;
        return $"The backup {backup.Id} is complete. See that the WAL stream runs (Get-SmcRecoveryWindow, 'smcdr window list').";
    }
}
