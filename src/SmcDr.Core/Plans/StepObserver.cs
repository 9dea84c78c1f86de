using SmcDr.Core.Operations;

namespace SmcDr.Core.Plans;

/// <summary>Shows what a step reports as a part of its plan.</summary>
internal sealed class StepObserver(string plan, IOperationObserver observer) : IOperationObserver
{
    /// <inheritdoc/>
    public void Verbose(string message) => observer.Verbose(message);

    /// <inheritdoc/>
    public void Warning(string message) => observer.Warning(message);

    /// <inheritdoc/>
    public void Progress(OperationProgress progress) => observer.Progress(progress with { Parent = progress.Parent ?? plan });
}
