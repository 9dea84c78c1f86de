using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Drills;

/// <summary>The WAL stream of a drill, at work in the background as it would be on another machine.</summary>
internal sealed class DrillStream : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly WalReceiver _receiver;
    private readonly StreamObserver _observer;
    private readonly Task _work;

    private DrillStream(
        PostgresConnector connector, Repository repository, string slot, IOperationObserver observer)
    {
        _observer = new StreamObserver(observer);
        _receiver = new WalReceiver(connector, repository, new WalReceiverOptions { Slot = slot }, _observer);
        _work = Task.Run(() => _receiver.RunAsync(status: null, _stop.Token));
    }

    /// <summary>Starts the stream; returns when what the server had written by then is durable in the repository.</summary>
    public static async Task<DrillStream> StartAsync(
        PostgresConnector connector,
        Repository repository,
        string slot,
        Lsn reach,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        DrillStream stream = new(connector, repository, slot, observer);
        try
        {
            await stream.WaitForAsync(reach, cancellationToken).ConfigureAwait(false);
            return stream;
        }
        catch
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Up to where WAL is durable in the repository.</summary>
    public Lsn FlushedLsn => _receiver.FlushedLsn;

    /// <summary>Waits until the WAL up to a position is durable in the repository.</summary>
    public async Task WaitForAsync(Lsn lsn, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(TimeSpan.FromMinutes(1));
        Task reached = _receiver.WaitForFlushAsync(lsn, limit.Token);
        try
        {
            if (await Task.WhenAny(reached, _work).ConfigureAwait(false) == _work)
            {
                // It only ends by itself with an error, and that is the one to tell.
                await _work.ConfigureAwait(false);
            }

            await reached.ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new SmcException(
                SmcErrorCode.WalTimeout, $"WAL up to {lsn} was not in the repository within a minute.", e);
        }
        finally
        {
            await limit.CancelAsync().ConfigureAwait(false);
            await reached.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Says that the server is about to go, so that nobody is warned of it.</summary>
    public void ExpectServerToGo() => _observer.IsServerExpected = false;

    /// <summary>Ends the stream: what it has received becomes durable, then it leaves.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        try
        {
            await _work.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // That is how it was asked to end.
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private sealed class StreamObserver(IOperationObserver inner) : IOperationObserver
    {
        public volatile bool IsServerExpected = true;

        public void Verbose(string message) => inner.Verbose(message);

        public void Warning(string message)
        {
            if (IsServerExpected)
            {
                inner.Warning(message);
            }
            else
            {
                inner.Verbose(message);
            }
        }

        public void Progress(OperationProgress progress) => inner.Progress(progress);
    }
}
