using System.Collections.Concurrent;
using System.Globalization;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Retention;

/// <summary>Holds and locks on backups. Both are objects of their own in the repository; a lock is also asked of the object store.</summary>
public sealed class BackupProtections
{
    private const int Parallelism = 16;

    private readonly Repository _repository;
    private readonly TimeProvider _time;

    public BackupProtections(Repository repository, TimeProvider? time = null)
    {
        ArgumentNullException.ThrowIfNull(repository);
        _repository = repository;
        _time = time ?? TimeProvider.System;
    }

    private IObjectStore Store => _repository.Store;

    /// <summary>Makes sure that a backup is whole, and that a lock would not be over already, before anybody is asked.</summary>
    /// <param name="component">The backup's component.</param>
    /// <param name="id">The backup's id.</param>
    /// <param name="until">When the lock is to end; null = a hold.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public Task CheckAsync(Component component, string id, DateTimeOffset? until, CancellationToken cancellationToken)
    {
        if (until is { } end)
        {
            ThrowIfOver(id, end);
        }

        return EnsureCompleteAsync(component, id, cancellationToken);
    }

    /// <summary>Holds a backup until somebody ends that.</summary>
    public async Task<BackupProtection> HoldAsync(Component component, string id, string reason, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(reason);
        await EnsureCompleteAsync(component, id, cancellationToken).ConfigureAwait(false);
        return await PutAsync(component, id, BackupProtection.Hold, null, reason, null, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends all holds on a backup, and says how many there were. Locks end by themselves only.</summary>
    public async Task<int> ReleaseAsync(Component component, string id, CancellationToken cancellationToken)
    {
        int released = 0;
        await foreach (ObjectInfo info in Store.ListAsync(RepositoryKeys.Protections(component, id), cancellationToken).ConfigureAwait(false))
        {
            if (KindOf(info.Key) == BackupProtection.Hold)
            {
                await Store.DeleteAsync(info.Key, cancellationToken).ConfigureAwait(false);
                released++;
            }
        }

        return released;
    }

    /// <summary>Locks all objects that a backup needs against removal by anybody. A lock can be made longer, never shorter.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.LockUnsupported"/>: the object store cannot.</exception>
    public async Task<BackupProtection> LockAsync(
        Component component,
        string id,
        DateTimeOffset until,
        ObjectLockMode mode,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(observer);
        ThrowIfOver(id, until);
        BackupReader reader = await _repository.OpenBackupAsync(component, id, cancellationToken).ConfigureAwait(false);

        // First the word that retention heeds, then the storage's own locks: stopped half-way, nothing of it can be removed by us.
        BackupProtection protection = await PutAsync(component, id, BackupProtection.Lock, until, null, mode, cancellationToken)
            .ConfigureAwait(false);
        string activity = $"Lock of backup {id}";
        try
        {
            List<string> keys = await FindObjectsAsync(reader, cancellationToken).ConfigureAwait(false);
            long done = 0;
            await Parallel.ForEachAsync(
                keys,
                new ParallelOptions { MaxDegreeOfParallelism = Parallelism, CancellationToken = cancellationToken },
                async (key, token) =>
                {
                    await Store.LockAsync(key, until, mode, token).ConfigureAwait(false);
                    observer.Progress(new OperationProgress(
                        activity, key, Interlocked.Increment(ref done), keys.Count, ProgressUnit.Items));
                }).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.LockUnsupported)
        {
            // A word that nothing enforces would be believed.
            await Store.DeleteAsync(KeyOf(protection), CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        finally
        {
            observer.Progress(new OperationProgress(activity, "", Unit: ProgressUnit.Items) { IsCompleted = true });
        }

        return protection;
    }

    /// <summary>What protects the backups of a component, by id.</summary>
    public async Task<IReadOnlyDictionary<string, ProtectionState>> ListAsync(Component component, CancellationToken cancellationToken) =>
        await ReadAsync(component, RepositoryKeys.Protections(component), cancellationToken).ConfigureAwait(false);

    /// <summary>What protects a backup.</summary>
    public async Task<ProtectionState> GetAsync(Component component, string id, CancellationToken cancellationToken) =>
        (await ReadAsync(component, RepositoryKeys.Protections(component, id), cancellationToken).ConfigureAwait(false))
            .GetValueOrDefault(id, ProtectionState.None);

    private static string KeyOf(BackupProtection protection) => string.Create(
        CultureInfo.InvariantCulture,
        $"{RepositoryKeys.Protections(protection.Component, protection.BackupId)}{protection.CreatedTime.UtcDateTime:yyyyMMdd'T'HHmmssfff'Z'}-{protection.Kind}");

    private static string? KindOf(string key) =>
        key.EndsWith("-" + BackupProtection.Hold, StringComparison.Ordinal) ? BackupProtection.Hold
        : key.EndsWith("-" + BackupProtection.Lock, StringComparison.Ordinal) ? BackupProtection.Lock
        : null;

    private void ThrowIfOver(string id, DateTimeOffset until)
    {
        if (until <= _time.GetUtcNow())
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid, $"A lock that ends at {DisplayText.Time(until)} would be over already.", target: id);
        }
    }

    private async Task EnsureCompleteAsync(Component component, string id, CancellationToken cancellationToken) =>
        _ = await _repository.OpenBackupAsync(component, id, cancellationToken).ConfigureAwait(false);

    private async Task<BackupProtection> PutAsync(
        Component component,
        string id,
        string kind,
        DateTimeOffset? until,
        string? reason,
        ObjectLockMode? mode,
        CancellationToken cancellationToken)
    {
        for (DateTimeOffset time = _time.GetUtcNow(); ; time = time.AddMilliseconds(1))
        {
            BackupProtection protection = new()
            {
                RepositoryId = _repository.Id,
                Component = component,
                BackupId = id,
                Kind = kind,
                CreatedTime = time,
                Until = until,
                Reason = reason,
                By = $"{Environment.UserName}@{Environment.MachineName}",
                Mode = mode?.ToString(),
            };
            try
            {
                await Repository.PutDocumentAsync(
                    Store, KeyOf(protection), protection, RetentionJson.Default.BackupProtection, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
            {
                continue;
            }

            // Whoever removes the backup looks for protections right before it does. Where both met, the backup is gone, and is said to be.
            if (await Store.GetInfoAsync(RepositoryKeys.Complete(component, id), cancellationToken).ConfigureAwait(false) is null)
            {
                await Store.DeleteAsync(KeyOf(protection), cancellationToken).ConfigureAwait(false);
                throw new SmcException(SmcErrorCode.BackupRemoved, $"The backup '{id}' was removed at this moment.", target: id);
            }

            return protection;
        }
    }

    private async Task<List<string>> FindObjectsAsync(BackupReader reader, CancellationToken cancellationToken)
    {
        BackupHeader header = reader.Header;
        List<string> keys = [RepositoryKeys.Root];
        await foreach (ObjectInfo info in Store.ListAsync("keys/", cancellationToken).ConfigureAwait(false))
        {
            keys.Add(info.Key);
        }

        // The folder as it is listed, and not only what the manifest names: the claim is there or is not.
        string folder = RepositoryKeys.Backup(header.Component, header.Id);
        await foreach (ObjectInfo info in Store.ListAsync(folder, cancellationToken).ConfigureAwait(false))
        {
            keys.Add(info.Key);
        }

        StreamedManifest manifest = await reader.OpenManifestAsync(cancellationToken).ConfigureAwait(false);
        await using (manifest.ConfigureAwait(false))
        {
            keys.AddRange(manifest.Packs.Where(pack => pack.BackupId != header.Id).Select(static pack => pack.Key));
        }

        if (header.Database is { } database &&
            ulong.TryParse(database.SystemId, NumberStyles.None, CultureInfo.InvariantCulture, out ulong systemId))
        {
            WalCoverage coverage = await new WalArchive(_repository, systemId)
                .GetCoverageAsync(database.Timeline, database.StartLsn, database.Timeline, cancellationToken).ConfigureAwait(false);
            keys.AddRange(coverage.Items.Where(item => item.StartLsn < database.StopLsn)
                .SelectMany(static item => item.Parts).Select(static part => part.Info.Key));
        }

        await foreach (ObjectInfo info in Store
            .ListAsync(RepositoryKeys.Protections(header.Component, header.Id), cancellationToken).ConfigureAwait(false))
        {
            if (KindOf(info.Key) == BackupProtection.Lock)
            {
                keys.Add(info.Key);
            }
        }

        return keys;
    }

    private async Task<Dictionary<string, ProtectionState>> ReadAsync(Component component, string prefix, CancellationToken cancellationToken)
    {
        List<(string Id, string Kind, string Key)> found = [];
        string root = RepositoryKeys.Protections(component);
        await foreach (ObjectInfo info in Store.ListAsync(prefix, cancellationToken).ConfigureAwait(false))
        {
            string[] parts = info.Key[root.Length..].Split('/');
            if (parts.Length == 2 && RepositoryKeys.IsId(parts[0]) && KindOf(info.Key) is { } kind)
            {
                found.Add((parts[0], kind, info.Key));
            }
        }

        ConcurrentDictionary<string, ProtectionState> states = new(StringComparer.Ordinal);
        await Parallel.ForEachAsync(
            found,
            new ParallelOptions { MaxDegreeOfParallelism = Parallelism, CancellationToken = cancellationToken },
            async (entry, token) =>
            {
                ProtectionState one = await ReadAsync(component, entry.Id, entry.Kind, entry.Key, token).ConfigureAwait(false);
                states.AddOrUpdate(
                    entry.Id,
                    one,
                    (_, state) => new ProtectionState(
                        [.. state.Holds, .. one.Holds],
                        state.LockedUntil > one.LockedUntil || one.LockedUntil is null ? state.LockedUntil : one.LockedUntil,
                        [.. state.Keys, .. one.Keys])
                    {
                        Unreadable = [.. state.Unreadable, .. one.Unreadable],
                    });
            }).ConfigureAwait(false);
        return new Dictionary<string, ProtectionState>(states, StringComparer.Ordinal);
    }

    private async Task<ProtectionState> ReadAsync(
        Component component, string id, string kind, string key, CancellationToken cancellationToken)
    {
        BackupProtection? protection;
        try
        {
            protection = await _repository.TryReadDocumentAsync(key, RetentionJson.Default.BackupProtection, cancellationToken)
                .ConfigureAwait(false);
        }
        catch (SmcException e) when (Repository.IsUnreadable(e))
        {
            // Somebody wanted it kept; for how long is lost. So it is held until somebody looks.
            return new ProtectionState([$"its protection '{key}' cannot be read"], null, [key]) { Unreadable = [key] };
        }

        if (protection is null)
        {
            return new ProtectionState([], null, [key]);
        }

        bool isRight = protection.RepositoryId == _repository.Id && protection.Component == component && protection.BackupId == id &&
            protection.Kind == kind && KeyOf(protection) == key && (kind == BackupProtection.Hold || protection.Until is not null);
        return !isRight ? new ProtectionState([$"its protection '{key}' is another one's"], null, [key]) { Unreadable = [key] }
            : kind == BackupProtection.Hold ? new ProtectionState([$"{protection.Reason} (by {protection.By})"], null, [key])
            : new ProtectionState([], protection.Until, [key]);
    }
}
