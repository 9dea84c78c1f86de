using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using SmcDr.Core.Copies;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Repositories;

/// <summary>Where backups live. The invariants that it keeps stand at the head of docs/repository-format.md.</summary>
public sealed class Repository
{
    /// <summary>The format that this version writes, and the newest that it reads.</summary>
    public const int FormatVersion = 1;

    /// <summary>No block is longer, so that nothing that is read can ask for more memory.</summary>
    public const int MaximumBlockLength = 16 << 20;

    private const int MaximumDocumentLength = 16 << 20;

    private static readonly TimeSpan s_withdrawTime = TimeSpan.FromSeconds(30);

    private readonly RepositoryRoot _root;
    private readonly RepositoryCopies.Set? _copies;

    private Repository(IObjectStore store, RepositoryRoot root, RepositoryKeyring? keyring)
    {
        RawStore = store;
        Store = keyring is null ? store : new EncryptedObjectStore(store, keyring);
        _root = root;
    }

    private Repository(Repository repository, RepositoryCopies copies)
    {
        RawStore = repository.RawStore;
        Store = repository.Store;
        _root = repository._root;
        _copies = copies.AttachTo(repository);
    }

    /// <summary>The version of SmcDr.</summary>
    public static string ToolVersion { get; } =
        typeof(Repository).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    /// <summary>What it is kept in, as those see it who have the key.</summary>
    public IObjectStore Store { get; }

    /// <summary>Its identity.</summary>
    public Guid Id => _root.Id;

    /// <summary>Where it is.</summary>
    public string Location => Store.Location;

    /// <summary>Whether all objects, but for the root and the key envelopes, are encrypted.</summary>
    public bool IsEncrypted => _root.Encryption is not null;

    /// <summary>What it is kept in, as it is stored.</summary>
    internal IObjectStore RawStore { get; }

    /// <summary>Where it is, and where its copies are that reading falls back to.</summary>
    public IEnumerable<string> Locations => _copies?.Locations ?? [Location];

    /// <summary>Opens a repository that is not encrypted.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.RepositoryNotFound"/> where there is none.</exception>
    public static Task<Repository> OpenAsync(IObjectStore store, CancellationToken cancellationToken) =>
        OpenAsync(store, null, cancellationToken);

    /// <summary>Opens a repository.</summary>
    /// <param name="store">Where it is.</param>
    /// <param name="key">What opens it; null for one that is not encrypted. Whoever gives a key is never given a repository in clear.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.RepositoryNotFound"/>, <see cref="SmcErrorCode.KeyMissing"/>, <see cref="SmcErrorCode.KeyWrong"/> or
    /// <see cref="SmcErrorCode.RepositoryNotEncrypted"/>.
    /// </exception>
    public static async Task<Repository> OpenAsync(IObjectStore store, RepositoryKeySource? key, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(store);
        RepositoryRoot root = await ReadRootAsync(store, cancellationToken).ConfigureAwait(false);
        return await OpenAsync(store, root, key, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc cref="OpenOrCreateAsync(IObjectStore, RepositoryKeySource?, CancellationToken)"/>
    public static Task<Repository> OpenOrCreateAsync(IObjectStore store, CancellationToken cancellationToken) =>
        OpenOrCreateAsync(store, null, cancellationToken);

    /// <summary>Opens a repository, or creates it where there is none: encrypted where a key is given. Two that create at once end with one.</summary>
    public static async Task<Repository> OpenOrCreateAsync(IObjectStore store, RepositoryKeySource? key, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(store);
        if (await TryReadRootAsync(store, cancellationToken).ConfigureAwait(false) is { } existing)
        {
            return await OpenAsync(store, existing, key, cancellationToken).ConfigureAwait(false);
        }

        RepositoryRoot root = new(FormatVersion, Guid.NewGuid(), DateTimeOffset.UtcNow, ToolVersion);
        if (key is not null)
        {
            return await CreateEncryptedAsync(store, root, key, cancellationToken).ConfigureAwait(false);
        }

        return await TryPutRootAsync(store, root, cancellationToken).ConfigureAwait(false)
            ? new Repository(store, root, null)
            : await OpenAsync(store, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The root, without which there is no repository.</summary>
    internal static async Task<RepositoryRoot> ReadRootAsync(IObjectStore store, CancellationToken cancellationToken) =>
        await TryReadRootAsync(store, cancellationToken).ConfigureAwait(false)
            ?? throw new SmcException(
                SmcErrorCode.RepositoryNotFound, $"There is no repository at {store.Location}.", target: store.Location);

    /// <summary>
    /// The same repository, whose backups and WAL are read from copies where it lacks them. For reading: what decides by this repository's
    /// own content what to write or to remove there takes it without.
    /// </summary>
    public Repository WithCopies(RepositoryCopies copies)
    {
        ArgumentNullException.ThrowIfNull(copies);
        return new Repository(this, copies);
    }

    /// <summary>Begins a backup: claims an id that nobody else has.</summary>
    /// <param name="component">The component.</param>
    /// <param name="kind"><c>Full</c>, <c>Incremental</c>, <c>Logical</c> or <c>Emergency</c>.</param>
    /// <param name="label">The operator's label.</param>
    /// <param name="site">The site's name.</param>
    /// <param name="systemId">PostgreSQL's system identifier.</param>
    /// <param name="options">How it is written.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task<BackupWriter> BeginBackupAsync(
        Component component,
        string kind,
        string? label,
        string? site,
        string? systemId,
        BackupWriterOptions? options,
        CancellationToken cancellationToken)
    {
        // An id is a second. Where two backups begin in the same one, the claim decides, and the other takes the next.
        TimeProvider clock = options?.Time ?? TimeProvider.System;
        for (DateTimeOffset time = clock.GetUtcNow(); ; time = time.AddSeconds(1))
        {
            string id = RepositoryKeys.NewId(time, kind);
            if (await IsTakenAsync(component, id, cancellationToken).ConfigureAwait(false))
            {
                continue;
            }

            BackupStart start = new()
            {
                Id = id,
                RepositoryId = Id,
                Component = component,
                Kind = kind,
                StartTime = clock.GetUtcNow(),
                Label = label,
                Site = site,
                SystemId = systemId,
                Parent = options?.Parent,
                Host = Environment.MachineName,
                ProcessId = Environment.ProcessId,
            };
            try
            {
                await PutDocumentAsync(
                    Store,
                    RepositoryKeys.Started(component, start.Id),
                    start,
                    RepositoryJson.Default.BackupStart,
                    cancellationToken).ConfigureAwait(false);
                await EnsureParentStaysAsync(start, cancellationToken).ConfigureAwait(false);
                return new BackupWriter(Store, start, options ?? new BackupWriterOptions());
            }
            catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
            {
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
    }

    /// <summary>All backups of a component, oldest first, the incomplete ones among them.</summary>
    public async IAsyncEnumerable<BackupEntry> ListBackupsAsync(
        Component component, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string folder = RepositoryKeys.ComponentFolder(component) + "/";
        await foreach (string id in ListFoldersAsync(folder, cancellationToken).ConfigureAwait(false))
        {
            if (RepositoryKeys.IsId(id))
            {
                BackupEntry? entry = await TryFindAsync(component, id, cancellationToken).ConfigureAwait(false);
                if (entry is not null)
                {
                    yield return entry;
                }
            }
        }
    }

    /// <summary>One backup as a listing finds it; null where nothing has its id.</summary>
    public async Task<BackupEntry?> TryFindAsync(Component component, string id, CancellationToken cancellationToken)
    {
        SmcException? problem = null;
        try
        {
            BackupMarker? marker = await TryReadMarkerAsync(component, id, cancellationToken).ConfigureAwait(false);
            if (marker is not null)
            {
                return new BackupEntry(component, id, marker.Header, null, null) { IsEncrypted = IsEncrypted };
            }
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code) || e.Code == SmcErrorCode.KeyMissing)
        {
            problem = e;
        }

        BackupStart? start = null;
        try
        {
            start = await TryReadDocumentAsync(
                RepositoryKeys.Started(component, id), RepositoryJson.Default.BackupStart, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code) || e.Code == SmcErrorCode.KeyMissing)
        {
            problem ??= e;
        }

        return start is null && problem is null ? null : new BackupEntry(component, id, null, start, problem) { IsEncrypted = IsEncrypted };
    }

    /// <summary>
    /// Whether anything is in a backup's folder. Of a backup that was removed there may be packs which others need, and a new one of its id
    /// would have others under the same names.
    /// </summary>
    private async Task<bool> IsTakenAsync(Component component, string id, CancellationToken cancellationToken)
    {
        await foreach (ObjectInfo _ in Store.ListAsync(RepositoryKeys.Backup(component, id), cancellationToken).ConfigureAwait(false))
        {
            return true;
        }

        return false;
    }

    /// <summary>The view that users see of a complete backup.</summary>
    public BackupInfo Describe(BackupHeader header)
    {
        ArgumentNullException.ThrowIfNull(header);
        return new BackupEntry(header.Component, header.Id, header, null, null) { IsEncrypted = IsEncrypted }.ToInfo(Location);
    }

    /// <summary>Opens a complete backup for reading.</summary>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.BackupNotFound"/>, <see cref="SmcErrorCode.BackupIncomplete"/>, or the damage of its marker.
    /// </exception>
    public async Task<BackupReader> OpenBackupAsync(Component component, string id, CancellationToken cancellationToken)
    {
        BackupMarker? marker = await TryReadMarkerAsync(component, id, cancellationToken).ConfigureAwait(false);
        if (marker is null)
        {
            bool started = await TryFindAsync(component, id, cancellationToken).ConfigureAwait(false) is not null;
            throw started
                ? new SmcException(SmcErrorCode.BackupIncomplete, $"The backup '{id}' was never completed.", target: id)
                : new SmcException(SmcErrorCode.BackupNotFound, $"There is no backup '{id}' in {Location}.", target: id);
        }

        return new BackupReader(this, marker);
    }

    /// <summary>The id of the repository in a store; null where there is none.</summary>
    internal static async Task<Guid?> TryReadIdAsync(IObjectStore store, CancellationToken cancellationToken) =>
        (await TryReadRootAsync(store, cancellationToken).ConfigureAwait(false))?.Id;

    internal static async Task PutDocumentAsync<T>(
        IObjectStore store, string key, T document, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        await store.PutAsync(key, Envelope.Seal(JsonSerializer.SerializeToUtf8Bytes(document, type)), cancellationToken)
            .ConfigureAwait(false);

    /// <summary>Reads an object from here, or else from a copy: from the first place that gives it whole and right.</summary>
    /// <param name="key">The object.</param>
    /// <param name="read">Reads it from a store, and throws where it is missing or not right.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <param name="mayBeAbsent">Whether it is no news that it is not here.</param>
    internal Task<T> ReadAsync<T>(
        string key,
        Func<IObjectStore, CancellationToken, Task<T>> read,
        CancellationToken cancellationToken,
        bool mayBeAbsent = false) =>
        _copies is null ? read(Store, cancellationToken) : _copies.ReadAsync(key, read, mayBeAbsent, cancellationToken);

    /// <summary>The objects below a prefix, here and in the copies.</summary>
    internal async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (_copies is null)
        {
            await foreach (ObjectInfo info in Store.ListAsync(prefix, cancellationToken).ConfigureAwait(false))
            {
                yield return info;
            }

            yield break;
        }

        foreach (ObjectInfo info in (await _copies.ListAsync(
            store => store.ListAsync(prefix, cancellationToken), static info => info.Key, cancellationToken).ConfigureAwait(false)).Values)
        {
            yield return info;
        }
    }

    /// <summary>The folders directly below a prefix, here and in the copies.</summary>
    internal async IAsyncEnumerable<string> ListFoldersAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (_copies is null)
        {
            await foreach (string folder in Store.ListFoldersAsync(prefix, cancellationToken).ConfigureAwait(false))
            {
                yield return folder;
            }

            yield break;
        }

        foreach (string folder in (await _copies.ListAsync(
            store => store.ListFoldersAsync(prefix, cancellationToken), static folder => folder, cancellationToken).ConfigureAwait(false)).Keys)
        {
            yield return folder;
        }
    }

    internal async Task<T?> TryReadDocumentAsync<T>(
        string key, JsonTypeInfo<T> type, CancellationToken cancellationToken, Action<T>? check = null)
        where T : class
    {
        try
        {
            return await ReadAsync(
                key,
                async (store, token) =>
                {
                    T document = await TryReadDocumentAsync(store, key, type, token).ConfigureAwait(false) ?? throw new SmcException(
                        SmcErrorCode.ObjectNotFound, $"There is no object '{key}' in {store.Location}.", target: key);
                    check?.Invoke(document);
                    return document;
                },
                cancellationToken,
                mayBeAbsent: true).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectNotFound)
        {
            return null;
        }
    }

    private static async Task<Repository> OpenAsync(
        IObjectStore store, RepositoryRoot root, RepositoryKeySource? key, CancellationToken cancellationToken)
    {
        if (root.Encryption is null)
        {
            // The root is in clear, and whoever can write to the store can replace it. That a repository must be encrypted is the site's word.
            return key is null
                ? new Repository(store, root, null)
                : throw new SmcException(
                    SmcErrorCode.RepositoryNotEncrypted,
                    $"A key is given for the repository at {store.Location}, which is not encrypted.",
                    target: store.Location);
        }

        if (key is null)
        {
            throw new SmcException(
                SmcErrorCode.KeyMissing,
                $"The repository at {store.Location} is encrypted, and no key is given.",
                target: store.Location);
        }

        if (root.Encryption != RepositoryRoot.FrameEncryption || root.KeyId is null)
        {
            throw new SmcException(
                SmcErrorCode.RepositoryFormatUnknown,
                $"The repository at {store.Location} is encrypted with '{root.Encryption}', which this version does not know.",
                target: store.Location);
        }

        return new Repository(
            store, root, await new KeyFolder(store, root.Id).OpenAsync(root.KeyId, key, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>
    /// Makes key, envelope and canary, and the root last: from then on there is a repository, and it names its key. Of two that create at
    /// once, one root wins; the other one's key was never used for anything. So is one that an interrupted creation has left: it belongs
    /// to a repository that never came to be.
    /// </summary>
    private static async Task<Repository> CreateEncryptedAsync(
        IObjectStore store, RepositoryRoot root, RepositoryKeySource source, CancellationToken cancellationToken)
    {
        KeyFolder folder = new(store, root.Id);
        RepositoryKey? key = RepositoryKey.Create();
        try
        {
            string name = source.DefaultName;
            await folder.AddAsync(key, source, name, cancellationToken).ConfigureAwait(false);
            await folder.PutCanaryAsync(key, null, cancellationToken).ConfigureAwait(false);
            root = root with { Encryption = RepositoryRoot.FrameEncryption, KeyId = key.Id };
            if (await TryPutRootAsync(store, root, cancellationToken).ConfigureAwait(false))
            {
                Repository repository = new(store, root, new RepositoryKeyring([key]));
                key = null;
                return repository;
            }

            RepositoryRoot winner = await ReadRootAsync(store, cancellationToken).ConfigureAwait(false);
            if (winner.Id != root.Id)
            {
                try
                {
                    await folder.AbandonAsync(key.Id, name, cancellationToken).ConfigureAwait(false);
                }
                catch (SmcException)
                {
                    // Storage that keeps what is written keeps this as well. It opens nothing.
                }
            }

            return await OpenAsync(store, winner, source, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            key?.Dispose();
        }
    }

    private static async Task<bool> TryPutRootAsync(IObjectStore store, RepositoryRoot root, CancellationToken cancellationToken)
    {
        try
        {
            await PutDocumentAsync(store, RepositoryKeys.Root, root, RepositoryJson.Default.RepositoryRoot, cancellationToken)
                .ConfigureAwait(false);
            return true;
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
        {
            return false;
        }
    }

    /// <summary>
    /// Whoever removes a backup removes its marker first and reads the claims then; here the claim stands before the marker is looked for.
    /// So one of the two sees the other, and a backup never refers to packs that are being removed.
    /// </summary>
    private async Task EnsureParentStaysAsync(BackupStart start, CancellationToken cancellationToken)
    {
        if (start.Parent is not { } parent)
        {
            return;
        }

        try
        {
            // In this order: the marker of a backup that is swept as dead may be seen for a moment, but only after its claim is gone.
            if (await Store.GetInfoAsync(RepositoryKeys.Complete(start.Component, parent), cancellationToken).ConfigureAwait(false) is not null &&
                await Store.GetInfoAsync(RepositoryKeys.Started(start.Component, parent), cancellationToken).ConfigureAwait(false) is not null)
            {
                return;
            }
        }
        catch
        {
            using CancellationTokenSource limit = new(s_withdrawTime);
            try
            {
                await Store.DeleteAsync(RepositoryKeys.Started(start.Component, start.Id), limit.Token).ConfigureAwait(false);
            }
            catch (Exception e) when (e is SmcException or OperationCanceledException)
            {
                // What led here matters more; a claim that nothing follows is swept after its grace time.
            }

            throw;
        }

        await Store.DeleteAsync(RepositoryKeys.Started(start.Component, start.Id), cancellationToken).ConfigureAwait(false);
        throw new SmcException(
            SmcErrorCode.BackupRemoved,
            $"The backup '{parent}', on which a new one was to build, is not there any more.",
            recommendation: "Run the backup again: it will build on another one; where it does not, ask for a full one.",
            target: parent);
    }

    private static async Task<T?> TryReadDocumentAsync<T>(
        IObjectStore store, string key, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class
    {
        byte[] content;
        try
        {
            Stream stream = await store.OpenReadAsync(key, 0, null, cancellationToken).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                content = await ReadLimitedAsync(stream, key, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectNotFound)
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(Envelope.OpenWhole(content, key).Span, type);
        }
        catch (JsonException e)
        {
            throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' is not valid: {e.Message}", e, target: key);
        }
    }

    private static async Task<byte[]> ReadLimitedAsync(Stream stream, string key, CancellationToken cancellationToken)
    {
        using MemoryStream memory = new();
        byte[] buffer = new byte[32 << 10];
        int read;
        while ((read = await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            memory.Write(buffer, 0, read);
            if (memory.Length > MaximumDocumentLength)
            {
                throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' is far too long.", target: key);
            }
        }

        return memory.ToArray();
    }

    private static async Task<RepositoryRoot?> TryReadRootAsync(IObjectStore store, CancellationToken cancellationToken)
    {
        RepositoryRoot? root = await TryReadDocumentAsync(
            store, RepositoryKeys.Root, RepositoryJson.Default.RepositoryRoot, cancellationToken).ConfigureAwait(false);
        return root is null || root.Format <= FormatVersion
            ? root
            : throw new SmcException(
                SmcErrorCode.RepositoryFormatUnknown,
                $"The repository at {store.Location} has format {root.Format}; this version knows up to {FormatVersion}.",
                target: store.Location);
    }

    /// <summary>The header of a complete backup; null where there is no marker.</summary>
    internal async Task<BackupHeader?> TryReadHeaderAsync(Component component, string id, CancellationToken cancellationToken) =>
        (await TryReadMarkerAsync(component, id, cancellationToken).ConfigureAwait(false))?.Header;

    private Task<BackupMarker?> TryReadMarkerAsync(Component component, string id, CancellationToken cancellationToken)
    {
        string key = RepositoryKeys.Complete(component, id);
        return TryReadDocumentAsync(key, RepositoryJson.Default.BackupMarker, cancellationToken, marker =>
        {
            if (marker.Format > FormatVersion)
            {
                throw new SmcException(
                    SmcErrorCode.RepositoryFormatUnknown,
                    $"The backup '{id}' has format {marker.Format}, which this version does not know.",
                    target: id);
            }

            // A marker that was copied to another place, or from another repository, is not this backup's.
            if (marker.Header.Id != id || marker.Header.Component != component || marker.Header.RepositoryId != Id)
            {
                throw new SmcException(SmcErrorCode.ManifestInvalid, $"The object '{key}' is the marker of another backup.", target: key);
            }
        });
    }
}
