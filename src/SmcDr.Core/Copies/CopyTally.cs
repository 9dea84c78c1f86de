using System.Collections.Concurrent;
using System.Diagnostics;
using SmcDr.Core.Operations;

namespace SmcDr.Core.Copies;

/// <summary>Counts what a copy does, and tells of it. Safe for concurrent use.</summary>
internal sealed class CopyTally(string activity, IOperationObserver observer)
{
    private readonly long _start = Stopwatch.GetTimestamp();
    private readonly ConcurrentQueue<string> _problems = new();
    private long _copiedObjects;
    private long _copiedBytes;
    private long _presentObjects;
    private long _presentBytes;
    private long _doneBytes;
    private long _totalBytes;

    public bool IsComplete => _problems.IsEmpty;

    public void Expect(long bytes) => Interlocked.Add(ref _totalBytes, bytes);

    public void Advance(string key, int bytes) => observer.Progress(
        new OperationProgress(activity, key, Interlocked.Add(ref _doneBytes, bytes), Interlocked.Read(ref _totalBytes)));

    public void Copied(long bytes)
    {
        Interlocked.Increment(ref _copiedObjects);
        Interlocked.Add(ref _copiedBytes, bytes);
    }

    public void Present(long bytes)
    {
        Interlocked.Increment(ref _presentObjects);
        Interlocked.Add(ref _presentBytes, bytes);
    }

    public void Problem(string message)
    {
        _problems.Enqueue(message);
        observer.Warning(message);
    }

    public void End() => observer.Progress(new OperationProgress(
        activity, "", Interlocked.Read(ref _doneBytes), Interlocked.Read(ref _totalBytes)) { IsCompleted = true });

    public BackupCopyResult ToResult(string id, string component, string source, string destination) => new()
    {
        Id = id,
        Component = component,
        State = IsComplete ? "Complete" : "Partial",
        CopiedObjects = Interlocked.Read(ref _copiedObjects),
        CopiedBytes = Interlocked.Read(ref _copiedBytes),
        PresentObjects = Interlocked.Read(ref _presentObjects),
        PresentBytes = Interlocked.Read(ref _presentBytes),
        Duration = Stopwatch.GetElapsedTime(_start),
        Problems = [.. _problems],
        Source = source,
        Destination = destination,
    };
}
