using System.Globalization;
using System.Runtime.CompilerServices;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites;

/// <summary>Whether an object store can be a repository, and the copy of another one.</summary>
internal sealed class RepositoryChecks(
    string location, string? copyOf, bool isLocking, Func<string, IObjectStore> openStore, TimeProvider clock)
{
    public async IAsyncEnumerable<CheckResult> RunAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        CheckRun run = new(location, clock);
        IObjectStore? store = null;
        CheckResult reachable = await run.CheckAsync("RepositoryAccess", async () =>
        {
            store = openStore(location);
            return await CheckAccessAsync(store, cancellationToken).ConfigureAwait(false);
        }).ConfigureAwait(false);
        try
        {
            yield return reachable;
            if (reachable.Outcome == CheckOutcomes.Failed || store is null)
            {
                yield return run.Skip("RepositoryCapabilities", "RepositoryAccess did not pass.");
                yield break;
            }

            yield return await run.CheckAsync(
                "RepositoryCapabilities", () => CheckCapabilitiesAsync(store, cancellationToken)).ConfigureAwait(false);
            if (copyOf is not null)
            {
                yield return await run.CheckAsync(
                    "RepositoryCopy", () => CheckCopyAsync(store, copyOf, cancellationToken)).ConfigureAwait(false);
            }
        }
        finally
        {
            if (store is not null)
            {
                await store.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    private async Task<CheckFinding> CheckAccessAsync(IObjectStore store, CancellationToken cancellationToken)
    {
        string key = string.Create(
            CultureInfo.InvariantCulture, $"checks/{clock.GetUtcNow():yyyyMMdd'T'HHmmss'Z'}-{Guid.NewGuid():N}");
        byte[] content = Guid.NewGuid().ToByteArray();
        await store.PutAsync(key, content, cancellationToken).ConfigureAwait(false);
        try
        {
            byte[] found = new byte[content.Length];
            Stream stream = await store.OpenReadAsync(key, 0, null, cancellationToken).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                int length = await stream.ReadAtLeastAsync(found, found.Length, false, cancellationToken).ConfigureAwait(false);
                if (length != content.Length || !found.AsSpan().SequenceEqual(content))
                {
                    return CheckFinding.Failed(
                        "What was written to the repository did not come back the same.",
                        "Do not use this storage, and find out what changes data on its way or in its place.");
                }
            }

            bool listed = false;
            await foreach (ObjectInfo info in store.ListAsync("checks/", cancellationToken).ConfigureAwait(false))
            {
                listed |= info.Key == key;
            }

            return listed
                ? CheckFinding.Passed("The repository can be written, read, listed and cleaned.")
                : CheckFinding.Failed(
                    "An object that was just written to the repository is missing from its listing.",
                    "Use storage whose listings are consistent: backups are found by them.");
        }
        finally
        {
            // Also when the operation was cancelled: the object is ours and nobody else would remove it.
            using CancellationTokenSource limit = new(TimeSpan.FromSeconds(30));
            await store.DeleteAsync(key, limit.Token).ConfigureAwait(false);
        }
    }

    private async Task<CheckFinding> CheckCapabilitiesAsync(IObjectStore store, CancellationToken cancellationToken)
    {
        ObjectStoreCapabilities found = await store.ProbeAsync(cancellationToken).ConfigureAwait(false);
        string message =
            $"Conditional writes: {Word(found.ConditionalWrites)}; versioning: {Word(found.Versioning)}; object lock: {Word(found.ObjectLock)}.";
        if (isLocking && !found.ObjectLock)
        {
            return CheckFinding.Failed(
                $"{message} The site asks for locked backups, and this storage cannot lock.",
                "Keep the repository in an S3 bucket that was created with Object Lock, or remove repository.retention.lock from the site file.");
        }

        return found.ConditionalWrites
            ? CheckFinding.Passed(message)
            : CheckFinding.Warning(
                $"{message} Two writers of the same object could both believe that they won.",
                "Let only one machine write to the repository, or use storage with conditional writes.");
    }

    private async Task<CheckFinding> CheckCopyAsync(IObjectStore store, string first, CancellationToken cancellationToken)
    {
        Guid? copy = await Repository.TryReadIdAsync(store, cancellationToken).ConfigureAwait(false);
        IObjectStore repository = openStore(first);
        await using (repository.ConfigureAwait(false))
        {
            Guid? id = await Repository.TryReadIdAsync(repository, cancellationToken).ConfigureAwait(false);
            return (copy, id) switch
            {
                (null, null) => CheckFinding.Passed("Neither the repository nor this copy of it is there yet; the first backup makes both."),
                (null, _) => CheckFinding.Warning(
                    "Nothing has been copied here yet.", "Run Copy-SmcBackup (or 'smcdr copy backup')."),
                (_, null) => CheckFinding.Warning(
                    $"There is a repository here, and none at {first}.",
                    "Where the repository was lost, restore from this copy; do not back up to an empty place and call this its copy."),
                _ when copy == id => CheckFinding.Passed("It is a copy of the repository."),
                _ => CheckFinding.Failed(
                    $"It is another repository than {first}, and not a copy of it.",
                    SmcErrors.Get(SmcErrorCode.RepositoryMismatch).Recommendation),
            };
        }
    }

    private static string Word(bool value) => value ? "yes" : "no";
}
