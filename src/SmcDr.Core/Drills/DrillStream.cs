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
    private readonly Task _work;

    private DrillStream(WalReceiver receiver, Action<WalStreamStatus> onStatus)
    {
        _receiver = receiver;
        _work = Task.Run(() => receiver.RunAsync(new Sink(onStatus), _stop.Token));
    }

    /// <summary>Starts the stream; returns when what the server had written by then is durable in the repository.</summary>
    public static async Task<DrillStream> StartAsync(
        PostgresConnector connector,
        Repository repository,
        string slot,
        Lsn reach,
        Action<WalStreamStatus> onStatus,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        DrillStream stream = new(
            new WalReceiver(connector, repository, new WalReceiverOptions { Slot = slot }, observer), onStatus);
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

    private sealed class Sink(Action<WalStreamStatus> onStatus) : IProgress<WalStreamStatus>
    {
        // Progress<T> would hand the reports to the thread pool, and they could arrive in another order.
        public void Report(WalStreamStatus value) => onStatus(value);
    }
}
