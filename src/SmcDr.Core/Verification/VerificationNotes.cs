using System.Collections.Concurrent;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Verification;

/// <summary>Notes what a deep verification has read, so that one that was interrupted goes on instead of beginning anew.</summary>
internal sealed class VerificationNotes(Repository repository, TimeProvider time)
{
    // A note that nobody asks for any more.
    private static readonly TimeSpan s_life = TimeSpan.FromDays(60);
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(30);

    private readonly ConcurrentBag<PackReference> _packs = [];
    private long _lastWrite = time.GetTimestamp();

    /// <summary>The keys of packs that were found right within some time.</summary>
    public async Task<HashSet<string>> ReadAsync(TimeSpan within, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        HashSet<string> keys = new(StringComparer.Ordinal);
        await foreach (ObjectInfo info in repository.Store.ListAsync(RepositoryKeys.Verifications, cancellationToken).ConfigureAwait(false))
        {
            if (info.LastModified < now - s_life)
            {
                await TryDeleteAsync(info.Key, cancellationToken).ConfigureAwait(false);
                continue;
            }

            if (info.LastModified < now - within || await TryReadAsync(info.Key, cancellationToken).ConfigureAwait(false) is not { } note ||
                note.Time < now - within || note.Time > now)
            {
                continue;
            }

            foreach (VerifiedPacks packs in note.Packs.Where(static packs => RepositoryKeys.IsId(packs.Packs.Backup)))
            {
                keys.UnionWith(packs.Packs.Numbers().Select(number => RepositoryKeys.Pack(packs.Component, packs.Packs.Backup, number)));
            }
        }

        return keys;
    }

    /// <summary>
    /// Takes a pack that was found right; now and then writes a note. That this fails, in a repository that may only be read or is full, is no
    /// reason to verify nothing: who writes the last note tells.
    /// </summary>
    public async Task AddAsync(PackReference pack, CancellationToken cancellationToken)
    {
        _packs.Add(pack);
        if (time.GetElapsedTime(Interlocked.Read(ref _lastWrite)) > s_interval)
        {
            try
            {
                await WriteAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException)
            {
                // The packs are kept, for the next note.
            }
        }
    }

    /// <summary>Writes what was not written yet.</summary>
    public async Task WriteAsync(CancellationToken cancellationToken)
    {
        Interlocked.Exchange(ref _lastWrite, time.GetTimestamp());
        List<PackReference> packs = [];
        while (_packs.TryTake(out PackReference? pack))
        {
            packs.Add(pack);
        }

        if (packs.Count == 0)
        {
            return;
        }

        VerificationNote note = new()
        {
            RepositoryId = repository.Id,
            Time = time.GetUtcNow(),
            Packs =
            [
                .. packs.GroupBy(static pack => pack.Component).OrderBy(static group => group.Key)
                    .SelectMany(static group => PackUse.From("", group).Select(use => new VerifiedPacks(group.Key, use))),
            ],
        };
        try
        {
            await Repository.PutDocumentAsync(
                repository.Store,
                RepositoryKeys.Verifications + RepositoryKeys.NewStamp(note.Time),
                note,
                VerificationJson.Default.VerificationNote,
                cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            packs.ForEach(_packs.Add);
            throw;
        }
    }

    private async Task TryDeleteAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            await repository.Store.DeleteAsync(key, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException)
        {
            // It is in nobody's way.
        }
    }

    private async Task<VerificationNote?> TryReadAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            VerificationNote? note = await repository.TryReadDocumentAsync(key, VerificationJson.Default.VerificationNote, cancellationToken)
                .ConfigureAwait(false);
            return note?.RepositoryId == repository.Id && note.Format <= Repository.FormatVersion ? note : null;
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code) || e.Code == SmcErrorCode.KeyMissing)
        {
            // What cannot be believed saves no work; its packs are read again.
            return null;
        }
    }
}
