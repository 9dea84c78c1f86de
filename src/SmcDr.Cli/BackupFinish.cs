using System.Runtime.ExceptionServices;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli;

/// <summary>What every command does with a backup that it has just taken.</summary>
internal static class BackupFinish
{
    /// <summary>Copies a new backup to the site's copies, and locks it where the site asks for that.</summary>
    /// <param name="context">The run of the command.</param>
    /// <param name="site">The site.</param>
    /// <param name="repository">The site's repository.</param>
    /// <param name="backup">The backup.</param>
    /// <param name="write">Writes the result, before anything can fail that the backup does not depend on.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<BackupInfo> RunAsync(
        CliContext context, Site site, Repository repository, BackupInfo backup, Action<BackupInfo> write, CancellationToken cancellationToken)
    {
        backup = await context.ObserveAsync(
            observer => site.CopyBackupAsync(context.Secrets, repository, backup, observer, cancellationToken)).ConfigureAwait(false);
        write(backup);
        await context.ObserveAsync(async observer =>
        {
            await site.LockNewBackupAsync(repository, backup, observer, cancellationToken).ConfigureAwait(false);
            return true;
        }).ConfigureAwait(false);
        return backup;
    }

    /// <summary>Does the same to each of several things: one that fails is warned of, and is no reason to leave the next out.</summary>
    /// <param name="context">The run of the command.</param>
    /// <param name="items">What it is done to. Where it is one alone, its failure is thrown at once.</param>
    /// <param name="describe">The beginning of the warning.</param>
    /// <param name="work">What is done.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>What the first failed with, for <see cref="ThrowIf"/> once what was done is written; null where none failed.</returns>
    public static async Task<SmcException?> ForEachAsync<T>(
        CliContext context, IReadOnlyCollection<T> items, Func<T, string> describe, Func<T, Task> work, CancellationToken cancellationToken)
    {
        SmcException? failure = null;
        foreach (T item in items)
        {
            try
            {
                await work(item).ConfigureAwait(false);
            }
            catch (SmcException e) when (items.Count > 1 && !cancellationToken.IsCancellationRequested)
            {
                context.CreatePlainObserver().Warning($"{describe(item)}: {e.Message}");
                failure ??= e;
            }
        }

        return failure;
    }

    /// <summary>Ends the command with a failure, after which the others were done nonetheless.</summary>
    public static void ThrowIf(SmcException? failure)
    {
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    /// <summary>The exit code: a script that looks at nothing else must not take a part for the whole, or one place for several.</summary>
    public static int ExitCodeOf(IReadOnlyCollection<BackupInfo> backups) =>
        backups.Any(static backup => backup.State == nameof(BackupState.Partial)) ? ExitCodes.Partial
        : backups.Any(static backup => backup.CopyState == "Incomplete") ? SmcErrors.Get(SmcErrorCode.CopyIncomplete).ExitCode
        : ExitCodes.Success;
}
