using System.Management.Automation;

namespace SmcDr.PowerShell.Bridge;

/// <summary>A call whose answer the worker awaits.</summary>
internal sealed class PipelineRequest<T>(Func<PSCmdlet, T> run, bool failureIsAnswer) : PipelineCall
{
    // Without the flag the worker would go on inside SetResult, on the pipeline thread, and deadlock at its next request.
    private readonly TaskCompletionSource<T> _reply = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<T> Reply => _reply.Task;

    public override void Run(PSCmdlet cmdlet)
    {
        T answer;
        try
        {
            answer = run(cmdlet);
        }
        catch (Exception e) when (failureIsAnswer && e is not (PipelineStoppedException or FlowControlException))
        {
            _reply.SetException(e);
            return;
        }

        _reply.SetResult(answer);
    }

    public override void Refuse(PSCmdlet cmdlet, OperationCanceledException reason) => _reply.TrySetException(reason);
}
