using SmcDr.Core.Objectives;
using SmcDr.Core.Plans;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Core.Systems.Restore;

/// <summary>Gives Redis the data of its backup, and nothing else.</summary>
internal sealed class RestoreRedisStep(SitePlanContext context, SystemRestoreIntent intent, IReadOnlyList<string> after)
    : SystemRestoreStep(context, intent)
{
    private ChosenRedis Chosen => Intent.Redis!;

    public override string Key => SystemRestore.RedisKey;

    public override string Title => "Restore Redis";

    public override string Target => Site.GetRedis().Workload ?? Site.GetRedis().Endpoint;

    public override IReadOnlyList<string> After => after;

    public override long? SizeBytes => Chosen.Backup.SizeBytes;

    public override string Describe() => $"Restore the backup {Chosen.Backup.Id}: " + (Chosen.Method == RedisRestoreMethod.Online
        ? "remove all keys of the running server, and write those of the backup."
        : "put its file in the place of what the server has, which is moved aside, and start the server.");

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        PartRecord part = await BeginAsync(context, cancellationToken).ConfigureAwait(false);
        BackupReader backup = await Site.OpenRedisBackupAsync(Context.Repository, Chosen.Backup.Id, cancellationToken).ConfigureAwait(false);
        RedisRestoreRequest request = new()
        {
            Method = Chosen.Method,
            Options = new RedisRestoreOptions { Empty = Chosen.Method == RedisRestoreMethod.Online },
        };
        IRedisRestore restore = await Site.CreateRedisRestoreAsync(
            Context.Secrets, Context.Repository, backup, request, context.Observer, cancellationToken).ConfigureAwait(false);
        RedisRestoreResult result = await restore.RunAsync(context.Observer, cancellationToken).ConfigureAwait(false);
        if (result.State != nameof(BackupState.Complete))
        {
            throw new SmcException(
                SmcErrorCode.VerificationFailed,
                $"Redis at {result.Target} does not have all of the backup '{result.BackupId}': {string.Join(' ', result.Problems)}",
                recommendation: "Correct what the message names, and run the command again.",
                target: result.Target);
        }

        await EndAsync(context, part, Chosen.Backup.Time, cancellationToken).ConfigureAwait(false);
        await Context.Repository.NoteAsync(Site.Name, result, context.Observer, cancellationToken).ConfigureAwait(false);
        return FormattableString.Invariant($"{result.BackupId} is restored: {result.KeysRestored:N0} keys.");
    }
}
