using System.Management.Automation;

namespace SmcDr.PowerShell.Bridge;

/// <summary>Something that a worker wants done on the pipeline thread, the only one that may talk to PowerShell.</summary>
internal abstract class PipelineCall
{
    /// <summary>Does it. What it throws ends the pipeline.</summary>
    public abstract void Run(PSCmdlet cmdlet);

    /// <summary>Called instead of, or after a failed, <see cref="Run"/> when the pipeline is over.</summary>
    public abstract void Refuse(PSCmdlet cmdlet, OperationCanceledException reason);
}
