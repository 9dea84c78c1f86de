using System.Runtime.ExceptionServices;

namespace SmcDr.PowerShell.Bridge;

/// <summary>Work that was asked to stop did not, and is left to itself.</summary>
internal sealed class WorkAbandonedException(ExceptionDispatchInfo reason) : Exception("The work did not stop.")
{
    /// <summary>What ended the pipeline.</summary>
    public ExceptionDispatchInfo Reason => reason;
}
