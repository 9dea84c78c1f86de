using SmcDr.Core.Operations;

namespace SmcDr.Core.Redis.Restore;

/// <summary>Passes everything on, and counts warnings for the result.</summary>
internal sealed class CountingObserver(IOperationObserver inner) : IOperationObserver
{
    private int _warnings;

    public int Warnings => Volatile.Read(ref _warnings);

    public void Verbose(string message) => inner.Verbose(message);

    public void Warning(string message)
    {
        Interlocked.Increment(ref _warnings);
        inner.Warning(message);
    }

    public void Progress(OperationProgress progress) => inner.Progress(progress);
}
