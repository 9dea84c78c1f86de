using System.Globalization;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Leases;

/// <summary>
/// Which region of a site may write its WAL. Each epoch is an object of its own, made by a write that only one can win, and nothing ever removes
/// one; so epochs only go forward, and a former primary that comes back finds that its own is over.
/// </summary>
/// <remarks>
/// Who writes looks for the next number before and after each object. What was acknowledged was therefore in the repository before the next
/// epoch began, and who begins one and then lists the WAL misses nothing of it. An object that was on its way at that moment may still
/// arrive; it was acknowledged to nobody, and lies behind the point at which the new primary's timeline leaves the old one.
/// </remarks>
public sealed class FencingEpochs
{
    private readonly Repository _repository;
    private readonly string _folder;

    /// <summary>Opens the epochs of a site; there need not be any.</summary>
    /// <param name="repository">The repository alone, without copies.</param>
    /// <param name="site">The site's name.</param>
    public FencingEpochs(Repository repository, string site)
    {
        ArgumentNullException.ThrowIfNull(repository);
        _repository = repository;
        _folder = RepositoryKeys.Fencing(site);
        Site = site;
    }

    /// <summary>The site's name.</summary>
    public string Site { get; }

    /// <summary>Where they are.</summary>
    internal string Location => _repository.Location;

    /// <summary>Whether a site has any: one listing, for which no key is needed.</summary>
    internal static async Task<bool> AnyAsync(IObjectStore store, string site, CancellationToken cancellationToken)
    {
        await foreach (ObjectInfo _ in store.ListAsync(RepositoryKeys.Fencing(site), cancellationToken).ConfigureAwait(false))
        {
            return true;
        }

        return false;
    }

    /// <summary>The present epoch; null where no region was ever led to another, so that none is kept out.</summary>
    /// <exception cref="SmcException">It cannot be read: then nobody can say who may write.</exception>
    public async Task<FencingEpoch?> ReadAsync(CancellationToken cancellationToken)
    {
        long last = 0;
        await foreach (ObjectInfo info in _repository.Store.ListAsync(_folder, cancellationToken).ConfigureAwait(false))
        {
            string name = info.Key[_folder.Length..];
            if (long.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out long number) && KeyOf(number) == info.Key)
            {
                last = Math.Max(last, number);
            }
        }

        // A listing may be old; nothing that follows is.
        FencingEpoch? epoch = last == 0 ? null : await ReadAsync(last, cancellationToken).ConfigureAwait(false);
        while (await IsBegunAsync(last + 1, cancellationToken).ConfigureAwait(false))
        {
            epoch = await ReadAsync(++last, cancellationToken).ConfigureAwait(false);
        }

        return epoch;
    }

    /// <summary>Begins the next epoch: from now on the other regions' streams store nothing more.</summary>
    /// <param name="after">The number of the epoch that ends, 0 where there is none: what was decided by must still hold.</param>
    /// <param name="region">The region that may write from now on.</param>
    /// <param name="reason">Why, for people.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.Fenced"/>: somebody else has begun it.</exception>
    public async Task<FencingEpoch> AdvanceAsync(long after, string region, string? reason, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(after);
        ArgumentException.ThrowIfNullOrWhiteSpace(region);
        FencingEpoch epoch = new()
        {
            RepositoryId = _repository.Id,
            Site = Site,
            Number = after + 1,
            Region = region,
            Time = DateTimeOffset.UtcNow,
            By = $"{Environment.UserName}@{Environment.MachineName}",
            Reason = reason,
            Token = Guid.NewGuid().ToString("N"),
        };
        if (after > 0 && !await IsBegunAsync(after, cancellationToken).ConfigureAwait(false))
        {
            throw new SmcException(
                SmcErrorCode.InternalError, $"Epoch {epoch.Number} of the site '{Site}' was to follow one that there is not in {Location}.", target: Site);
        }

        try
        {
            await Repository.PutDocumentAsync(
                _repository.Store, KeyOf(epoch.Number), epoch, LeaseJson.Default.FencingEpoch, cancellationToken).ConfigureAwait(false);
            return epoch;
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
        {
            // Where only the answer was lost it is ours.
            FencingEpoch there = await ReadAsync(epoch.Number, cancellationToken).ConfigureAwait(false);
            return there.Token == epoch.Token ? there : throw new SmcException(
                SmcErrorCode.Fenced,
                $"The site '{Site}' was led to another region at the same time: {there.Describe()}.",
                e,
                recommendation: "Look at what the other operation does before anything else, and stop one of the two. Run this command again only if the " +
                    "site is to be led on from there.",
                target: Site);
        }
    }

    /// <summary>Enters the present epoch on behalf of a region.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.Fenced"/>: it is that of another region.</exception>
    public async Task<Fence> EnterAsync(string region, CancellationToken cancellationToken)
    {
        FencingEpoch? epoch = await ReadAsync(cancellationToken).ConfigureAwait(false);
        Fence fence = new(this, epoch?.Number ?? 0, region);
        return epoch is null || epoch.Region == region ? fence : throw fence.Refuse(epoch);
    }

    /// <summary>Whether an epoch has been begun: one request.</summary>
    internal async Task<bool> IsBegunAsync(long number, CancellationToken cancellationToken) =>
        await _repository.Store.GetInfoAsync(KeyOf(number), cancellationToken).ConfigureAwait(false) is not null;

    /// <summary>Reads an epoch that there is.</summary>
    internal async Task<FencingEpoch> ReadAsync(long number, CancellationToken cancellationToken)
    {
        string key = KeyOf(number);
        FencingEpoch epoch = await _repository.TryReadDocumentAsync(key, LeaseJson.Default.FencingEpoch, cancellationToken).ConfigureAwait(false)
            ?? throw new SmcException(SmcErrorCode.ObjectNotFound, $"There is no object '{key}' in {Location}.", target: key);
        if (epoch.Format > Repository.FormatVersion)
        {
            throw new SmcException(
                SmcErrorCode.RepositoryFormatUnknown, $"The object '{key}' has format {epoch.Format}, which this version does not know.", target: key);
        }

        return epoch.Number == number && epoch.Site == Site && epoch.RepositoryId == _repository.Id
            ? epoch
            : throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' is the epoch of another site or repository.", target: key);
    }

    private string KeyOf(long number) => string.Create(CultureInfo.InvariantCulture, $"{_folder}{number:D10}");
}
