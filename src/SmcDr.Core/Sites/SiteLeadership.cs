using SmcDr.Core.Leases;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites;

/// <summary>Which region leads a site: what the repository has recorded since the site file was written.</summary>
/// <remarks>
/// A failover records the region that it leads to as an epoch, by a write that only one can win. Whatever is done with the site goes by that, since the file
/// is corrected by a person, later, and on one host after the other. Until a site with several regions is led somewhere for the first time all that it costs is one
/// listing, without a key; a site with one region costs nothing.
/// </remarks>
public static class SiteLeadership
{
    // A store that works answers at once; one that does not must not hold up what is to be done without it.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(15);

    /// <summary>The site, knowing which region leads it. Where that cannot be found out, a warning says by what it goes.</summary>
    /// <param name="site">The site as its file describes it.</param>
    /// <param name="secrets">Gives the key of an encrypted repository.</param>
    /// <param name="observer">Is warned.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<Site> FindLeaderAsync(
        this Site site, SecretResolver secrets, IOperationObserver observer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(site);
        ArgumentNullException.ThrowIfNull(secrets);
        ArgumentNullException.ThrowIfNull(observer);
        if (site.Regions.Count < 2)
        {
            return site;
        }

        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_patience);
        try
        {
            return await ReadAsync(site, secrets, observer, limit.Token).WaitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.RepositoryNotFound)
        {
            // It is made by the first backup.
            return site;
        }
        catch (SmcException e)
        {
            return Guess(site, observer, e.Message);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return Guess(site, observer, $"it did not answer within {DisplayText.Duration(s_patience)}.");
        }
    }

    private static async Task<Site> ReadAsync(Site site, SecretResolver secrets, IOperationObserver observer, CancellationToken cancellationToken)
    {
        IObjectStore store = ObjectStoreFactory.Open(site.Repository.Location);
        await using (store.ConfigureAwait(false))
        {
            if (!await FencingEpochs.AnyAsync(store, site.Name, cancellationToken).ConfigureAwait(false))
            {
                return site;
            }
        }

        Repository repository = await site.OpenRepositoryAsync(secrets, cancellationToken).ConfigureAwait(false);
        await using (repository.Store.ConfigureAwait(false))
        {
            if (await new FencingEpochs(repository, site.Name).ReadAsync(cancellationToken).ConfigureAwait(false) is not { } epoch)
            {
                return site;
            }

            if (!site.Regions.ContainsKey(epoch.Region))
            {
                observer.Warning(
                    $"The site '{site.Name}' is in {epoch.Describe()}, and '{site.Path}' has no such region: '{site.HomeRegion.Name}' is taken for the " +
                        "one that leads.");
                return site;
            }

            if (epoch.Region != site.HomeRegion.Name)
            {
                observer.Verbose($"The site file calls '{site.HomeRegion.Name}' primary, and the site is in {epoch.Describe()}: that is gone by.");
            }

            return site with { Leader = epoch.Region };
        }
    }

    private static Site Guess(Site site, IOperationObserver observer, string problem)
    {
        observer.Warning(
            $"The repository cannot say which region leads, so '{site.HomeRegion.Name}' is taken for it, which the site file calls primary: {problem}");
        return site;
    }
}
