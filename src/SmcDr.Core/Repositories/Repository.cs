using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using SmcDr.Core.Copies;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Repositories;

/// <summary>Where backups live. The invariants that it keeps stand at the head of docs/repository-format.md.</summary>
public sealed partial class Repository
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

    /// <summary>Whether an object may make way for another of the same content, so that what a listing said of it does not hold.</summary>
    internal bool IsMoving { get; private init; }

    /// <summary>Where it is, and where its copies are that reading falls back to.</summary>
    public IEnumerable<string> Locations => _copies?.Locations ?? [Location];

    /// <summary>
    /// The same repository, whose backups and WAL are read from copies where it lacks them. For reading: what decides by this repository's
    /// own content what to write or to remove there takes it without.
    /// </summary>
    public Repository WithCopies(RepositoryCopies copies)
    {
        ArgumentNullException.ThrowIfNull(copies);
        return new Repository(this, copies);
    }

    /// <summary>The same repository, kept in another store: one that stands before its own, or holds a part of it.</summary>
    internal Repository Over(IObjectStore store, bool isMoving = false) =>
        new(store, _root, (Store as EncryptedObjectStore)?.Keyring) { IsMoving = isMoving };

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

    /// <summary>The complete backup of a component that began last of those that are meant; null where there is none.</summary>
    /// <param name="component">The component.</param>
    /// <param name="isMeant">Which count.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    internal async Task<BackupHeader?> FindNewestAsync(Component component, Func<BackupHeader, bool> isMeant, CancellationToken cancellationToken)
    {
        BackupHeader? newest = null;
        await foreach (BackupEntry entry in ListBackupsAsync(component, cancellationToken).ConfigureAwait(false))
        {
            if (entry.Header is { } header && isMeant(header) && !(newest?.StartTime > header.StartTime))
            {
                newest = header;
            }
        }

        return newest;
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
        catch (SmcException e) when (IsUnreadable(e))
        {
            problem = e;
        }

        BackupStart? start = null;
        try
        {
            start = await TryReadDocumentAsync(
                RepositoryKeys.Started(component, id), RepositoryJson.Default.BackupStart, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (IsUnreadable(e))
        {
            problem ??= e;
        }

        return start is null && problem is null ? null : new BackupEntry(component, id, null, start, problem) { IsEncrypted = IsEncrypted };
    }

    /// <summary>Whether a failure is of this one object: damaged, of a key that is not given, or written by a newer version. The others can be read.</summary>
    internal static bool IsUnreadable(SmcException e) => SmcErrors.IsDamage(e.Code) || IsForeign(e);

    /// <summary>Whether what cannot be read here is sound for all that is known: a newer version, or another key, reads it.</summary>
    internal static bool IsForeign(SmcException e) => e.Code is SmcErrorCode.KeyMissing or SmcErrorCode.RepositoryFormatUnknown;

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
}
