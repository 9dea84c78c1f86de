using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Encryption;

/// <summary>The folder <c>keys/</c> of a repository: envelopes and canaries, read and written in the store as it is.</summary>
internal sealed partial class KeyFolder(IObjectStore store, Guid repositoryId)
{
    private const int MaximumEnvelopes = 1000;
    private const int MaximumDocumentLength = 64 << 10;

    /// <summary>Whether a text can be a recipient's name.</summary>
    public static bool IsName(string name) => NamePattern().IsMatch(name) && name != "canary";

    /// <summary>
    /// All envelopes of the repository by key. What is of another repository is left out: a creation that was interrupted, or lost the
    /// race, may have left it.
    /// </summary>
    /// <param name="problem">Hears of an envelope that cannot be read. One that is damaged must not lock out the others.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task<IReadOnlyDictionary<string, List<Recipient>>> ReadAsync(
        Action<string, SmcException>? problem, CancellationToken cancellationToken)
    {
        SortedDictionary<string, List<Recipient>> keys = new(StringComparer.Ordinal);
        int count = 0;
        await foreach (ObjectInfo info in store.ListAsync(RepositoryKeys.KeysFolder, cancellationToken).ConfigureAwait(false))
        {
            string[] parts = info.Key.Split('/');
            if (parts.Length != 3 || !KeyIdPattern().IsMatch(parts[1]) || !IsName(parts[2]))
            {
                continue;
            }

            if (++count > MaximumEnvelopes)
            {
                throw new SmcException(
                    SmcErrorCode.ManifestInvalid,
                    $"There are more than {MaximumEnvelopes} key envelopes in {store.Location}; they were not put there by SmcDr.",
                    recommendation: $"Find out who writes to '{RepositoryKeys.KeysFolder}', and remove what does not belong there.",
                    target: store.Location);
            }

            try
            {
                Recipient recipient = await ReadAsync(info, cancellationToken).ConfigureAwait(false);
                if (recipient.RepositoryId != repositoryId)
                {
                    continue;
                }

                if (recipient.KeyId != parts[1] || recipient.Name != parts[2])
                {
                    throw new SmcException(
                        SmcErrorCode.ManifestInvalid, $"The object '{info.Key}' is the envelope of another key or recipient.", target: info.Key);
                }

                if (!keys.TryGetValue(parts[1], out List<Recipient>? recipients))
                {
                    keys.Add(parts[1], recipients = []);
                }

                recipients.Add(recipient);
            }
            catch (SmcException exception) when (
                SmcErrors.IsDamage(exception.Code) || exception.Code is SmcErrorCode.ObjectNotFound or SmcErrorCode.RepositoryFormatUnknown)
            {
                problem?.Invoke(info.Key, exception);
            }
        }

        return keys;
    }

    /// <summary>Wraps a key for a recipient and stores the envelope.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.KeyExists"/>: the name is taken for this key.</exception>
    public async Task AddAsync(RepositoryKey key, RepositoryKeySource source, string name, CancellationToken cancellationToken)
    {
        Recipient recipient = await source.WrapAsync(
            new Recipient
            {
                RepositoryId = repositoryId,
                KeyId = key.Id,
                Name = name,
                Kind = source.Kind,
                CreatedTime = DateTimeOffset.UtcNow,
            },
            key,
            cancellationToken).ConfigureAwait(false);
        try
        {
            await store.PutAsync(
                RepositoryKeys.Recipient(key.Id, name),
                Envelope.Seal(JsonSerializer.SerializeToUtf8Bytes(recipient, KeyJson.Default.Recipient)),
                cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException exception) when (exception.Code == SmcErrorCode.ObjectExists)
        {
            throw new SmcException(
                SmcErrorCode.KeyExists, $"The repository {store.Location} has a recipient '{name}' already.", exception, target: name);
        }
    }

    /// <summary>Notes that an envelope is being removed; before it is, so that whoever looks for it in a copy knows.</summary>
    /// <param name="keyring">What the note is encrypted with.</param>
    /// <param name="keyId">The key.</param>
    /// <param name="name">The recipient.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task NoteRemovalAsync(RepositoryKeyring keyring, string keyId, string name, CancellationToken cancellationToken)
    {
        string key = RepositoryKeys.Recipient(keyId, name);
        byte[] envelope;
        try
        {
            Stream stream = await store.OpenReadAsync(key, 0, null, cancellationToken).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                envelope = await ReadLimitedAsync(stream, key, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (SmcException exception) when (exception.Code == SmcErrorCode.ObjectNotFound)
        {
            // Somebody else was quicker, and has noted it.
            return;
        }

        KeyRemoval removal = new()
        {
            RepositoryId = repositoryId,
            KeyId = keyId,
            Name = name,
            Envelope = Hash256.Compute(envelope),
            RemovedTime = DateTimeOffset.UtcNow,
        };
        try
        {
            // Not disposed: it would dispose the store and the keys.
            await new EncryptedObjectStore(store, keyring).PutAsync(
                RepositoryKeys.Removal(keyId, name, removal.Envelope),
                Envelope.Seal(JsonSerializer.SerializeToUtf8Bytes(removal, KeyJson.Default.KeyRemoval)),
                cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException exception) when (exception.Code == SmcErrorCode.ObjectExists)
        {
            // Noted by a removal that was interrupted.
        }
    }

    /// <summary>Reads the note of a removal.</summary>
    /// <param name="key">Its object.</param>
    /// <param name="content">The object's content.</param>
    /// <exception cref="SmcException">It is damaged.</exception>
    public static KeyRemoval ReadRemoval(string key, ReadOnlyMemory<byte> content) =>
        Deserialize(Envelope.OpenWhole(content, key), KeyJson.Default.KeyRemoval, key);

    /// <summary>Removes an envelope.</summary>
    public Task RemoveAsync(string keyId, string name, CancellationToken cancellationToken) =>
        store.DeleteAsync(RepositoryKeys.Recipient(keyId, name), cancellationToken);

    /// <summary>Stores a key's canary, which makes it one of the repository's keys: to be done last.</summary>
    public Task PutCanaryAsync(RepositoryKey key, RepositoryKey? previous, CancellationToken cancellationToken)
    {
        KeyCanary canary = new()
        {
            RepositoryId = repositoryId,
            KeyId = key.Id,
            CreatedTime = DateTimeOffset.UtcNow,
            PreviousKeyId = previous?.Id,
        };
        byte[] content = JsonSerializer.SerializeToUtf8Bytes(
            previous is null ? canary : canary with { Endorsement = Endorse(previous, canary) }, KeyJson.Default.KeyCanary);
        string name = RepositoryKeys.Canary(key.Id);
        byte[] stored = new byte[FrameLayout.StoredLengthOf(name, content.Length)];
        EncryptedObjectStore.Seal(key, name, content, stored);
        return store.PutAsync(name, stored, cancellationToken);
    }

    /// <summary>Removes a key whose repository came to nothing.</summary>
    public async Task AbandonAsync(string keyId, string name, CancellationToken cancellationToken)
    {
        await store.DeleteAsync(RepositoryKeys.Canary(keyId), cancellationToken).ConfigureAwait(false);
        await RemoveAsync(keyId, name, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Opens all keys that a recipient can open.</summary>
    /// <param name="rootKeyId">The first key, which the root names.</param>
    /// <param name="source">The recipient.</param>
    /// <param name="problem">Hears of a canary that is damaged or missing, and of what follows.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.KeyWrong"/>.</exception>
    public async Task<RepositoryKeyring> OpenAsync(
        string rootKeyId, RepositoryKeySource source, Action<string>? problem, CancellationToken cancellationToken)
    {
        List<SmcException> problems = [];
        IReadOnlyDictionary<string, List<Recipient>> envelopes =
            await ReadAsync((_, exception) => problems.Add(exception), cancellationToken).ConfigureAwait(false);
        Dictionary<string, RepositoryKey> opened = new(StringComparer.Ordinal);
        try
        {
            KeyOpener opener = new(source);
            foreach (string keyId in envelopes.Keys.OrderByDescending(id => id == rootKeyId))
            {
                if (await opener.TryOpenAsync(envelopes[keyId], cancellationToken).ConfigureAwait(false) is ({ } key, _))
                {
                    opened.Add(keyId, key);
                }
            }

            if (!opened.ContainsKey(rootKeyId))
            {
                throw WrongKey(envelopes.GetValueOrDefault(rootKeyId) ?? [], source, problems.FirstOrDefault());
            }

            // Whoever may let KMS wrap a key can make an envelope there; a key file's or a passphrase's takes the secret itself.
            bool isProof = source.Kind != RecipientKind.AwsKms;
            IReadOnlyList<RepositoryKey> trusted = await TrustAsync(
                rootKeyId, opened, isProof ? id => envelopes[id].Min(static recipient => recipient.CreatedTime) : null, problem, cancellationToken)
                .ConfigureAwait(false);
            RepositoryKeyring keyring = new(trusted);
            foreach (RepositoryKey key in trusted)
            {
                opened.Remove(key.Id);
            }

            return keyring;
        }
        finally
        {
            foreach (RepositoryKey key in opened.Values)
            {
                key.Dispose();
            }
        }
    }

    /// <summary>
    /// The keys that descend from the first one, in the order of their making. The first needs no canary to be known: the root names it, its id
    /// is derived from it, and the canary, made with the key itself, proves no more. A later one whose canary is damaged is known by its
    /// envelope, where nobody can have made that who could not open it as well; where the canary is missing, its making was interrupted.
    /// </summary>
    /// <param name="rootKeyId">The first key.</param>
    /// <param name="opened">All keys that were opened.</param>
    /// <param name="wrappedTimeOf">When a key was wrapped first; null where envelopes do not prove keys.</param>
    /// <param name="problem">Hears of a canary that is damaged or missing.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    private async Task<IReadOnlyList<RepositoryKey>> TrustAsync(
        string rootKeyId,
        Dictionary<string, RepositoryKey> opened,
        Func<string, DateTimeOffset>? wrappedTimeOf,
        Action<string>? problem,
        CancellationToken cancellationToken)
    {
        List<KeyCanary> canaries = [];
        List<string> damaged = [];
        foreach (RepositoryKey key in opened.Values)
        {
            string name = RepositoryKeys.Canary(key.Id);
            try
            {
                if (await TryReadCanaryAsync(key, cancellationToken).ConfigureAwait(false) is { } canary)
                {
                    canaries.Add(canary);
                }
                else if (key.Id == rootKeyId)
                {
                    problem?.Invoke(
                        $"The object '{name}', which proves the repository's key, is missing from {store.Location}. The key opens it all the same; " +
                        "find out who removes objects there, and take this one from a copy.");
                }
            }
            catch (SmcException exception) when (Repository.IsUnreadable(exception))
            {
                bool isKnown = key.Id == rootKeyId || wrappedTimeOf is not null;
                if (isKnown && key.Id != rootKeyId)
                {
                    damaged.Add(key.Id);
                }

                problem?.Invoke(
                    $"The object '{name}' in {store.Location}, which proves a key of the repository, is damaged: {exception.Message.TrimEnd('.')}. " +
                    (isKnown
                        ? "Its envelope proves the key as well, so it is used; "
                        : "Nothing is written with that key, and what was is not readable here until that is mended; ") +
                    "remove the damaged object, and take it from a copy.");
            }
        }

        // The first stays the first, whatever the clocks said.
        Dictionary<string, DateTimeOffset> trusted = new(StringComparer.Ordinal) { [rootKeyId] = DateTimeOffset.MinValue };
        foreach (string id in damaged)
        {
            // Its recipients may have been exchanged since. What follows it is younger.
            trusted[id] = canaries.Where(canary => canary.PreviousKeyId == id).Select(static canary => canary.CreatedTime.AddTicks(-1))
                .Append(wrappedTimeOf!(id)).Min();
        }

        for (int before = 0; before < trusted.Count;)
        {
            before = trusted.Count;
            foreach (KeyCanary canary in canaries)
            {
                if (canary.PreviousKeyId is { } previous && trusted.ContainsKey(previous) && canary.Endorsement is { } endorsement
                    && CryptographicOperations.FixedTimeEquals(endorsement, Endorse(opened[previous], canary)))
                {
                    trusted.TryAdd(canary.KeyId, canary.CreatedTime);
                }
            }
        }

        return
        [
            opened[rootKeyId],
            .. trusted.Where(entry => entry.Key != rootKeyId)
                .OrderBy(static entry => entry.Value)
                .ThenBy(static entry => entry.Key, StringComparer.Ordinal)
                .Select(entry => opened[entry.Key]),
        ];
    }

    private async Task<KeyCanary?> TryReadCanaryAsync(RepositoryKey key, CancellationToken cancellationToken)
    {
        string name = RepositoryKeys.Canary(key.Id);
        byte[] content;
        try
        {
            // Not disposed: it would dispose the store and the key.
            EncryptedObjectStore view = new(store, new RepositoryKeyring([key]));
            Stream stream = await view.OpenEncryptedAsync(name, 0, null, cancellationToken).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                content = await ReadLimitedAsync(stream, name, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (SmcException exception) when (exception.Code == SmcErrorCode.ObjectNotFound)
        {
            return null;
        }

        KeyCanary canary = Deserialize(content, KeyJson.Default.KeyCanary, name);
        return canary.KeyId == key.Id && canary.RepositoryId == repositoryId
            ? canary
            : throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{name}' is the canary of another key.", target: name);
    }

    private async Task<Recipient> ReadAsync(ObjectInfo info, CancellationToken cancellationToken)
    {
        Stream stream = await store.OpenReadAsync(info.Key, 0, null, cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            byte[] content = await ReadLimitedAsync(stream, info.Key, cancellationToken).ConfigureAwait(false);
            Recipient recipient = Deserialize(Envelope.OpenWhole(content, info.Key), KeyJson.Default.Recipient, info.Key);
            return recipient.Format == 1
                ? recipient
                : throw new SmcException(
                    SmcErrorCode.RepositoryFormatUnknown,
                    $"The key envelope '{info.Key}' has format {recipient.Format}, which this version does not know.",
                    target: info.Key);
        }
    }

    private static T Deserialize<T>(
        ReadOnlyMemory<byte> json, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type, string key)
    {
        try
        {
            return JsonSerializer.Deserialize(json.Span, type) ?? throw new JsonException("There is nothing in it.");
        }
        catch (JsonException exception)
        {
            throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' is not valid: {exception.Message}", exception, target: key);
        }
    }

    private static async Task<byte[]> ReadLimitedAsync(Stream stream, string key, CancellationToken cancellationToken)
    {
        byte[] content = new byte[MaximumDocumentLength + 1];
        int read = await stream.ReadAtLeastAsync(content, content.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
        return read <= MaximumDocumentLength
            ? content[..read]
            : throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' is far too long.", target: key);
    }

    private static byte[] Endorse(RepositoryKey previous, KeyCanary canary)
    {
        byte[] derived = new byte[RepositoryKey.Length];
        previous.Derive([], "SmcDr endorsement 1"u8, derived);
        try
        {
            return HMACSHA256.HashData(derived, Encoding.UTF8.GetBytes($"{canary.RepositoryId:D}\0{canary.KeyId}\0{canary.PreviousKeyId}"));
        }
        finally
        {
            CryptographicOperations.ZeroMemory(derived);
        }
    }

    private SmcException WrongKey(List<Recipient> recipients, RepositoryKeySource source, SmcException? problem)
    {
        string given = source switch
        {
            KeyFileSource => $"the key file {source.Fingerprint}",
            PassphraseSource => "the passphrase",
            _ => "the KMS key",
        };
        string known = recipients.Count == 0
            ? "no envelope of its first key can be read"
            : "its key is for " + string.Join(", ", recipients.Take(10).Select(Describe));
        return new SmcException(
            SmcErrorCode.KeyWrong,
            $"The repository {store.Location} does not open with {given} that was given: {known}.",
            problem,
            target: store.Location);
    }

    private static string Describe(Recipient recipient) => recipient.Kind switch
    {
        RecipientKind.KeyFile => $"'{recipient.Name}' (key file {recipient.Fingerprint})",
        RecipientKind.Passphrase => $"'{recipient.Name}' (passphrase)",
        _ => $"'{recipient.Name}' ({recipient.Fingerprint})",
    };

    [GeneratedRegex(@"\A[a-z0-9][a-z0-9._-]{0,62}\z", RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"\A[0-9a-f]{16}\z", RegexOptions.CultureInvariant)]
    private static partial Regex KeyIdPattern();
}
