using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Encryption;

/// <summary>Who can open an encrypted repository: lists, adds and removes recipients, and renews the key.</summary>
public static class RepositoryRecipients
{
    /// <summary>Lists the recipients of all keys, the first key's first.</summary>
    /// <param name="store">Where the repository is.</param>
    /// <param name="source">Whose envelopes are to be found out by opening them; null = nobody's.</param>
    /// <param name="problem">Hears of envelopes that cannot be read.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.RepositoryNotFound"/>, <see cref="SmcErrorCode.RepositoryNotEncrypted"/>.</exception>
    public static async Task<IReadOnlyList<RepositoryKeyInfo>> ListAsync(
        IObjectStore store, RepositoryKeySource? source, Action<string>? problem, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(store);
        RepositoryRoot root = await ReadRootAsync(store, cancellationToken).ConfigureAwait(false);
        KeyFolder folder = new(store, root.Id);
        IReadOnlyDictionary<string, List<Recipient>> keys = await folder.ReadAsync(
            (_, exception) => problem?.Invoke(exception.Message), cancellationToken).ConfigureAwait(false);

        // The canaries tell which key is the newest; the wrong secret cannot know.
        string? current = keys.Count == 1 ? root.KeyId : null;
        if (source is not null)
        {
            try
            {
                using RepositoryKeyring keyring = await folder.OpenAsync(root.KeyId!, source, problem, cancellationToken).ConfigureAwait(false);
                current = keyring.Current.Id;
            }
            catch (SmcException exception) when (exception.Code == SmcErrorCode.KeyWrong)
            {
                problem?.Invoke(exception.Message);
            }
        }

        List<RepositoryKeyInfo> infos = [];
        foreach ((string keyId, List<Recipient> recipients) in keys.OrderByDescending(key => key.Key == root.KeyId))
        {
            string? opened = source is null
                ? null
                : await FindNameAsync(recipients, source, cancellationToken).ConfigureAwait(false);
            infos.AddRange(recipients.Select(recipient => new RepositoryKeyInfo
            {
                Name = recipient.Name,
                Kind = recipient.Kind.ToString(),
                KeyId = keyId,
                Current = current is null ? null : keyId == current,
                Opens = source is null ? null : recipient.Name == opened,
                Fingerprint = recipient.Fingerprint,
                CreatedTime = recipient.CreatedTime,
                Repository = store.Location,
            }));
        }

        return infos;
    }

    /// <summary>Adds a recipient to all keys of a repository. Repeated after an interruption it adds what is missing.</summary>
    /// <param name="store">Where the repository is.</param>
    /// <param name="opener">A recipient that opens it.</param>
    /// <param name="added">The new recipient.</param>
    /// <param name="name">Its name; null = one by its kind.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The new recipient's name.</returns>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.KeyExists"/>, <see cref="SmcErrorCode.KeyWrong"/>.</exception>
    public static async Task<string> AddAsync(
        IObjectStore store, RepositoryKeySource opener, RepositoryKeySource added, string? name, CancellationToken cancellationToken) =>
        (await AddAsync(store, opener, added, name, static _ => Task.FromResult(true), cancellationToken).ConfigureAwait(false))!;

    /// <inheritdoc cref="AddAsync(IObjectStore, RepositoryKeySource, RepositoryKeySource, string, CancellationToken)"/>
    /// <param name="store">Where the repository is.</param>
    /// <param name="opener">A recipient that opens it.</param>
    /// <param name="added">The new recipient.</param>
    /// <param name="name">Its name; null = one by its kind.</param>
    /// <param name="approve">Is asked with the name once all is found to be possible.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The new recipient's name; null where it was not approved.</returns>
    public static async Task<string?> AddAsync(
        IObjectStore store,
        RepositoryKeySource opener,
        RepositoryKeySource added,
        string? name,
        Func<string, Task<bool>> approve,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(approve);
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(opener);
        ArgumentNullException.ThrowIfNull(added);
        name ??= added.DefaultName;
        if (!KeyFolder.IsName(name))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"'{name}' cannot be a recipient's name.",
                recommendation: "Use up to 63 small letters, digits, '.', '_' and '-', beginning with a letter or digit; 'canary' is taken.");
        }

        RepositoryRoot root = await ReadRootAsync(store, cancellationToken).ConfigureAwait(false);
        KeyFolder folder = new(store, root.Id);
        using RepositoryKeyring keyring = await folder.OpenAsync(root.KeyId!, opener, null, cancellationToken).ConfigureAwait(false);
        IReadOnlyDictionary<string, List<Recipient>> envelopes = await folder.ReadAsync(null, cancellationToken).ConfigureAwait(false);
        List<RepositoryKey> missing = [];
        foreach (RepositoryKey key in keyring.Keys)
        {
            List<Recipient> recipients = envelopes[key.Id];
            if (recipients.Find(recipient => recipient.Name == name) is { } taken)
            {
                using RepositoryKey? own = await added.TryUnwrapAsync(taken, cancellationToken).ConfigureAwait(false);
                if (own is null)
                {
                    throw new SmcException(
                        SmcErrorCode.KeyExists, $"The repository {store.Location} has another recipient '{name}' already.", target: name);
                }
            }
            else if (added.Kind == RecipientKind.KeyFile && recipients.Find(added.MayOpen) is { } same)
            {
                throw new SmcException(
                    SmcErrorCode.KeyExists,
                    $"This key file is a recipient of the repository {store.Location} already, as '{same.Name}'.",
                    recommendation: "Nothing is to be done.",
                    target: same.Name);
            }
            else
            {
                missing.Add(key);
            }
        }

        if (!await approve(name).ConfigureAwait(false))
        {
            return null;
        }

        foreach (RepositoryKey key in missing)
        {
            await folder.AddAsync(key, added, name, cancellationToken).ConfigureAwait(false);
        }

        return name;
    }

    /// <summary>
    /// Removes a recipient from all keys. Who has once opened the repository may have kept its key, and old versions of the bucket keep the
    /// envelope: to shut somebody out for certain, the key must be renewed as well.
    /// </summary>
    /// <param name="store">Where the repository is.</param>
    /// <param name="opener">Another recipient, which proves that the repository can still be opened afterwards.</param>
    /// <param name="name">The name of the recipient to remove.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.KeyNeeded"/>, <see cref="SmcErrorCode.KeyNotFound"/>.</exception>
    public static Task RemoveAsync(IObjectStore store, RepositoryKeySource opener, string name, CancellationToken cancellationToken) =>
        RemoveAsync(store, opener, name, static () => Task.FromResult(true), cancellationToken);

    /// <inheritdoc cref="RemoveAsync(IObjectStore, RepositoryKeySource, string, CancellationToken)"/>
    /// <param name="store">Where the repository is.</param>
    /// <param name="opener">Another recipient, which proves that the repository can still be opened afterwards.</param>
    /// <param name="name">The name of the recipient to remove.</param>
    /// <param name="approve">Is asked once all is found to be possible.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task RemoveAsync(
        IObjectStore store, RepositoryKeySource opener, string name, Func<Task<bool>> approve, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(approve);
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(opener);
        RepositoryRoot root = await ReadRootAsync(store, cancellationToken).ConfigureAwait(false);
        KeyFolder folder = new(store, root.Id);
        using RepositoryKeyring keyring = await folder.OpenAsync(root.KeyId!, opener, null, cancellationToken).ConfigureAwait(false);
        IReadOnlyDictionary<string, List<Recipient>> envelopes = await folder.ReadAsync(null, cancellationToken).ConfigureAwait(false);
        List<string> keyIds = [.. envelopes.Where(key => key.Value.Exists(recipient => recipient.Name == name)).Select(static key => key.Key)];
        if (keyIds.Count == 0)
        {
            throw new SmcException(
                SmcErrorCode.KeyNotFound, $"The repository {store.Location} has no recipient '{name}'.", target: name);
        }

        foreach (RepositoryKey key in keyring.Keys)
        {
            List<Recipient> others = envelopes[key.Id].FindAll(recipient => recipient.Name != name);
            if (await FindNameAsync(others, opener, cancellationToken).ConfigureAwait(false) is null)
            {
                throw new SmcException(
                    SmcErrorCode.KeyNeeded,
                    others.Count == 0
                        ? $"'{name}' is the last recipient of the repository {store.Location}: without it nothing in it could ever be read again."
                        : $"'{name}' is what opens the repository {store.Location} here, so nothing proves that the others do.",
                    target: name);
            }
        }

        if (!await approve().ConfigureAwait(false))
        {
            return;
        }

        foreach (string keyId in keyIds)
        {
            await folder.NoteRemovalAsync(keyring, keyId, name, cancellationToken).ConfigureAwait(false);
            await folder.RemoveAsync(keyId, name, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// Makes a new key for what is written from now on, for the same recipients. What is written already stays as it is and needs the old
    /// keys, which stay too.
    /// </summary>
    /// <param name="store">Where the repository is.</param>
    /// <param name="recipients">What opens it: all recipients of the present key, so that none is left out unnoticed.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The new key's id.</returns>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.KeyMissing"/>: a recipient is not among those given.</exception>
    public static async Task<string> RenewAsync(
        IObjectStore store, IReadOnlyList<RepositoryKeySource> recipients, CancellationToken cancellationToken) =>
        (await RenewAsync(store, recipients, static () => Task.FromResult(true), cancellationToken).ConfigureAwait(false))!;

    /// <inheritdoc cref="RenewAsync(IObjectStore, IReadOnlyList{RepositoryKeySource}, CancellationToken)"/>
    /// <param name="store">Where the repository is.</param>
    /// <param name="recipients">What opens it: all recipients of the present key, so that none is left out unnoticed.</param>
    /// <param name="approve">Is asked once all is found to be possible.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <returns>The new key's id; null where it was not approved.</returns>
    public static async Task<string?> RenewAsync(
        IObjectStore store, IReadOnlyList<RepositoryKeySource> recipients, Func<Task<bool>> approve, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(approve);
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(recipients);
        ArgumentOutOfRangeException.ThrowIfZero(recipients.Count);
        RepositoryRoot root = await ReadRootAsync(store, cancellationToken).ConfigureAwait(false);
        KeyFolder folder = new(store, root.Id);
        using RepositoryKeyring keyring = await folder.OpenAsync(root.KeyId!, recipients[0], null, cancellationToken).ConfigureAwait(false);
        SmcException? damage = null;
        IReadOnlyDictionary<string, List<Recipient>> envelopes = await folder.ReadAsync(
            (key, exception) => damage ??= key.StartsWith(RepositoryKeys.Key(keyring.Current.Id), StringComparison.Ordinal) ? exception : null,
            cancellationToken).ConfigureAwait(false);
        if (damage is not null)
        {
            throw damage;
        }

        List<(string Name, RepositoryKeySource Source)> found = [];
        List<string> missing = [];
        foreach (Recipient recipient in envelopes[keyring.Current.Id])
        {
            RepositoryKeySource? source = null;
            foreach (RepositoryKeySource candidate in recipients)
            {
                if (source is null && await FindNameAsync([recipient], candidate, cancellationToken).ConfigureAwait(false) is not null)
                {
                    source = candidate;
                }
            }

            if (source is null)
            {
                missing.Add($"'{recipient.Name}'");
            }
            else
            {
                found.Add((recipient.Name, source));
            }
        }

        if (missing.Count > 0)
        {
            throw new SmcException(
                SmcErrorCode.KeyMissing,
                $"The key can only be renewed for all recipients at once, and these are not given: {string.Join(", ", missing)}.",
                recommendation: "Give their keys as well, or remove those recipients first and add them again afterwards.",
                target: store.Location);
        }

        if (!await approve().ConfigureAwait(false))
        {
            return null;
        }

        using RepositoryKey key = RepositoryKey.Create();
        foreach ((string name, RepositoryKeySource source) in found)
        {
            await folder.AddAsync(key, source, name, cancellationToken).ConfigureAwait(false);
        }

        await folder.PutCanaryAsync(key, keyring.Current, cancellationToken).ConfigureAwait(false);
        return key.Id;
    }

    private static async Task<string?> FindNameAsync(
        IReadOnlyList<Recipient> recipients, RepositoryKeySource source, CancellationToken cancellationToken)
    {
        if (await new KeyOpener(source).TryOpenAsync(recipients, cancellationToken).ConfigureAwait(false) is not ({ } key, { } name))
        {
            return null;
        }

        key.Dispose();
        return name;
    }

    private static async Task<RepositoryRoot> ReadRootAsync(IObjectStore store, CancellationToken cancellationToken)
    {
        RepositoryRoot root = await Repository.ReadRootAsync(store, cancellationToken).ConfigureAwait(false);
        return root is { Encryption: RepositoryRoot.FrameEncryption, KeyId: not null }
            ? root
            : throw new SmcException(
                SmcErrorCode.RepositoryNotEncrypted, $"The repository at {store.Location} is not encrypted, so it has no keys.", target: store.Location);
    }
}
