using System.Net.Sockets;
using System.Text.RegularExpressions;
using Npgsql;
using Npgsql.Replication;
using SmcDr.Core.Leases;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres.Wal.Spilling;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Postgres.Wal;

/// <summary>
/// Receives a server's WAL by streaming replication and archives it: what is committed is in the repository within the flush interval.
/// </summary>
/// <remarks>
/// One task reads from the server and never waits for the repository longer than the queue between them lasts; another writes. The
/// server is told of a position only when everything before it is durable, so a slot never lets go of WAL that could still be lost. Every
/// connection begins at the beginning of a segment and compares what comes again with what is archived: stopping the receiver in any way
/// leaves nothing to repair.
/// </remarks>
public sealed partial class WalReceiver : IWalGuard
{
    private readonly PostgresConnector _connector;
    private readonly Repository _repository;
    private readonly WalReceiverOptions _options;
    private readonly IOperationObserver _observer;
    private readonly Lock _lock = new();
    private readonly List<(Lsn Lsn, TaskCompletionSource Completion)> _waiters = [];
    private WalStreamStatus _status = new() { State = "Stopped", Time = DateTimeOffset.UtcNow };
    private IProgress<WalStreamStatus>? _progress;
    private Lsn _flushed;
    private Exception? _ended;
    private bool _isRunning;

    // What a run knows beyond its present connection.
    private ulong? _systemId;
    private (uint Timeline, Lsn Lsn)? _position;
    private long _segments;
    private long _receivedBytes;
    private int _reconnects;
    private bool _skipsGap;
    private Lsn? _hole;
    private bool _leavesHole;
    private bool _needsBaseBackup;
    private StreamClaim? _claim;
    private Fence? _fence;
    private WalSpill? _spill;
    private Lsn _durable;
    private int _segmentSize;
    private string? _spilledElsewhere;
    private bool _slotIsNew;
    private SlotWatch? _slotWatch;
    private SynchronousGuard? _guard;

    /// <summary>Creates a receiver. Nothing happens until <see cref="RunAsync"/>.</summary>
    public WalReceiver(PostgresConnector connector, Repository repository, WalReceiverOptions options, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(connector);
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        if (options.Slot is { } slot && !SlotNamePattern().IsMatch(slot))
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"'{slot}' is not the name of a replication slot.",
                recommendation: "Use up to 63 small letters, digits and underscores.",
                target: slot);
        }

        if (options is { Synchronous: true, Slot: null })
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "A synchronous stream needs a replication slot that stays: what commits waited for must not be removed by the server.",
                recommendation: "Name the slot.");
        }

        if (options is { SpillDirectory: not null, SpillLimit: <= 0 })
        {
            throw new SmcException(SmcErrorCode.ArgumentInvalid, "The limit of what may be spilled must be more than nothing.");
        }

        _connector = connector;
        _repository = repository;
        _options = options;
        _observer = observer;
        _systemId = options.ExpectedSystemId;
    }

    /// <summary>Up to where WAL is durable in the repository.</summary>
    public Lsn FlushedLsn
    {
        get
        {
            lock (_lock)
            {
                return _flushed;
            }
        }
    }

    /// <summary>Where the stream stands.</summary>
    public WalStreamStatus Status
    {
        get
        {
            lock (_lock)
            {
                return _status;
            }
        }
    }

    /// <summary>
    /// Streams until cancelled. Cancelling is the way to stop: what was received is stored, the server is told, and this returns.
    /// </summary>
    /// <exception cref="SmcException">What cannot be cured by trying again; anything where options say not to reconnect.</exception>
    public async Task RunAsync(IProgress<WalStreamStatus>? status, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_isRunning)
            {
                throw new InvalidOperationException("The receiver runs already.");
            }

            (_isRunning, _ended) = (true, null);
        }

        _progress = status;
        Exception? failure = null;
        try
        {
            await (_options.Synchronous ? RunSynchronouslyAsync(cancellationToken) : RunUntilStoppedAsync(cancellationToken)).ConfigureAwait(false);
        }
        catch (SmcException e) when (e.Code == SmcErrorCode.StreamTaken && _spill is { Bytes: > 0 } spill)
        {
            failure = TakenWhileSpilling(e, spill);
            throw failure;
        }
        catch (Exception e)
        {
            failure = e;
            throw;
        }
        finally
        {
            await EndSpillAsync().ConfigureAwait(false);
            if (_claim is { } claim)
            {
                _claim = null;
                await claim.DisposeAsync().ConfigureAwait(false);
            }

            Report(failure is SmcException { Code: SmcErrorCode.SlotLost } ? "SlotLost" : "Stopped", failure?.Message);
            End(failure ?? new SmcException(SmcErrorCode.OperationStopped, "The WAL stream was stopped."));
        }
    }

    /// <summary>Returns when everything before a position is durable in the repository.</summary>
    /// <exception cref="SmcException">The stream ended before; what ended it.</exception>
    public async Task WaitForFlushAsync(Lsn lsn, CancellationToken cancellationToken)
    {
        TaskCompletionSource completion;
        lock (_lock)
        {
            if (_flushed >= lsn)
            {
                return;
            }

            if (_ended is not null)
            {
                throw Ended(_ended);
            }

            completion = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Add((lsn, completion));
        }

        try
        {
            await completion.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            lock (_lock)
            {
                _waiters.RemoveAll(waiter => waiter.Completion == completion);
            }
        }
    }

    [GeneratedRegex(@"\A[a-z0-9_]{1,63}\z", RegexOptions.CultureInvariant)]
    private static partial Regex SlotNamePattern();

    private static SmcException Ended(Exception cause) => cause is SmcException known
        ? new SmcException(known.Code, $"The WAL stream ended: {known.Message}", known, known.Recommendation, known.Target)
        : new SmcException(SmcErrorCode.InternalError, $"The WAL stream ended: {cause.Message}", cause);

    // What was listed is not there any more where a base backup that receives its WAL itself has made a segment of pieces.
    private static bool IsPassing(SmcException e) =>
        e.Code is SmcErrorCode.ServerUnavailable or SmcErrorCode.StorageUnavailable or SmcErrorCode.StorageFull or SmcErrorCode.ObjectTruncated or
            SmcErrorCode.ObjectNotFound;

    /// <summary>
    /// With commits that wait for the stream. Before it ends, for whatever reason, they are let go: nobody else would do it.
    /// </summary>
    private async Task RunSynchronouslyAsync(CancellationToken cancellationToken)
    {
        using CancellationTokenSource streaming = new();
        using CancellationTokenSource guarding = new();
        TaskCompletionSource stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
        using CancellationTokenRegistration stop = cancellationToken.Register(() => stopped.TrySetResult());
        SynchronousGuard guard = new(_connector, _options.Slot!, _options.SynchronousTimeout, () => FlushedLsn, ReportAgain, _observer);
        await using (guard.ConfigureAwait(false))
        {
            lock (_lock)
            {
                _guard = guard;
            }

            Task stream = Task.Run(() => RunUntilStoppedAsync(streaming.Token), CancellationToken.None);
            Task watch = Task.Run(() => guard.RunAsync(guarding.Token), CancellationToken.None);
            await Task.WhenAny(stream, watch, stopped.Task).ConfigureAwait(false);
            Task? failed = stream.IsFaulted ? stream : watch.IsFaulted ? watch : null;
            await guarding.CancelAsync().ConfigureAwait(false);
            await watch.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

            // Where another stream is at work by the same name, what commits wait for is its. Where the region is fenced off, they must not be
            // acknowledged at all: that they wait is what keeps writers from a former primary.
            Exception? reason = failed?.Exception?.InnerException;
            if (reason is not SmcException
                {
                    Code: SmcErrorCode.StreamRunning or SmcErrorCode.StreamTaken or SmcErrorCode.SlotUnavailable or SmcErrorCode.Fenced,
                })
            {
                using CancellationTokenSource limit = new(_options.StopTimeout);
                await guard.LeaveAsync(reason?.Message, limit.Token).ConfigureAwait(false);
            }

            await streaming.CancelAsync().ConfigureAwait(false);
            await stream.ConfigureAwait(failed is null || failed == stream ? ConfigureAwaitOptions.None : ConfigureAwaitOptions.SuppressThrowing);
            if (failed is not null)
            {
                await failed.ConfigureAwait(false);
            }
        }
    }

    private async Task RunUntilStoppedAsync(CancellationToken cancellationToken)
    {
        TimeSpan delay = _options.ReconnectDelay;
        while (!cancellationToken.IsCancellationRequested)
        {
            long before = _receivedBytes;
            SmcException problem;
            try
            {
                await RunSessionAsync(cancellationToken).ConfigureAwait(false);
                // A stop ends a session like the server does; on an idle server nothing else tells the two apart.
                if (_receivedBytes > before || cancellationToken.IsCancellationRequested)
                {
                    continue;
                }

                problem = new SmcException(
                    SmcErrorCode.ServerUnavailable, $"PostgreSQL at {_connector.Display} ended the stream.", target: _connector.Display);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (SmcException e) when (
                _options.Reconnect && !cancellationToken.IsCancellationRequested &&
                (IsPassing(e) || (MaySpill && _position is not null && SpillingObjectStore.IsAway(e))))
            {
                problem = e;
            }
            catch (SmcException e) when (_hole is { } hole && e.Code == SmcErrorCode.WalGap)
            {
                _observer.Warning($"The archive lacks WAL from {hole} on, and the server has it no more. The stream goes on where the archive ends.");
                (_hole, _leavesHole, _position) = (null, true, null);
                continue;
            }
            catch (SmcException e) when (_options.ContinueAfterGap && !_skipsGap && e.Code == SmcErrorCode.WalGap)
            {
                _observer.Warning($"{e.Message} The stream goes on behind the gap. {e.Recommendation}");
                (_skipsGap, _needsBaseBackup) = (true, true);
                continue;
            }
            catch (SmcException e) when (
                _options.Reconnect && !cancellationToken.IsCancellationRequested && e.Code == SmcErrorCode.SlotUnavailable &&
                (_position is not null || _claim is { ReplacedAnother: true }) &&
                e.InnerException is PostgresException { SqlState: PostgresErrorCodes.ObjectInUse })
            {
                // After a cut network our own former connection holds the slot until the server gives it up (wal_sender_timeout), and after a
                // takeover that of the other stream.
                problem = e;
            }

            _observer.Warning($"The WAL stream is interrupted and will be tried again: {problem.Message}");
            Report("Waiting", problem.Message);
            delay = _receivedBytes > before ? _options.ReconnectDelay : delay;
            try
            {
                await Task.Delay(delay, cancellationToken).ConfigureAwait(false);
                await EndIfFencedAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            delay = TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, _options.MaximumReconnectDelay.Ticks));
            _reconnects++;
        }
    }

    /// <summary>One connection. Returns when the timeline is over, or when stopped.</summary>
    private async Task RunSessionAsync(CancellationToken cancellationToken)
    {
        Report("Connecting", null);
        PhysicalReplicationConnection connection = await _connector.OpenReplicationAsync(_options.Slot, cancellationToken)
            .ConfigureAwait(false);
        await using (connection.ConfigureAwait(false))
        {
            // A network that drops packets tells nobody.
            connection.WalReceiverTimeout = _options.ServerTimeout;
            try
            {
                Session session = await PrepareAsync(connection, cancellationToken).ConfigureAwait(false);
                await StreamAsync(connection, session, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (e is NpgsqlException or SocketException or TimeoutException or IOException)
            {
                throw Translate(e);
            }
        }
    }

    private NpgsqlCommand NewCommand(NpgsqlConnection sql) =>
        new("", sql) { CommandTimeout = (int)Math.Ceiling(_options.ServerTimeout.TotalSeconds) };

    private SmcException Translate(Exception exception) => exception is PostgresException { SqlState: PostgresErrorCodes.UndefinedFile } e
        ? new SmcException(
            SmcErrorCode.WalGap,
            $"PostgreSQL at {_connector.Display} has removed WAL that is not archived yet: {e.MessageText}." +
                (_spilledElsewhere is null ? "" : $" {_spilledElsewhere}"),
            e,
            recommendation: (_spilledElsewhere is null ? "" : "Run the stream on that host once, so that what it has spilled is brought. Otherwise: ") +
                "Take a new base backup now: nothing in the gap can be recovered. Stream by a permanent slot, so that the server " +
                "keeps what is not archived; to go on behind the gap, allow it explicitly.",
            target: _connector.Display)
        : _connector.Translate(exception);
}
