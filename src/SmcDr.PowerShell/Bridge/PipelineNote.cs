using System.Management.Automation;

namespace SmcDr.PowerShell.Bridge;

/// <summary>A call for whose outcome the worker does not wait.</summary>
internal sealed class PipelineNote(Action<PSCmdlet> run, Action<PSCmdlet>? refuse = null) : PipelineCall
{
    public override void Run(PSCmdlet cmdlet) => run(cmdlet);

    public override void Refuse(PSCmdlet cmdlet, OperationCanceledException reason) => refuse?.Invoke(cmdlet);
}
