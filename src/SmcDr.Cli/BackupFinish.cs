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

    /// <summary>The exit code: a script that looks at nothing else must not take a part for the whole, or one place for several.</summary>
    public static int ExitCodeOf(IReadOnlyCollection<BackupInfo> backups) =>
        backups.Any(static backup => backup.State == nameof(BackupState.Partial)) ? ExitCodes.Partial
        : backups.Any(static backup => backup.CopyState == "Incomplete") ? SmcErrors.Get(SmcErrorCode.CopyIncomplete).ExitCode
        : ExitCodes.Success;
}
