using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.Core.Objectives;
using SmcDr.Core.Operations;
using SmcDr.Core.Plans;
using SmcDr.Core.Redis.Restore;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

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
        RedisRestoreResult result;
        try
        {
            result = await RestoreAsync(Chosen.Method, context.Observer, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.WorkloadUnsuitable && Site.GetRedis().Workload is { } workload)
        {
            context.Observer.Verbose($"{e.Message} So the server is started, and given its keys.");
            await StartAsync(context, WorkloadName.Parse(workload), cancellationToken).ConfigureAwait(false);
            result = await RestoreAsync(RedisRestoreMethod.Online, context.Observer, cancellationToken).ConfigureAwait(false);
        }

        if (result.State != nameof(BackupState.Complete))
        {
            throw new SmcException(
                SmcErrorCode.VerificationFailed,
                $"Redis at {result.Target} does not have all of the backup '{result.BackupId}': {string.Join(' ', result.Problems)}",
                recommendation: "Correct what the message names, and run the command again.",
                target: result.Target);
        }

        await EndAsync(context, part, Chosen.Backup.Time, cancellationToken).ConfigureAwait(false);
        await Context.Notes.NoteAsync(Site.Name, result, context.Observer, cancellationToken).ConfigureAwait(false);
        return FormattableString.Invariant($"{result.BackupId} is restored: {result.KeysRestored:N0} keys.");
    }

    private async Task<RedisRestoreResult> RestoreAsync(RedisRestoreMethod method, IOperationObserver observer, CancellationToken cancellationToken)
    {
        BackupReader backup = await Site.OpenRedisBackupAsync(Context.Repository, Chosen.Backup.Id, cancellationToken).ConfigureAwait(false);
        RedisRestoreRequest request = new()
        {
            Method = method,
            Options = new RedisRestoreOptions { Empty = method == RedisRestoreMethod.Online },
        };
        IRedisRestore restore = await Site.CreateRedisRestoreAsync(
            Context.Secrets, Context.Repository, backup, request, observer, cancellationToken).ConfigureAwait(false);
        return await restore.RunAsync(observer, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Starts a server that keeps nothing on a volume, so that there is no file to exchange.</summary>
    private async Task StartAsync(StepContext context, WorkloadName workload, CancellationToken cancellationToken)
    {
        using KubernetesClient client = await ConnectAsync(context, cancellationToken).ConfigureAwait(false);
        await Site.CreateWorkloads(client, null, null, context.Observer).ResumeAsync(workload, wait: true, cancellationToken).ConfigureAwait(false);
    }
}
