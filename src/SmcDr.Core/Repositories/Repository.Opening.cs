using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Repositories;

/// <content>Opening and creating repositories, in clear and encrypted.</content>
public sealed partial class Repository
{
    /// <summary>Opens a repository that is not encrypted.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.RepositoryNotFound"/> where there is none.</exception>
    public static Task<Repository> OpenAsync(IObjectStore store, CancellationToken cancellationToken) =>
        OpenAsync(store, null, cancellationToken);

    /// <inheritdoc cref="OpenAsync(IObjectStore, RepositoryKeySource?, Action{string}?, CancellationToken)"/>
    public static Task<Repository> OpenAsync(IObjectStore store, RepositoryKeySource? key, CancellationToken cancellationToken) =>
        OpenAsync(store, key, null, cancellationToken);

    /// <summary>Opens a repository.</summary>
    /// <param name="store">Where it is.</param>
    /// <param name="key">What opens it; null for one that is not encrypted. Whoever gives a key is never given a repository in clear.</param>
    /// <param name="problem">Hears of what is damaged and does not keep it from being opened.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.RepositoryNotFound"/>, <see cref="SmcErrorCode.KeyMissing"/>, <see cref="SmcErrorCode.KeyWrong"/> or
    /// <see cref="SmcErrorCode.RepositoryNotEncrypted"/>.
    /// </exception>
    public static async Task<Repository> OpenAsync(
        IObjectStore store, RepositoryKeySource? key, Action<string>? problem, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(store);
        RepositoryRoot root = await ReadRootAsync(store, cancellationToken).ConfigureAwait(false);
        return await OpenAsync(store, root, key, problem, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc cref="OpenOrCreateAsync(IObjectStore, RepositoryKeySource?, Action{string}?, CancellationToken)"/>
    public static Task<Repository> OpenOrCreateAsync(IObjectStore store, CancellationToken cancellationToken) =>
        OpenOrCreateAsync(store, null, cancellationToken);

    /// <inheritdoc cref="OpenOrCreateAsync(IObjectStore, RepositoryKeySource?, Action{string}?, CancellationToken)"/>
    public static Task<Repository> OpenOrCreateAsync(IObjectStore store, RepositoryKeySource? key, CancellationToken cancellationToken) =>
        OpenOrCreateAsync(store, key, null, cancellationToken);

    /// <summary>Opens a repository, or creates it where there is none: encrypted where a key is given. Two that create at once end with one.</summary>
    /// <param name="store">Where it is.</param>
    /// <param name="key">What opens it; null for one that is not encrypted.</param>
    /// <param name="problem">Hears of what is damaged and does not keep it from being opened.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<Repository> OpenOrCreateAsync(
        IObjectStore store, RepositoryKeySource? key, Action<string>? problem, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(store);
        if (await TryReadRootAsync(store, cancellationToken).ConfigureAwait(false) is { } existing)
        {
            return await OpenAsync(store, existing, key, problem, cancellationToken).ConfigureAwait(false);
        }

        EnsureMayBeCreated(store);
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
    internal static async Task<RepositoryRoot> ReadRootAsync(IObjectStore store, CancellationToken cancellationToken)
    {
        if (await TryReadRootAsync(store, cancellationToken).ConfigureAwait(false) is { } root)
        {
            return root;
        }

        EnsureMayBeCreated(store);
        throw new SmcException(SmcErrorCode.RepositoryNotFound, $"There is no repository at {store.Location}.", target: store.Location);
    }

    /// <summary>Throws where a location without a repository is one that cannot be seen now: an empty mount point.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.StorageUnavailable"/>.</exception>
    internal static void EnsureMayBeCreated(IObjectStore store) => (store as DirectoryObjectStore)?.EnsureMounted();

    /// <summary>The id of the repository in a store; null where there is none.</summary>
    internal static async Task<Guid?> TryReadIdAsync(IObjectStore store, CancellationToken cancellationToken) =>
        (await TryReadRootAsync(store, cancellationToken).ConfigureAwait(false))?.Id;

    private static async Task<Repository> OpenAsync(
        IObjectStore store, RepositoryRoot root, RepositoryKeySource? key, Action<string>? problem, CancellationToken cancellationToken)
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
            store, root, await new KeyFolder(store, root.Id).OpenAsync(root.KeyId, key, problem, cancellationToken).ConfigureAwait(false));
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

            return await OpenAsync(store, winner, source, null, cancellationToken).ConfigureAwait(false);
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

    private static async Task<RepositoryRoot?> TryReadRootAsync(IObjectStore store, CancellationToken cancellationToken)
    {
        RepositoryRoot? root;
        try
        {
            root = await ReadAsync().ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code is SmcErrorCode.ManifestInvalid or SmcErrorCode.ChecksumMismatch or SmcErrorCode.ObjectTruncated)
        {
            // No copy is known yet that could be asked instead. One answer may be wrong: cut short, or a gateway's error page that came as a success.
            root = await ReadAsync().ConfigureAwait(false);
        }

        return root is null || root.Format <= FormatVersion
            ? root
            : throw new SmcException(
                SmcErrorCode.RepositoryFormatUnknown,
                $"The repository at {store.Location} has format {root.Format}; this version knows up to {FormatVersion}.",
                target: store.Location);

        Task<RepositoryRoot?> ReadAsync() =>
            TryReadDocumentAsync(store, RepositoryKeys.Root, RepositoryJson.Default.RepositoryRoot, cancellationToken);
    }
}
