using System.Management.Automation;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Commands;

namespace SmcDr.PowerShell.TestCmdlets;

/// <summary>Asks from a worker, and says on which threads the question was put and the work went on.</summary>
[Cmdlet(VerbsLifecycle.Invoke, "TestQuestion", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
public sealed class InvokeTestQuestionCommand : SmcCmdlet
{
    [Parameter(Mandatory = true, ValueFromPipeline = true)]
    public string Target { get; set; } = null!;

    [Parameter(Mandatory = true)]
    public TestProbe Probe { get; set; } = null!;

    /// <summary>Asks what -Confirm:$false does not answer.</summary>
    [Parameter]
    public SwitchParameter Continue { get; set; }

    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        await Task.Yield();
        Probe.PipelineThread = await pipeline.InvokeAsync(static _ => Environment.CurrentManagedThreadId);
        try
        {
            bool answer = Continue
                ? await pipeline.ShouldContinueAsync($"Move {Target} aside?", "Restore")
                : await pipeline.ShouldProcessAsync(Target, "Restore it");
            Probe.ContinuationThread = Environment.CurrentManagedThreadId;
            await pipeline.WriteObjectAsync(answer);
        }
        finally
        {
            Probe.Unwound = true;
        }
    }
}
