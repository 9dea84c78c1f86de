namespace SmcDr.Core.Operations;

/// <summary>An observer that is not interested.</summary>
public sealed class NullObserver : IOperationObserver
{
    private NullObserver()
    {
    }

    public static NullObserver Instance { get; } = new();

    public void Verbose(string message)
    {
    }

    public void Warning(string message)
    {
    }

    public void Progress(OperationProgress progress)
    {
    }
}
