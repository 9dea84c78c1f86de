using System.Buffers;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Copies;

/// <summary>
/// Copies backups and WAL from a repository to another store, which becomes, or is, a repository of the same id. Only what the
/// destination's own listing lacks is copied, each object checked on its way, and the marker last: an interrupted copy is no backup
/// there, and the next run goes on. What the source no longer has, the destination keeps.
/// </summary>
/// <remarks>
/// Nothing that is damaged is copied, and what depends on it gets no marker; the rest is copied, and the result is partial. Several may
/// copy to one destination at once, beside a backup or a stream at the source.
/// </remarks>
public sealed partial class RepositoryCopy
{
    private const int BufferSize = 256 << 10;
    private const int MaximumDocumentLength = 16 << 20;
    private const string Keys = "keys/";

    private readonly Repository _source;
    private readonly Repository _destination;
    private readonly IOperationObserver _observer;
    private readonly int _parallelism;

    private RepositoryCopy(Repository source, Repository destination, IOperationObserver observer, int parallelism)
    {
        _source = source;
        _destination = destination;
        _observer = observer;
        _parallelism = parallelism;
    }

    /// <summary>Opens a destination; where nothing is there, it is made a copy of the source that holds no backups yet.</summary>
    /// <param name="source">What is copied: the repository alone, without the copies that reading falls back to.</param>
    /// <param name="destination">Where it is copied to, as it is stored.</param>
    /// <param name="open">Opens the destination once it is a repository; without keys where null.</param>
    /// <param name="observer">Hears how far it is, and of what is damaged.</param>
    /// <param name="parallelism">How many objects are copied at a time.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.RepositoryMismatch"/>: another repository is there.</exception>
    public static async Task<RepositoryCopy> OpenAsync(
        Repository source,
        IObjectStore destination,
        Func<CancellationToken, Task<Repository>>? open,
        IOperationObserver observer,
        int parallelism,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(destination);
        ArgumentNullException.ThrowIfNull(observer);
        ArgumentOutOfRangeException.ThrowIfLessThan(parallelism, 1);
        if (source.Locations.Count() > 1)
        {
            throw new ArgumentException("What reading falls back to must not be taken for what the source has.", nameof(source));
        }

        await PrepareAsync(source, destination, cancellationToken).ConfigureAwait(false);
        Repository copy = open is null
            ? await Repository.OpenAsync(destination, cancellationToken).ConfigureAwait(false)
            : await open(cancellationToken).ConfigureAwait(false);
        RepositoryCopy result = new(source, copy, observer, parallelism);
        await result.CopyEpochsAsync(cancellationToken).ConfigureAwait(false);
        if (source.IsEncrypted)
        {
            await result.CarryRemovalsAsync(cancellationToken).ConfigureAwait(false);
        }

        return result;
    }

    /// <summary>Finds a backup that is to be copied.</summary>
    /// <param name="component">Its component; any where null.</param>
    /// <param name="id">Its id.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.BackupNotFound"/> or <see cref="SmcErrorCode.BackupIncomplete"/>.</exception>
    public Task<BackupEntry> FindAsync(Component? component, string id, CancellationToken cancellationToken) =>
        FindAsync(_source, component, id, cancellationToken);

    /// <summary>Finds a backup that is to be copied, before the copy is looked at.</summary>
    /// <param name="source">What is copied from.</param>
    /// <param name="component">Its component; any where null.</param>
    /// <param name="id">Its id.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.BackupNotFound"/>, <see cref="SmcErrorCode.BackupIncomplete"/>.</exception>
    public static async Task<BackupEntry> FindAsync(Repository source, Component? component, string id, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(source);
        foreach (Component one in component is { } only ? [only] : Enum.GetValues<Component>())
        {
            if (await source.TryFindAsync(one, id, cancellationToken).ConfigureAwait(false) is { } entry)
            {
                return entry.IsComplete || entry.Problem is not null
                    ? entry
                    : throw new SmcException(SmcErrorCode.BackupIncomplete, $"The backup '{id}' was never completed, so it is not copied.", target: id);
            }
        }

        throw new SmcException(SmcErrorCode.BackupNotFound, $"There is no backup '{id}' in {source.Location}.", target: id);
    }

    /// <summary>Copies all complete backups, oldest first, and all WAL.</summary>
    public IAsyncEnumerable<BackupCopyResult> CopyAllAsync(CancellationToken cancellationToken) => CopyAsync(null, CopyWal.All, cancellationToken);

    /// <summary>Copies backups, and then WAL of their clusters.</summary>
    /// <param name="backups">Which; all where null, and then the WAL of all clusters.</param>
    /// <param name="wal">How much WAL.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async IAsyncEnumerable<BackupCopyResult> CopyAsync(
        IReadOnlyList<BackupEntry>? backups, CopyWal wal, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // The list first: it must not hang on how long the copying takes.
        IReadOnlyList<BackupEntry> entries = backups ?? await ListAsync(cancellationToken).ConfigureAwait(false);
        foreach (BackupEntry entry in entries)
        {
            BackupCopyResult? result = null;
            try
            {
                result = await CopyBackupAsync(entry.Component, entry.Id, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (backups is null && e.Code is (SmcErrorCode.BackupNotFound or SmcErrorCode.BackupIncomplete))
            {
                // Retention has removed it since it was listed. Who named it is to know; of all that there are it is none any more.
                _observer.Verbose(Describe(e));
            }

            if (result is not null)
            {
                yield return result;
            }
        }

        if (wal == CopyWal.None)
        {
            yield break;
        }

        SortedDictionary<ulong, Lsn?> systems = [];
        foreach (DatabaseBackupDetails database in entries.Select(static entry => entry.Header?.Database).OfType<DatabaseBackupDetails>())
        {
            ulong systemId = ulong.Parse(database.SystemId, CultureInfo.InvariantCulture);
            Lsn? known = systems.GetValueOrDefault(systemId);
            systems[systemId] = known is null || database.StartLsn < known ? database.StartLsn : known;
        }

        if (backups is null && wal == CopyWal.All)
        {
            await foreach (ulong systemId in Postgres.Wal.WalArchive.ListSystemsAsync(_source, cancellationToken).ConfigureAwait(false))
            {
                systems.TryAdd(systemId, null);
            }
        }

        foreach ((ulong systemId, Lsn? from) in systems)
        {
            yield return await CopyWalAsync(systemId, wal == CopyWal.All ? null : from, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Copies one complete backup, the packs of earlier ones that it refers to, and the WAL without which it is worthless.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.BackupNotFound"/> or <see cref="SmcErrorCode.BackupIncomplete"/>; or what the destination, or all of the
    /// source, failed with.
    /// </exception>
    public async Task<BackupCopyResult> CopyBackupAsync(Component component, string id, CancellationToken cancellationToken)
    {
        CopyTally tally = new($"Copy of {id}", _observer);
        try
        {
            await CopyBackupAsync(component, id, tally, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (IsDamage(e) || Repository.IsUnreadable(e))
        {
            tally.Problem(Describe(e));
        }
        finally
        {
            tally.End();
        }

        return tally.ToResult(id, component.ToString(), _source.Location, _destination.Location);
    }

    private async Task<IReadOnlyList<BackupEntry>> ListAsync(CancellationToken cancellationToken)
    {
        List<BackupEntry> entries = [];
        foreach (Component component in Enum.GetValues<Component>())
        {
            await foreach (BackupEntry entry in _source.ListBackupsAsync(component, cancellationToken).ConfigureAwait(false))
            {
                if (entry.IsComplete || entry.Problem is not null)
                {
                    entries.Add(entry);
                }
            }
        }

        return entries;
    }

    /// <summary>Should the copy become the repository, it must keep out who is kept out here.</summary>
    private async Task CopyEpochsAsync(CancellationToken cancellationToken)
    {
        Dictionary<string, long> here = await ListAsync(_source.Store, [RepositoryKeys.FencingFolder], cancellationToken).ConfigureAwait(false);
        Dictionary<string, long> there = here.Count == 0
            ? here
            : await ListAsync(_destination.Store, [RepositoryKeys.FencingFolder], cancellationToken).ConfigureAwait(false);
        foreach (string key in here.Keys.Where(key => !there.ContainsKey(key)).Order(StringComparer.Ordinal))
        {
            try
            {
                byte[] epoch = await ReadDocumentAsync(_source.Store, key, cancellationToken).ConfigureAwait(false);
                _ = Envelope.OpenWhole(epoch, key);
                await PutAsync(_destination.Store, key, epoch, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (IsDamage(e))
            {
                _observer.Warning($"{e.Message} {_destination.Location} will not know which region may write.");
            }
        }
    }

    /// <summary>
    /// Removes the envelopes of recipients that were removed from the source, by the notes of that, which are copied as well. What is merely
    /// missing at the source stays: it may have been lost there, and a copy is for that.
    /// </summary>
    private async Task CarryRemovalsAsync(CancellationToken cancellationToken)
    {
        string[] folders = [Keys, RepositoryKeys.RemovalsFolder];
        Dictionary<string, long> here = await ListAsync(_source.Store, folders, cancellationToken).ConfigureAwait(false);
        Dictionary<string, long> there = await ListAsync(_destination.Store, folders, cancellationToken).ConfigureAwait(false);
        foreach (string key in here.Keys
            .Where(static key => key.StartsWith(RepositoryKeys.RemovalsFolder, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            try
            {
                byte[] note = await ReadDocumentAsync(_source.Store, key, cancellationToken).ConfigureAwait(false);
                KeyRemoval removal = KeyFolder.ReadRemoval(key, note);
                string envelope = RepositoryKeys.Recipient(removal.KeyId, removal.Name);
                if (removal.RepositoryId == _source.Id && !here.ContainsKey(envelope) && there.ContainsKey(envelope) &&
                    Hash256.Compute(await ReadDocumentAsync(_destination.Store, envelope, cancellationToken).ConfigureAwait(false)) == removal.Envelope)
                {
                    await _destination.Store.DeleteAsync(envelope, cancellationToken).ConfigureAwait(false);
                    there.Remove(envelope);
                    _observer.Verbose($"'{removal.Name}' was removed from {_source.Location}, and does not open {_destination.Location} any more either.");
                }

                if (!there.ContainsKey(key))
                {
                    await PutAsync(_destination.Store, key, note, cancellationToken).ConfigureAwait(false);
                }
            }
            catch (SmcException e) when (IsDamage(e) || Repository.IsUnreadable(e))
            {
                _observer.Warning($"{e.Message} Whom it says to be removed may still open {_destination.Location}.");
            }
        }

        string[] others =
        [
            .. there.Keys.Where(key => key.StartsWith(Keys, StringComparison.Ordinal) && !here.ContainsKey(key)).Order(StringComparer.Ordinal),
        ];
        if (others.Length > 0)
        {
            _observer.Warning(
                $"{_destination.Location} opens for recipients that {_source.Location} does not have, and nothing says that they were removed: " +
                $"'{string.Join("', '", others.Take(10))}'. " +
                "Remove them there as well where they are not to open it, or find out who removed them here.");
        }
    }

    private static bool IsDamage(SmcException e) => SmcErrors.IsDamage(e.Code) || e.Code == SmcErrorCode.ObjectNotFound;

    private static async Task PrepareAsync(Repository source, IObjectStore destination, CancellationToken cancellationToken)
    {
        if (!await EnsureSameAsync(source, destination, cancellationToken).ConfigureAwait(false))
        {
            Repository.EnsureMayBeCreated(destination);
        }

        // The keys as they lie, each wrapped for its recipients: who opens the repository opens the copy. Before the root, which makes it
        // a repository, and each canary, which makes a key one of its keys, after its envelopes.
        Dictionary<string, long> there = await ListAsync(destination, [Keys], cancellationToken).ConfigureAwait(false);
        Dictionary<string, long> here = await ListAsync(source.Store, [Keys], cancellationToken).ConfigureAwait(false);
        foreach (string key in here.Keys
            .Where(key => !there.ContainsKey(key))
            .OrderBy(static key => key.EndsWith("/canary", StringComparison.Ordinal)))
        {
            byte[] content = await ReadDocumentAsync(source.Store, key, cancellationToken).ConfigureAwait(false);
            await PutAsync(destination, key, content, cancellationToken).ConfigureAwait(false);
        }

        if (await Repository.TryReadIdAsync(destination, cancellationToken).ConfigureAwait(false) is null)
        {
            byte[] root = await ReadDocumentAsync(source.Store, RepositoryKeys.Root, cancellationToken).ConfigureAwait(false);
            _ = Envelope.OpenWhole(root, RepositoryKeys.Root);
            await PutAsync(destination, RepositoryKeys.Root, root, cancellationToken).ConfigureAwait(false);
        }

        await EnsureSameAsync(source, destination, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Whether the destination is a copy of the source, or may become one; throws where it is another repository.</summary>
    private static async Task<bool> EnsureSameAsync(Repository source, IObjectStore destination, CancellationToken cancellationToken)
    {
        Guid? id = await Repository.TryReadIdAsync(destination, cancellationToken).ConfigureAwait(false);
        return id is null || id == source.Id
            ? id is not null
            : throw new SmcException(
                SmcErrorCode.RepositoryMismatch,
                $"The repository at {destination.Location} is another one than {source.Location}, and not a copy of it.",
                target: destination.Location);
    }

    private async Task CopyBackupAsync(Component component, string id, CopyTally tally, CancellationToken cancellationToken)
    {
        BackupReader reader = await _source.OpenBackupAsync(component, id, cancellationToken).ConfigureAwait(false);
        List<CopyItem> packs;
        StreamedManifest manifest = await reader.OpenManifestAsync(cancellationToken).ConfigureAwait(false);
        await using (manifest.ConfigureAwait(false))
        {
            packs = [.. manifest.Packs.Select(static pack => new CopyItem(pack.Key, pack.Length, pack.Hash))];
        }

        CopyItem manifestItem = new(RepositoryKeys.Manifest(component, id), reader.Marker.ManifestLength, reader.Marker.ManifestHash);
        string[] folders = [.. packs.Append(manifestItem).Select(static item => item.Key[..(item.Key.LastIndexOf('/') + 1)]).Distinct()];
        Dictionary<string, long> there = await ListAsync(_destination.Store, folders, cancellationToken).ConfigureAwait(false);

        await CopyDocumentAsync(RepositoryKeys.Started(component, id), there, tally, cancellationToken).ConfigureAwait(false);
        await CopyAsync(packs, there, tally, cancellationToken).ConfigureAwait(false);
        await CopyAsync([manifestItem], there, tally, cancellationToken).ConfigureAwait(false);
        if (reader.Header.Database is { } database)
        {
            await CopyWalAsync(
                ulong.Parse(database.SystemId, CultureInfo.InvariantCulture),
                segment => segment.Timeline == database.Timeline && segment.EndLsn(database.WalSegmentSize) > database.StartLsn &&
                    segment.StartLsn(database.WalSegmentSize) < database.StopLsn,
                tally,
                cancellationToken).ConfigureAwait(false);
        }

        string marker = RepositoryKeys.Complete(component, id);
        if (!tally.IsComplete)
        {
            if (there.ContainsKey(marker))
            {
                tally.Problem($"The backup '{id}' has a marker at {_destination.Location}, and lacks something there.");
            }

            return;
        }

        await VerifyAsync(folders, [.. packs, manifestItem], cancellationToken).ConfigureAwait(false);
        bool isMarked = await CopyDocumentAsync(marker, there, tally, cancellationToken).ConfigureAwait(false);
        try
        {
            // Whoever removes packs at the destination looks for markers first. One that was not there when it looked was too late: the claim is gone
            // by then, and the packs may still be about to go.
            await VerifyAsync(folders, [.. packs, manifestItem], cancellationToken).ConfigureAwait(false);
            if (isMarked)
            {
                await EnsureClaimedAsync(component, id, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (SmcException) when (isMarked)
        {
            await _destination.Store.DeleteAsync(marker, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Copies objects of known content that the destination lacks.</summary>
    private async Task CopyAsync(
        IReadOnlyList<CopyItem> items, Dictionary<string, long> there, CopyTally tally, CancellationToken cancellationToken)
    {
        List<CopyItem> missing = [];
        foreach (CopyItem item in items)
        {
            if (!there.TryGetValue(item.Key, out long length))
            {
                missing.Add(item);
                tally.Expect(item.Length);
            }
            else if (length == item.Length)
            {
                tally.Present(length);
            }
            else
            {
                // Never overwritten: who put it there should know.
                tally.Problem(
                    $"The object '{item.Key}' has {length} bytes in {_destination.Location} and should have {item.Length}; " +
                    "remove it there, and copy again.");
            }
        }

        await Parallel.ForEachAsync(
            missing,
            new ParallelOptions { MaxDegreeOfParallelism = _parallelism, CancellationToken = cancellationToken },
            async (item, token) => await CopyAsync(item, tally, token).ConfigureAwait(false)).ConfigureAwait(false);
    }

    private async Task CopyAsync(CopyItem item, CopyTally tally, CancellationToken cancellationToken)
    {
        // A bit that flipped on the way is right the second time.
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                if (await TryCopyAsync(item, tally, cancellationToken).ConfigureAwait(false))
                {
                    tally.Copied(item.Length);
                }
                else
                {
                    tally.Present(item.Length);
                }

                return;
            }
            catch (SmcException e) when (IsDamage(e))
            {
                if (attempt == 2 || e.Code == SmcErrorCode.ObjectNotFound)
                {
                    tally.Problem(Describe(e));
                    return;
                }
            }
        }
    }

    /// <summary>Copies an object; false where somebody else has just done so.</summary>
    private async Task<bool> TryCopyAsync(CopyItem item, CopyTally tally, CancellationToken cancellationToken)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            Stream stream = await _source.Store.OpenReadAsync(item.Key, 0, null, cancellationToken).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                ObjectWriter writer = await _destination.Store.CreateAsync(item.Key, cancellationToken).ConfigureAwait(false);
                await using (writer.ConfigureAwait(false))
                {
                    int read;
                    while ((read = await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0 &&
                        writer.Length + read <= item.Length)
                    {
                        hash.AppendData(buffer, 0, read);
                        await writer.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
                        tally.Advance(item.Key, read);
                    }

                    if (read > 0 || writer.Length != item.Length || Hash256.FromBytes(hash.GetHashAndReset()) != item.Hash)
                    {
                        throw new SmcException(
                            SmcErrorCode.ChecksumMismatch,
                            $"The object '{item.Key}' in {_source.Location} does not match its digest in the manifest.",
                            target: item.Key);
                    }

                    await writer.CommitAsync(cancellationToken).ConfigureAwait(false);
                    return true;
                }
            }
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
        {
            return false;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Copies a claim or a marker byte for byte, whatever newer properties it has. False where it is there already.</summary>
    private async Task<bool> CopyDocumentAsync(
        string key, Dictionary<string, long> there, CopyTally tally, CancellationToken cancellationToken)
    {
        byte[] content = await ReadDocumentAsync(_source.Store, key, cancellationToken).ConfigureAwait(false);
        _ = Envelope.OpenWhole(content, key);
        if (!there.ContainsKey(key) && await PutAsync(_destination.Store, key, content, cancellationToken).ConfigureAwait(false))
        {
            tally.Copied(content.Length);
            return true;
        }

        byte[] present = await ReadDocumentAsync(_destination.Store, key, cancellationToken).ConfigureAwait(false);
        if (!content.AsSpan().SequenceEqual(present))
        {
            throw new SmcException(
                SmcErrorCode.ChecksumMismatch,
                $"The object '{key}' in {_destination.Location} is another one than in {_source.Location}.",
                target: key);
        }

        tally.Present(content.Length);
        return false;
    }

    /// <summary>What was written counts once the destination itself lists it.</summary>
    private async Task VerifyAsync(IEnumerable<string> prefixes, IReadOnlyList<CopyItem> expected, CancellationToken cancellationToken)
    {
        Dictionary<string, long> there = await ListAsync(_destination.Store, prefixes, cancellationToken).ConfigureAwait(false);
        foreach (CopyItem item in expected)
        {
            if (!there.TryGetValue(item.Key, out long length) || length != item.Length)
            {
                throw new SmcException(
                    SmcErrorCode.CopyIncomplete,
                    $"The object '{item.Key}' was copied to {_destination.Location}, and is not listed there as it should be.",
                    target: item.Key);
            }
        }
    }

    private async Task EnsureClaimedAsync(Component component, string id, CancellationToken cancellationToken)
    {
        string claim = RepositoryKeys.Started(component, id);
        if (await _destination.Store.GetInfoAsync(claim, cancellationToken).ConfigureAwait(false) is null)
        {
            throw new SmcException(
                SmcErrorCode.CopyIncomplete,
                $"The copy of the backup '{id}' was removed from {_destination.Location} as one that nobody works on; copy it again.",
                target: claim);
        }
    }

    private static string Describe(SmcException e) => $"{e.Message} It is not copied.";

    private static async Task<Dictionary<string, long>> ListAsync(
        IObjectStore store, IEnumerable<string> prefixes, CancellationToken cancellationToken)
    {
        Dictionary<string, long> found = new(StringComparer.Ordinal);
        foreach (string prefix in prefixes)
        {
            await foreach (ObjectInfo info in store.ListAsync(prefix, cancellationToken).ConfigureAwait(false))
            {
                found[info.Key] = info.Length;
            }
        }

        return found;
    }

    private static async Task<byte[]> ReadDocumentAsync(IObjectStore store, string key, CancellationToken cancellationToken)
    {
        Stream stream = await store.OpenReadAsync(key, 0, null, cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            using MemoryStream content = new();
            byte[] buffer = new byte[32 << 10];
            int read;
            while ((read = await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
            {
                content.Write(buffer, 0, read);
                if (content.Length > MaximumDocumentLength)
                {
                    throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' is far too long.", target: key);
                }
            }

            return content.ToArray();
        }
    }

    private static async Task<bool> PutAsync(IObjectStore store, string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        try
        {
            await store.PutAsync(key, content, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
        {
            return false;
        }
    }

    /// <summary>An object whose content is known.</summary>
    private sealed record CopyItem(string Key, long Length, Hash256 Hash);
}
