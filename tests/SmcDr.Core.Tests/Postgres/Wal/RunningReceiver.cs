using System.Collections.Concurrent;
using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Tests.Postgres.Wal;

/// <summary>A receiver at work in the background, and what it says.</summary>
internal sealed class RunningReceiver : IProgress<WalStreamStatus>, IOperationObserver, IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();

    private RunningReceiver(PostgresConnector connector, Repository repository, WalReceiverOptions options)
    {
        Receiver = new WalReceiver(connector, repository, options, this);
        Run = Task.Run(() => Receiver.RunAsync(this, _stop.Token));
    }

    public WalReceiver Receiver { get; }

    public Task Run { get; }

    public ConcurrentQueue<WalStreamStatus> States { get; } = new();

    public ConcurrentQueue<string> Warnings { get; } = new();

    public static RunningReceiver Start(PostgresConnector connector, Repository repository, WalReceiverOptions? options = null) =>
        new(connector, repository, options ?? Quick);

    /// <summary>Short times, so that tests are short; none of them decides a test.</summary>
    public static WalReceiverOptions Quick { get; } = new()
    {
        FlushInterval = TimeSpan.FromMilliseconds(100),
        StatusInterval = TimeSpan.FromMilliseconds(200),
        ReconnectDelay = TimeSpan.FromMilliseconds(50),
        MaximumReconnectDelay = TimeSpan.FromMilliseconds(500),
    };

    /// <summary>Waits until a position is durable; what ends the stream ends the test.</summary>
    public async Task FlushedAsync(Lsn lsn)
    {
        try
        {
            await Receiver.WaitForFlushAsync(lsn, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(60));
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{lsn} was not reached: {Receiver.Status}; {string.Join(" | ", Warnings)}", e);
        }
    }

    public async Task UntilAsync(Func<WalStreamStatus, bool> condition)
    {
        using CancellationTokenSource limit = new(TimeSpan.FromSeconds(60));
        while (!States.Any(condition))
        {
            await Task.Delay(20, limit.Token);
        }
    }

    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Run.WaitAsync(TimeSpan.FromSeconds(60));
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        try
        {
            await Run.WaitAsync(TimeSpan.FromSeconds(60));
        }
        catch (SmcException)
        {
            // The test looks at it where it matters.
        }

        _stop.Dispose();
    }

    public void Report(WalStreamStatus value) => States.Enqueue(value);

    public void Verbose(string message)
    {
    }

    public void Warning(string message) => Warnings.Enqueue(message);

    public void Progress(OperationProgress progress)
    {
    }
}
