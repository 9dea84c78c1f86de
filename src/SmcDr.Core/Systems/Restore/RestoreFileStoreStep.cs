using SmcDr.Core.FileStores;
using SmcDr.Core.Objectives;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Core.Systems.Restore;

/// <summary>Restores a file store to its directory.</summary>
internal sealed class RestoreFileStoreStep(SitePlanContext context, SystemRestoreIntent intent, ChosenBackup store, IReadOnlyList<string> after)
    : SystemRestoreStep(context, intent)
{
    public override string Key => SystemRestore.FileStoreKey(store.Subject!);

    public override string Title => $"Restore file store '{store.Subject}'";

    public override string Target => Site.FileStores.FirstOrDefault(one => one.Name == store.Subject)?.Path ?? store.Subject!;

    public override IReadOnlyList<string> After => after;

    public override long? SizeBytes => store.SizeBytes;

    public override string Describe() => $"Restore the backup {store.Id}: files that differ are replaced, and files that it does not have stay.";

    public override async Task<string> ActAsync(StepContext context, CancellationToken cancellationToken)
    {
        PartRecord part = await BeginAsync(context, cancellationToken).ConfigureAwait(false);
        BackupReader backup = await Site
            .OpenFileStoreBackupAsync(Context.Repository, store.Id, store.Subject, cancellationToken).ConfigureAwait(false);
        FileStoreRestoreOptions options = new()
        {
            // Where the site says that it is now, which may be another place than it was.
            TargetPath = Site.GetFileStores([store.Subject!])[0].Path,
            Force = true,
        };
        FileStoreRestoreResult result = await FileStoreRestore.RunAsync(backup, options, context.Observer, cancellationToken).ConfigureAwait(false);
        if (result.State != nameof(BackupState.Complete))
        {
            throw new SmcException(
                SmcErrorCode.VerificationFailed,
                FormattableString.Invariant(
                    $"{result.ProblemCount} files of '{store.Subject}' were not restored as they were, the first: {result.Problems[0]}"),
                recommendation: "Correct what the message names, and run the command again: what is right is not written again.",
                target: result.TargetPath);
        }

        await EndAsync(context, part, store.Time, cancellationToken).ConfigureAwait(false);
        await Context.Notes.NoteAsync(Site.Name, result, context.Observer, cancellationToken).ConfigureAwait(false);
        return FormattableString.Invariant(
            $"{result.BackupId} is restored to '{result.TargetPath}': {result.FileCount} files written, {result.KeptFileCount} were right.");
    }
}
