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
    private SmcException? _lastError;
    private bool _isDeclined;

    /// <summary>How long a stop waits for the work to unwind.</summary>
    protected virtual UnwindPatience Patience => UnwindPatience.Default;

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <inheritdoc/>
    protected sealed override void BeginProcessing() => Run(BeginProcessingAsync, isLast: false);

    /// <inheritdoc/>
    protected sealed override void ProcessRecord() => Run(ProcessRecordAsync, isLast: false);

    /// <inheritdoc/>
    protected sealed override void EndProcessing() => Run(EndProcessingAsync, isLast: true);

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

    /// <summary>Called once when the work has ended, while there is still somebody to talk to; not at all if the pipeline ended between two inputs.</summary>
    /// <param name="pipeline">The pipeline of the last work.</param>
    /// <param name="outcome"><c>Succeeded</c>, <c>Failed</c>, <c>Declined</c> or <c>Stopped</c>.</param>
    /// <param name="error">What went wrong; null where nothing did.</param>
    private protected virtual Task EndedAsync(SmcPipeline pipeline, string outcome, SmcException? error) => Task.CompletedTask;

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

    private async Task WatchAsync(Func<SmcPipeline, CancellationToken, Task> work, bool isLast, SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        try
        {
            await work(pipeline, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            await EndedAsync(
                pipeline,
                e is OperationCanceledException || e is SmcException { Code: SmcErrorCode.OperationStopped } ? "Stopped" : "Failed",
                e is OperationCanceledException ? null : e as SmcException ?? new SmcException(SmcErrorCode.InternalError, e.Message, e)).ConfigureAwait(false);
            throw;
        }

        _lastError = pipeline.LastError ?? _lastError;
        _isDeclined |= pipeline.IsDeclined;
        if (isLast)
        {
            await EndedAsync(pipeline, _lastError is not null ? "Failed" : _isDeclined ? "Declined" : "Succeeded", _lastError).ConfigureAwait(false);
        }
    }

    private void Run(Func<SmcPipeline, CancellationToken, Task> work, bool isLast)
    {
        try
        {
            new SmcPipeline(_stopping.Token).Run(
                this, (pipeline, cancellationToken) => WatchAsync(work, isLast, pipeline, cancellationToken), RequestStop, Patience);
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
