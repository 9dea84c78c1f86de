using System.Management.Automation;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Commands;

namespace SmcDr.PowerShell.TestCmdlets;

/// <summary>Fails in the way that is asked for.</summary>
[Cmdlet(VerbsLifecycle.Invoke, "TestFailure")]
public sealed class InvokeTestFailureCommand : SmcCmdlet
{
    [Parameter(Mandatory = true, ParameterSetName = "Code")]
    public string Code { get; set; } = null!;

    [Parameter(Mandatory = true, ParameterSetName = "Exception")]
    public Exception Exception { get; set; } = null!;

    /// <summary>A path to resolve on the pipeline thread; the failure is caught by the worker, which goes on.</summary>
    [Parameter(Mandatory = true, ParameterSetName = "Path")]
    public string Path { get; set; } = null!;

    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        await Task.Yield();
        if (Exception is not null)
        {
            throw Exception;
        }

        if (Code is not null)
        {
            throw new SmcException(Enum.Parse<SmcErrorCode>(Code), "It failed.", target: "the target");
        }

        try
        {
            await pipeline.InvokeAsync(cmdlet => cmdlet.SessionState.Path.GetResolvedPSPathFromPSPath(Path));
        }
        catch (ItemNotFoundException e)
        {
            await pipeline.WriteObjectAsync("caught " + e.ErrorRecord.FullyQualifiedErrorId);
        }
    }
}
