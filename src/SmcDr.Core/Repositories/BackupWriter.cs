using System.Collections.Concurrent;
using SmcDr.Core.ObjectStores;

namespace SmcDr.Core.Repositories;

/// <summary>
/// Writes one backup in the order that keeps the repository right at every moment: claim, packs, manifest, marker. Disposed
/// without having completed, it removes what it wrote in the opposite order; killed, it leaves a backup without a marker,
/// which is listed as incomplete and never restored.
/// </summary>
public sealed class BackupWriter : IAsyncDisposable
{
    private static readonly TimeSpan s_cleanUpTime = TimeSpan.FromSeconds(30);

    private readonly IObjectStore _store;
    private readonly BackupStart _start;
    private readonly BackupWriterOptions _options;
    private readonly ConcurrentBag<OpenPack> _packs = [];
    private readonly ManifestSpool _entries;
    private int _lastPack;
    private long _storedBytes;
    private bool _marked;
    private bool _completed;

    internal BackupWriter(IObjectStore store, BackupStart start, BackupWriterOptions options)
    {
        _store = store;
        _start = start;
        _options = options;
        _entries = new ManifestSpool(start.Component, options);
    }

    /// <summary>The backup's id.</summary>
    public string Id => _start.Id;

    /// <summary>When the backup began.</summary>
    public DateTimeOffset StartTime => _start.StartTime;

    /// <summary>What has been added to the repository so far, in bytes.</summary>
    public long StoredBytes => Interlocked.Read(ref _storedBytes);

    /// <summary>A way in for one more worker.</summary>
    public PackLane OpenLane() => new(this, _options);

    /// <summary>Adds a finished entry. Safe for concurrent use.</summary>
    public void Add(ManifestEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        entry.ValidatePath();
        _entries.Add(entry);
    }

    /// <summary>Writes manifest and marker. Every lane must have been finished.</summary>
    /// <param name="kind"><c>Full</c>, <c>Incremental</c>, <c>Logical</c> or <c>Emergency</c>.</param>
    /// <param name="fill">Adds what only the caller knows to the header.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public async Task<BackupHeader> CompleteAsync(
        string kind, Func<BackupHeader, BackupHeader> fill, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(fill);
        BackupHeader header = fill(new BackupHeader
        {
            Id = Id,
            RepositoryId = _start.RepositoryId,
            Component = _start.Component,
            Kind = kind,
            StartTime = _start.StartTime,
            CompletedTime = DateTimeOffset.UtcNow,
            Label = _start.Label,
            Site = _start.Site,
            Parent = _start.Parent,
            Tool = Repository.ToolVersion,
            SizeBytes = _entries.Bytes,
            StoredBytes = StoredBytes,
            FileCount = _entries.Files,
        }) with
        {
            Uses = PackUse.From(Id, _entries.Packs()),
        };

        string manifestKey = RepositoryKeys.Manifest(_start.Component, Id);
        (long length, Hash256 hash, BlockCodec codec) = await ManifestWriter
            .WriteAsync(_store, manifestKey, header, _entries, _options, cancellationToken).ConfigureAwait(false);

        BackupMarker marker = new(Repository.FormatVersion, length, hash, BlockCodecs.NameOf(codec), header);
        await EnsureClaimAsync(cancellationToken).ConfigureAwait(false);
        _marked = true;
        await Repository.PutDocumentAsync(
            _store,
            RepositoryKeys.Complete(_start.Component, Id),
            marker,
            RepositoryJson.Default.BackupMarker,
            cancellationToken).ConfigureAwait(false);

        try
        {
            // Whoever took this backup for dead removed the claim first and looks for the marker then; here it is the other way round. So one
            // of the two sees the other, and no packs are removed under a backup that counts as complete.
            await EnsureClaimAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.BackupRemoved)
        {
            await _store.DeleteAsync(RepositoryKeys.Complete(_start.Component, Id), CancellationToken.None).ConfigureAwait(false);
            throw;
        }

        _completed = true;
        return header;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _entries.Dispose();
        if (_completed)
        {
            return;
        }

        _completed = true;
        using CancellationTokenSource limit = new(s_cleanUpTime);
        try
        {
            // The marker first: its own write may have succeeded with the answer lost.
            await _store.DeleteAsync(RepositoryKeys.Complete(_start.Component, Id), limit.Token).ConfigureAwait(false);
            await _store.DeleteAsync(RepositoryKeys.Manifest(_start.Component, Id), limit.Token).ConfigureAwait(false);

            // Once there was a marker, even for a moment, another backup may build on this one. The sweeper finds out, later.
            foreach (OpenPack pack in _marked ? [] : _packs.ToArray())
            {
                await _store.DeleteAsync(pack.Key, limit.Token).ConfigureAwait(false);
            }

            await _store.DeleteAsync(RepositoryKeys.Started(_start.Component, Id), limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SmcException or OperationCanceledException)
        {
            // What led here is thrown already and matters more. The backup has no marker, so it is listed as incomplete and
            // swept after its grace time.
        }
    }

    private async Task EnsureClaimAsync(CancellationToken cancellationToken)
    {
        if (await _store.GetInfoAsync(RepositoryKeys.Started(_start.Component, Id), cancellationToken).ConfigureAwait(false) is null)
        {
            throw new SmcException(
                SmcErrorCode.BackupRemoved,
                $"The backup '{Id}' was taken for dead and swept while it was still running.",
                recommendation: "Run the backup again, and let nothing sweep backups that are younger than a backup takes.",
                target: Id);
        }
    }

    internal async ValueTask<OpenPack> OpenPackAsync(CancellationToken cancellationToken)
    {
        int number = Interlocked.Increment(ref _lastPack);
        ObjectWriter writer = await _store
            .CreateAsync(RepositoryKeys.Pack(_start.Component, Id, number), cancellationToken).ConfigureAwait(false);
        OpenPack pack = new(_start.Component, Id, number, writer);
        _packs.Add(pack);
        return pack;
    }

    internal void CountStored(int bytes) => Interlocked.Add(ref _storedBytes, bytes);
}
