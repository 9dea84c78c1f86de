using System.Diagnostics;
using System.Runtime.ExceptionServices;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal.Spilling;

/// <summary>
/// Keeps a stream going while its repository is full or cannot be reached: what is received goes to a directory of this host, durable, and
/// from there to the repository in the same order as soon as that can take it.
/// </summary>
internal sealed class WalSpill : IAsyncDisposable
{
    // A call into a file system that hangs cannot be ended.
    private static readonly TimeSpan s_stopTime = TimeSpan.FromSeconds(10);

    private readonly Repository _target;
    private readonly SpillDirectory _directory;
    private readonly SpillingObjectStore _store;
    private readonly WalSpillOptions _options;
    private readonly ulong _systemId;
    private readonly IOperationObserver _observer;
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _failed = new();
    private readonly Lock _lock = new();

    // What was damaged in the repository, each once: storage that damages whatever it is given ends the stream.
    private readonly HashSet<string> _replaced = new(StringComparer.Ordinal);
    private Task _bringing = Task.CompletedTask;
    private Func<CancellationToken, Task>? _beforeWrite;
    private Func<CancellationToken, Task>? _afterWrite;
    private Action? _changed;
    private Func<string?>? _serverState;
    private DateTimeOffset? _since;
    private long _brought;
    private int _level;
    private long? _reminded;
    private bool _isStarted;

    private WalSpill(Repository target, SpillDirectory directory, ulong systemId, WalSpillOptions options, IOperationObserver observer)
    {
        (_target, _directory, _systemId, _options, _observer) = (target, directory, systemId, options, observer);
        _store = new SpillingObjectStore(target.RawStore, directory, systemId, options) { Spilled = OnSpilled };
        Repository = target.Over(_store, isMoving: true);
        Local = target.Over(new SpilledObjectStore(directory));
        _since = directory.First?.Time;
    }

    /// <summary>The repository with what is spilled in it: for the stream.</summary>
    public Repository Repository { get; }

    /// <summary>What is spilled alone.</summary>
    public Repository Local { get; }

    /// <summary>Whether WAL goes to the spill.</summary>
    public bool IsActive => _store.IsActive;

    /// <summary>What is spilled, in bytes.</summary>
    public long Bytes => _directory.Bytes;

    /// <summary>Where it is.</summary>
    public string Path => _directory.Path;

    /// <summary>Cancelled when what is spilled cannot be brought whatever is waited for.</summary>
    public CancellationToken Failed => _failed.Token;

    /// <summary>How it stands.</summary>
    public SpillFacts Facts
    {
        get
        {
            lock (_lock)
            {
                return new SpillFacts(_directory.Path, _directory.Bytes, _since, _store.IsFull, _store.Reason?.Message);
            }
        }
    }

    /// <summary>Opens a spill, and takes up what an earlier process has left in it.</summary>
    public static async Task<WalSpill> OpenAsync(
        Repository repository, ulong systemId, long epoch, WalSpillOptions options, IOperationObserver observer, CancellationToken cancellationToken)
    {
        SpillDirectory directory = await SpillDirectory
            .OpenAsync(options.Directory, repository, systemId, epoch, cancellationToken).ConfigureAwait(false);
        WalSpill spill = new(repository, directory, systemId, options, observer);
        if (directory.Bytes > 0)
        {
            observer.Warning(
                $"'{directory.Path}' holds {DisplayText.Size(directory.Bytes)} of WAL that an earlier stream spilled since " +
                $"{DisplayText.Time(spill._since)}. It is brought to {repository.Location} before any other.");
        }

        return spill;
    }

    /// <summary>Begins to bring what is spilled, and goes on until disposed of.</summary>
    /// <param name="beforeWrite">What it throws keeps an object from being brought.</param>
    /// <param name="afterWrite">What it throws keeps an object from counting as brought.</param>
    /// <param name="changed">Is called when something was spilled or brought.</param>
    /// <param name="serverState">What the server can still hold, as a sentence; null where that is not known.</param>
    public void Start(
        Func<CancellationToken, Task> beforeWrite, Func<CancellationToken, Task> afterWrite, Action changed, Func<string?> serverState)
    {
        if (!_isStarted)
        {
            (_isStarted, _beforeWrite, _afterWrite, _changed, _serverState) = (true, beforeWrite, afterWrite, changed, serverState);
            _bringing = Task.Run(RunAsync, CancellationToken.None);
        }
    }

    /// <summary>Brings what an earlier process has spilled, all of it, and fails where that cannot be.</summary>
    public async Task BringAllAsync(
        Func<CancellationToken, Task> beforeWrite, Func<CancellationToken, Task> afterWrite, CancellationToken cancellationToken)
    {
        (_beforeWrite, _afterWrite) = (beforeWrite, afterWrite);
        while (_directory.First is { } item)
        {
            await BringAsync(item, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Lets what is received next go to the spill, since the repository was found to be away.</summary>
    public void Begin(SmcException reason) => _store.Begin(reason);

    /// <summary>Up to where WAL is in the repository, of what is durable up to a position.</summary>
    public Lsn FindStored(Lsn durable, int segmentSize) => _directory.FindStart(segmentSize) is { } start && start < durable ? start : durable;

    /// <summary>Throws where what is spilled cannot be brought.</summary>
    public void ThrowIfFailed()
    {
        if (_bringing.IsFaulted)
        {
            ExceptionDispatchInfo.Throw(_bringing.Exception!.InnerException!);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await Task.WhenAny(_bringing, Task.Delay(s_stopTime)).ConfigureAwait(false);
        if (_bringing.IsCompleted)
        {
            _directory.Dispose();
            _stop.Dispose();
            _failed.Dispose();
        }
    }

    private static bool IsPassing(SmcException e) => SpillingObjectStore.IsAway(e) || e.Code is
        SmcErrorCode.OperationTimedOut or SmcErrorCode.ObjectNotFound or SmcErrorCode.ObjectTruncated;

    private async Task RunAsync()
    {
        try
        {
            await BringAsync(_stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // What is left is taken up by the next stream on this host.
        }
        catch (Exception e)
        {
            _store.Fail(e as SmcException ?? new SmcException(SmcErrorCode.InternalError, $"Spilled WAL cannot be brought: {e.Message}", e));
            await _failed.CancelAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async Task BringAsync(CancellationToken cancellationToken)
    {
        TimeSpan delay = _options.RetryDelay;
        while (true)
        {
            SpilledWal item = await _store.WaitForFirstAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                await BringAsync(item, cancellationToken).ConfigureAwait(false);
                delay = _options.RetryDelay;
            }
            catch (SmcException e) when (IsPassing(e))
            {
                Tell(e, delay);
                await Task.Delay(delay, cancellationToken).ConfigureAwait(false);
                delay = TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, _options.MaximumRetryDelay.Ticks));
            }
        }
    }

    /// <summary>Says why nothing is brought; where only a person can change that, again and again.</summary>
    private void Tell(SmcException e, TimeSpan delay)
    {
        if (e.Code == SmcErrorCode.StorageAccessDenied && (_reminded is not { } last || Stopwatch.GetElapsedTime(last) >= _options.ReminderInterval))
        {
            _reminded = Stopwatch.GetTimestamp();
            _observer.Warning(
                $"{DisplayText.Size(_directory.Bytes)} of WAL are in '{_directory.Path}' on this host only, and {_target.Location} still refuses them: " +
                $"{e.Message} {e.Recommendation}");
            return;
        }

        _observer.Verbose($"Spilled WAL cannot be brought to {_target.Location} and will be tried again in {DisplayText.Duration(delay)}: {e.Message}");
    }

    /// <summary>Brings one object: stored where it is missing, compared with what is there, and only then removed here.</summary>
    private async Task BringAsync(SpilledWal item, CancellationToken cancellationToken)
    {
        byte[] stored;
        StoredWal own;
        try
        {
            stored = await ReadRawAsync(Local.RawStore, item.Key, cancellationToken).ConfigureAwait(false);
            own = await ReadContentAsync(Local, item, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (_directory.Find(item.Key) != item)
        {
            // A longer object has replaced it meanwhile.
            _observer.Verbose(e.Message);
            return;
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
        {
            throw new SmcException(
                e.Code,
                $"The spilled WAL object '{item.Wal.Name}' in '{_directory.Path}' is damaged, and is not brought to the repository: {e.Message}",
                e,
                recommendation: $"Check the disk of this host. Move the file '{item.Wal.Name}' out of '{_directory.Path}' and start the stream again: it " +
                    "asks the server for what is missing then. If the server does not have it any more, take a new base backup at once.",
                target: item.Key);
        }

        await (_beforeWrite?.Invoke(cancellationToken) ?? Task.CompletedTask).ConfigureAwait(false);
        await _store.AnnounceAsync(item, cancellationToken).ConfigureAwait(false);
        try
        {
            await _target.RawStore.PutAsync(item.Key, stored, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.ObjectExists)
        {
            // An answer was lost before, or somebody else has brought it. What is there is compared like what was just written.
        }

        byte[] found = await ReadRawAsync(_target.RawStore, item.Key, cancellationToken).ConfigureAwait(false);
        StoredWal theirs = own;
        try
        {
            theirs = found.AsSpan().SequenceEqual(stored) ? own : await ReadContentAsync(_target, item, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code) && _replaced.Add(item.Key))
        {
            if (await DamagedWal.MoveAsideAsync(_target, _systemId, item.Wal, cancellationToken).ConfigureAwait(false) is { } aside)
            {
                _observer.Warning($"{e.Message} What is there lies under '{aside}' now, and '{item.Wal.Name}' is stored again. Check the storage.");
            }

            // It is still the first here, and is brought again.
            return;
        }

        if (theirs.Head.Length != own.Head.Length || theirs.Head.Sha256 != own.Head.Sha256)
        {
            throw new SmcException(
                SmcErrorCode.WalDuplicate,
                $"'{item.Wal.Name}' of the database cluster {_systemId} is in {_target.Location} with other content than what was received and spilled " +
                $"to '{_directory.Path}'. Neither was changed.",
                recommendation: "Find out which other server of the same identity was archived there: two of them have written the same timeline. Keep the " +
                    "spill directory until that is clear.",
                target: item.Key);
        }

        await (_afterWrite?.Invoke(cancellationToken) ?? Task.CompletedTask).ConfigureAwait(false);
        await _store.RemoveBroughtAsync(item, cancellationToken).ConfigureAwait(false);
        _brought += item.Length;
        if (!_store.IsActive)
        {
            End();
            try
            {
                await _store.RemoveSuperfluousAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e)
            {
                // They do no harm, and retention removes them.
                _observer.Verbose($"Pieces of WAL segments stay although these are complete: {e.Message}");
            }
        }

        _changed?.Invoke();
    }

    private async Task<StoredWal> ReadContentAsync(Repository repository, SpilledWal item, CancellationToken cancellationToken)
    {
        ObjectInfo info = await repository.Store.GetInfoAsync(item.Key, cancellationToken).ConfigureAwait(false)
            ?? throw new SmcException(SmcErrorCode.ObjectNotFound, $"There is no object '{item.Key}' in {repository.Location}.", target: item.Key);
        return (await WalObject.ReadAsync(repository, _systemId, item.Wal, info, null, cancellationToken).ConfigureAwait(false)).Stored;
    }

    private static async Task<byte[]> ReadRawAsync(IObjectStore store, string key, CancellationToken cancellationToken)
    {
        Stream stream = await store.OpenReadAsync(key, 0, null, cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            using MemoryStream memory = new();
            await stream.CopyToAsync(memory, cancellationToken).ConfigureAwait(false);
            return memory.ToArray();
        }
    }

    private void OnSpilled()
    {
        SmcException? begun = null;
        int level;
        int former;
        lock (_lock)
        {
            if (_since is null && _directory.First is { } first)
            {
                (_since, _brought, begun) = (first.Time, 0, _store.Reason);
                _reminded = begun?.Code == SmcErrorCode.StorageAccessDenied ? Stopwatch.GetTimestamp() : null;
            }

            former = _level;
            double used = (double)_directory.Bytes / _options.Limit;
            level = _store.IsFull ? 2 : used >= 0.8 ? 1 : 0;

            // Not again until it has been well below.
            _level = level == 0 && used < 0.4 ? 0 : Math.Max(level, former);
        }

        if (begun is not null)
        {
            _observer.Warning(
                $"The repository does not take WAL: {begun.Message} {(begun.Code == SmcErrorCode.StorageAccessDenied ? begun.Recommendation + " " : "")}" +
                $"What is received is spilled to '{_directory.Path}', up to " +
                $"{DisplayText.Size(_options.Limit)}. It is kept on this host only until the repository takes it: if this host is lost before, so is that WAL.");
        }

        if (level > former)
        {
            _observer.Warning(
                (level == 2
                    ? $"The spill in '{_directory.Path}' is full: it holds {DisplayText.Size(_directory.Bytes)} of {DisplayText.Size(_options.Limit)}, or its " +
                        "file system has no room. Nothing more is taken from the server, which keeps its WAL itself. "
                    : $"The spill in '{_directory.Path}' holds {DisplayText.Size(_directory.Bytes)} of {DisplayText.Size(_options.Limit)}. When it is full, the " +
                        "server keeps its WAL itself. ") +
                $"{_serverState?.Invoke()} See to it that {_target.Location} takes WAL again.".TrimStart());
        }

        _changed?.Invoke();
    }

    private void End()
    {
        DateTimeOffset? since;
        lock (_lock)
        {
            if (_store.IsActive)
            {
                // The repository did not take what came next.
                return;
            }

            (since, _since, _level) = (_since, null, 0);
        }

        _observer.Warning(
            $"All WAL that was spilled since {DisplayText.Time(since)} is in {_target.Location}, {DisplayText.Size(_brought)}. What is received goes there at " +
            "once again.");
    }
}
