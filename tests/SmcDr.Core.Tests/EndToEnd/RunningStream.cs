using SmcDr.Core.Operations;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Tests.EndToEnd;

/// <summary>A WAL stream that runs beside a test.</summary>
internal sealed class RunningStream : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _run;
    private bool _stopped;

    private RunningStream(WalReceiver receiver)
    {
        Receiver = receiver;
        _run = receiver.RunAsync(null, _stop.Token);
    }

    public WalReceiver Receiver { get; }

    public static RunningStream Start(PostgresConnector connector, Repository repository, string slot) =>
        new(new WalReceiver(connector, repository, new WalReceiverOptions { Slot = slot }, NullObserver.Instance));

    public async Task StopAsync()
    {
        if (_stopped)
        {
            return;
        }

        _stopped = true;
        await _stop.CancelAsync();
        try
        {
            await _run;
        }
        catch (OperationCanceledException)
        {
            // That is how it ends.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }
}
