using System.Collections.Concurrent;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Tests.Fixtures;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>
/// A WAL stream under a supervisor that starts it again when it ends, as an operator's would. What no restart cures ends it for good and is
/// kept for the test.
/// </summary>
internal sealed class SupervisedStream : IOperationObserver, IAsyncDisposable
{
    private readonly PostgresConnector _connector;
    private readonly IObjectStore _store;
    private readonly string _slot;
    private Run? _run;

    public SupervisedStream(PostgresConnector connector, IObjectStore store, string slot) =>
        (_connector, _store, _slot) = (connector, store, slot);

    /// <summary>What ended the stream for good.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>What it was started again after, and how often.</summary>
    public ConcurrentDictionary<string, int> Endings { get; } = new(StringComparer.Ordinal);

    public ConcurrentQueue<string> Warnings { get; } = new();

    public bool IsRunning => _run is { Work.IsCompleted: false };

    public void Start() => _run = new Run(this);

    /// <summary>Ends it in order: what was received is stored.</summary>
    public async Task StopAsync()
    {
        if (_run is { } run)
        {
            _run = null;
            await run.EndAsync();
        }
    }

    /// <summary>Ends it as kill -9 does: from this moment on nothing is stored any more.</summary>
    public async Task KillAsync()
    {
        if (_run is { } run)
        {
            run.IsDead = true;
        }

        await StopAsync();
    }

    /// <summary>Waits until a position of the server is in the archive, or the stream has failed for good.</summary>
    public async Task FlushedAsync(uint timeline, Lsn lsn, TimeSpan limit)
    {
        using CancellationTokenSource over = new(limit);
        while (_run?.Receiver?.Status is not { } status || status.Timeline != timeline || !Lsn.TryParse(status.FlushedLsn, out Lsn flushed) || flushed < lsn)
        {
            Assert.True(Failure is null, $"The stream ended for good: {Failure}");
            Assert.False(
                over.IsCancellationRequested,
                $"The stream did not come to {lsn} on timeline {timeline}: {_run?.Receiver?.Status}; {string.Join(" | ", Warnings.TakeLast(5))}");
            await Task.Delay(50, CancellationToken.None);
        }
    }

    public ValueTask DisposeAsync() => new(StopAsync());

    public void Verbose(string message)
    {
    }

    public void Warning(string message) => Warnings.Enqueue(message);

    public void Progress(OperationProgress progress)
    {
    }

    // A slot is held by the connection of a receiver that was killed until the server notices; servers and stores come back.
    private static bool IsCuredByTime(SmcException e) =>
        e.Code is SmcErrorCode.SlotUnavailable or SmcErrorCode.ServerUnavailable or SmcErrorCode.StorageUnavailable or SmcErrorCode.ObjectTruncated or
            SmcErrorCode.ObjectNotFound or SmcErrorCode.ChecksumMismatch;

    private sealed class Run
    {
        private readonly SupervisedStream _owner;
        private readonly CancellationTokenSource _stop = new();

        public Run(SupervisedStream owner)
        {
            _owner = owner;
            Work = Task.Run(WorkAsync);
        }

        public Task Work { get; }

        public WalReceiver? Receiver { get; private set; }

        public volatile bool IsDead;

        public async Task EndAsync()
        {
            await _stop.CancelAsync();
            await Work;
            _stop.Dispose();
        }

        private async Task WorkAsync()
        {
            HookedObjectStore store = new(_owner._store, (_, _) => IsDead
                ? throw new SmcException(SmcErrorCode.StorageAccessDenied, "The process is dead.")
                : Task.CompletedTask);
            while (!_stop.IsCancellationRequested)
            {
                try
                {
                    Repository repository = await Repository.OpenOrCreateAsync(store, CancellationToken.None);
                    Receiver = new WalReceiver(_owner._connector, repository, Options(), _owner);
                    await Receiver.RunAsync(null, _stop.Token);
                }
                catch (SmcException) when (IsDead || _stop.IsCancellationRequested)
                {
                    return;
                }
                catch (SmcException e) when (IsCuredByTime(e))
                {
                    _owner.Endings.AddOrUpdate(e.Code.ToString(), 1, static (_, count) => count + 1);
                    await Task.Delay(200, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
                catch (Exception e)
                {
                    _owner.Failure = e;
                    return;
                }
            }
        }

        private WalReceiverOptions Options() => new()
        {
            Slot = _owner._slot,
            FlushInterval = TimeSpan.FromMilliseconds(100),
            StatusInterval = TimeSpan.FromMilliseconds(300),
            ServerTimeout = TimeSpan.FromSeconds(4),
            ReconnectDelay = TimeSpan.FromMilliseconds(50),
            MaximumReconnectDelay = TimeSpan.FromMilliseconds(500),
        };
    }
}
