using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Systems.Restore;
using SmcDr.Core.Verification;

namespace SmcDr.Core.Runbooks;

/// <summary>Where a system is restored from after an attack: one place alone, since another could give it what somebody has put there.</summary>
/// <param name="Location">The repository or a copy.</param>
/// <param name="IsLocked">Whether the newest backup of each part from before the instant is locked there, by what is noted of it.</param>
internal sealed record RunbookSource(string Location, bool IsLocked)
{
    /// <summary>Looks at the repository and its copies: locked before open, and a copy before the repository, to which more accounts can write.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.BackupNotFound"/>: no place has a backup of each part from before.</exception>
    public static async Task<RunbookSource> FindAsync(SitePlanContext context, DateTimeOffset before, CancellationToken cancellationToken)
    {
        Site site = context.Site;
        List<RunbookSource> found = [];
        foreach (string location in site.Repository.Copies.Append(site.Repository.Location))
        {
            try
            {
                Repository repository = await site.At(location).OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
                if (await LookAsync(site, repository, before, cancellationToken).ConfigureAwait(false) is { } isLocked)
                {
                    found.Add(new RunbookSource(location, isLocked));
                }
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.StorageUnavailable or SmcErrorCode.StorageAccessDenied or SmcErrorCode.RepositoryNotFound ||
                SmcErrors.IsDamage(e.Code))
            {
                context.Observer.Warning($"Nothing is restored from {location}: {e.Message}");
            }
        }

        return found.OrderBy(static place => !place.IsLocked).FirstOrDefault() ?? throw new SmcException(
            SmcErrorCode.BackupNotFound,
            $"No place has a backup of each part of the site '{site.Name}' from before {DisplayText.Time(before)}.",
            recommendation: "Restore the parts that there are with Restore-SmcSystem -Component (or 'smcdr system restore --component').",
            target: site.Name);
    }

    /// <summary>Whether all that would be restored is locked; null where a part has no backup from before.</summary>
    private static async Task<bool?> LookAsync(Site site, Repository repository, DateTimeOffset before, CancellationToken cancellationToken)
    {
        BackupProtections protections = new(repository);
        bool isLocked = true;
        foreach (ExpectedBackup expected in site.GetExpectedBackups())
        {
            BackupHeader? newest = await RestoreChoice.FindAsync(
                site, repository, expected, before, NullObserver.Instance, cancellationToken).ConfigureAwait(false);
            if (newest is null)
            {
                return null;
            }

            ProtectionState state = await protections.GetAsync(expected.Component, newest.Id, cancellationToken).ConfigureAwait(false);
            isLocked &= state.LockedUntil > DateTimeOffset.UtcNow;
        }

        return isLocked;
    }
}
