using SmcDr.Core.Operations;

namespace SmcDr.Cli.Output;

/// <summary>Passes on to whoever shows progress at the moment: work that is prepared under one display and carried out under another has one.</summary>
internal sealed class RelayObserver(IOperationObserver first) : IOperationObserver
{
    private volatile IOperationObserver _target = first;

    /// <summary>Who is told from now on.</summary>
    public IOperationObserver Target
    {
        set => _target = value;
    }

    public void Verbose(string message) => _target.Verbose(message);

    public void Warning(string message) => _target.Warning(message);

    public void Progress(OperationProgress progress) => _target.Progress(progress);
}
