using System.Runtime.InteropServices;

namespace SmcDr.Cli;

/// <summary>Turns the first Ctrl+C, SIGTERM or SIGHUP into a cancellation, and says at the next what is still being unwound.</summary>
internal sealed class StopSignals : IDisposable
{
    private readonly CancellationTokenSource _source;
    private readonly List<PosixSignalRegistration> _registrations = [];
    private readonly TextWriter _error;

    public StopSignals(CliHost host, CancellationToken cancellationToken)
    {
        _source = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _error = host.Error;
        if (host.HandlesSignals)
        {
            foreach (PosixSignal signal in new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP })
            {
                _registrations.Add(PosixSignalRegistration.Create(signal, OnSignal));
            }
        }
    }

    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        _registrations.ForEach(static registration => registration.Dispose());
        _source.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        bool isFirst = !_source.IsCancellationRequested;
        string activity = CurrentActivity.Name is { } name ? $" ({name})" : "";
        _error.WriteLine(isFirst
            ? $"Stopping{activity}."
            : $"Still cleaning up{activity}. What was started is being stopped, so that nothing is left half-done; please wait.");
        if (isFirst)
        {
            // Not on this thread: what the cancellation runs may take long, and the next signal has to be heard.
            _ = _source.CancelAsync();
        }
    }
}
