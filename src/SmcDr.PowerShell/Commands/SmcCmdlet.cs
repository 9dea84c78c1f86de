using System.Management.Automation;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>The base of every cmdlet: asynchronous work, stopped and unwound before the prompt comes back.</summary>
/// <remarks>
/// A cmdlet overrides the <c>…Async</c> methods, which run on other threads, and talks to the <see cref="SmcPipeline"/>
/// that it is given. The methods of <see cref="Cmdlet"/> that would do the same on the wrong thread do not compile.
/// A failure is an <see cref="SmcException"/>: thrown it ends the command, written to the pipeline it does not.
/// </remarks>
public abstract partial class SmcCmdlet : PSCmdlet, IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private bool _abandoned;

    /// <summary>How long a stop waits for the work to unwind.</summary>
    protected virtual UnwindPatience Patience => UnwindPatience.Default;

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <inheritdoc/>
    protected sealed override void BeginProcessing() => Run(BeginProcessingAsync);

    /// <inheritdoc/>
    protected sealed override void ProcessRecord() => Run(ProcessRecordAsync);

    /// <inheritdoc/>
    protected sealed override void EndProcessing() => Run(EndProcessingAsync);

    /// <inheritdoc/>
    protected sealed override void StopProcessing() => RequestStop();

    /// <summary>Runs once, before the first input.</summary>
    protected virtual Task BeginProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken) =>
        Task.CompletedTask;

    /// <summary>Runs for each input.</summary>
    protected virtual Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken) =>
        Task.CompletedTask;

    /// <summary>Runs once after the last input; not at all if the pipeline has been stopped.</summary>
    protected virtual Task EndProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken) =>
        Task.CompletedTask;

    /// <summary>Called when the command is over, however it ended.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            RequestStop();
            if (!_abandoned)
            {
                _stopping.Dispose();
            }
        }
    }

    private void Run(Func<SmcPipeline, CancellationToken, Task> work)
    {
        try
        {
            new SmcPipeline(_stopping.Token).Run(this, work, RequestStop, Patience);
        }
        catch (WorkAbandonedException e)
        {
            _abandoned = true;
            e.Reason.Throw();
        }
        catch (SmcException e)
        {
            base.ThrowTerminatingError(ErrorRecords.From(e));
        }
        catch (Exception e) when (e is not (IContainsErrorRecord or FlowControlException))
        {
            base.ThrowTerminatingError(ErrorRecords.FromUnforeseen(e));
        }
    }

    private void RequestStop()
    {
        try
        {
            // Not Cancel: its callbacks would run on, and could block, the thread on which PowerShell stops the pipeline.
            _ = _stopping.CancelAsync();
        }
        catch (ObjectDisposedException)
        {
            // Ctrl+C raced with the command's own end.
        }
    }
}
