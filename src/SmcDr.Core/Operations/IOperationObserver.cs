namespace SmcDr.Core.Operations;

/// <summary>What an operation tells whoever started it, while it runs. Called from any thread; must not block for long.</summary>
public interface IOperationObserver
{
    /// <summary>A decision and its reason, such as which backup was chosen and why.</summary>
    void Verbose(string message);

    /// <summary>Something is degraded, and the operation goes on.</summary>
    void Warning(string message);

    /// <summary>How far an activity is. Raised as often as the engine likes; the receiver throttles.</summary>
    void Progress(OperationProgress progress);
}
