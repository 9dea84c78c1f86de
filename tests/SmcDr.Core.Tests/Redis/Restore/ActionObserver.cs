using System.Collections.Concurrent;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Tests.Redis.Restore;

/// <summary>Does something once at a point of a restore: by default when all keys are there and before they are compared.</summary>
internal sealed class ActionObserver(Action act, string status = "Comparing") : IOperationObserver
{
    private int _done;

    public ConcurrentQueue<string> Warnings { get; } = [];

    public void Verbose(string message)
    {
    }

    public void Warning(string message) => Warnings.Enqueue(message);

    public void Progress(OperationProgress progress)
    {
        if (progress.Status.Contains(status, StringComparison.Ordinal) && Interlocked.Exchange(ref _done, 1) == 0)
        {
            act();
        }
    }
}
