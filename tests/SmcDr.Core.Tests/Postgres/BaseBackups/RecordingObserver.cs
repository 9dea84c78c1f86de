using System.Collections.Concurrent;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Tests.Postgres.BaseBackups;

/// <summary>Remembers what it is told, and does something when an activity has come so far.</summary>
internal sealed class RecordingObserver : IOperationObserver
{
    private int _reached;

    public ConcurrentQueue<string> Warnings { get; } = [];

    public ConcurrentQueue<string> Verboses { get; } = [];

    public ConcurrentQueue<OperationProgress> Progresses { get; } = [];

    /// <summary>Is called once, in the middle of the work, when so many bytes are done.</summary>
    public (long Bytes, Action Do)? At { get; init; }

    public void Verbose(string message) => Verboses.Enqueue(message);

    public void Warning(string message) => Warnings.Enqueue(message);

    public void Progress(OperationProgress progress)
    {
        Progresses.Enqueue(progress);
        if (At is { } at && progress.Done >= at.Bytes && Interlocked.Exchange(ref _reached, 1) == 0)
        {
            at.Do();
        }
    }
}
