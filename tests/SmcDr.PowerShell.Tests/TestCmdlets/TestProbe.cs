namespace SmcDr.PowerShell.TestCmdlets;

/// <summary>What a test sees of a worker, during and after its work.</summary>
public sealed class TestProbe
{
    private int _beats;

    /// <summary>Set once the work has begun.</summary>
    public ManualResetEventSlim Started { get; } = new();

    /// <summary>Set by the test to let work go on that holds still.</summary>
    public ManualResetEventSlim Gate { get; } = new();

    /// <summary>How far the work came; it beats in all its loops, also in those of its unwinding.</summary>
    public int Beats => Volatile.Read(ref _beats);

    /// <summary>Whether the work's finally has run to its end.</summary>
    public bool Unwound { get; set; }

    /// <summary>What the worker saw thrown at it by the pipeline.</summary>
    public Exception? Seen { get; set; }

    public int PipelineThread { get; set; }

    public int ContinuationThread { get; set; }

    public bool Disposed { get; set; }

    public void Beat() => Interlocked.Increment(ref _beats);
}
