using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>Makes room for a WAL object where what is stored under its name is provably damaged.</summary>
/// <remarks>
/// Nothing is lost by it: the damaged object is kept, byte for byte as it is stored, under a name that no reader takes for WAL. Only what was read twice and
/// found damaged both times is moved, since one answer may be wrong, and never what needs another key or a newer version. Storage that refuses deletions
/// keeps the damaged object in its place.
/// </remarks>
internal static class DamagedWal
{
    private const int BufferLength = 256 << 10;

    /// <summary>Moves an object aside that cannot be read as what it is.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="systemId">The database cluster.</param>
    /// <param name="wal">The object.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The key under which it lies now; null where it is gone, or sound when it is read again.</returns>
    /// <exception cref="SmcException">The damage, where the object cannot be moved.</exception>
    public static async Task<string?> MoveAsideAsync(Repository repository, ulong systemId, WalKey wal, CancellationToken cancellationToken)
    {
        string key = wal.ToKey(systemId);
        if (await FindDamageAsync(repository, systemId, wal, key, cancellationToken).ConfigureAwait(false) is null)
        {
            return null;
        }

        // As it is stored: what does not decrypt is kept as well.
        IObjectStore store = repository.RawStore;
        string aside = $"{key}.damaged-{RepositoryKeys.NewStamp(DateTimeOffset.UtcNow)}";
        try
        {
            await CopyAsync(store, key, aside, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectNotFound)
        {
            return null;
        }

        // Again, as late as can be: another receiver may have replaced it meanwhile.
        if (await FindDamageAsync(repository, systemId, wal, key, cancellationToken).ConfigureAwait(false) is not { } damage)
        {
            await store.DeleteAsync(aside, cancellationToken).ConfigureAwait(false);
            return null;
        }

        try
        {
            await store.DeleteAsync(key, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e)
        {
            throw new SmcException(
                damage.Code,
                $"{damage.Message} It cannot be replaced: {e.Message}",
                e,
                recommendation: $"Remove the object '{key}' from {repository.Location}; what it holds is kept under '{aside}'. Then start the stream again.",
                target: key);
        }

        return aside;
    }

    private static async Task<SmcException?> FindDamageAsync(
        Repository repository, ulong systemId, WalKey wal, string key, CancellationToken cancellationToken)
    {
        if (await repository.Store.GetInfoAsync(key, cancellationToken).ConfigureAwait(false) is not { } info)
        {
            return null;
        }

        try
        {
            await WalObject.ReadAsync(repository, systemId, wal, info, null, cancellationToken).ConfigureAwait(false);
            return null;
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
        {
            return e;
        }
    }

    private static async Task CopyAsync(IObjectStore store, string key, string aside, CancellationToken cancellationToken)
    {
        Stream source = await store.OpenReadAsync(key, 0, null, cancellationToken).ConfigureAwait(false);
        await using (source.ConfigureAwait(false))
        {
            ObjectWriter writer = await store.CreateAsync(aside, cancellationToken).ConfigureAwait(false);
            await using (writer.ConfigureAwait(false))
            {
                byte[] buffer = new byte[BufferLength];
                int read;
                while ((read = await source.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
                {
                    await writer.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
                }

                await writer.CommitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }
}
