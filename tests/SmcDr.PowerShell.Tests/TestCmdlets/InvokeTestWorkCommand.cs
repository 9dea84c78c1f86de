using System.Management.Automation;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Commands;

namespace SmcDr.PowerShell.TestCmdlets;

/// <summary>Work without an end: writes numbers, or is silent, holds a temporary file, and takes a while to unwind.</summary>
[Cmdlet(VerbsLifecycle.Invoke, "TestWork")]
public sealed class InvokeTestWorkCommand : SmcCmdlet
{
    [Parameter(Mandatory = true)]
    public TestProbe Probe { get; set; } = null!;

    [Parameter(Mandatory = true)]
    public string HalfDone { get; set; } = null!;

    /// <summary>Writes nothing and waits.</summary>
    [Parameter]
    public SwitchParameter Silent { get; set; }

    /// <summary>Pays no attention to being stopped, until the probe's gate is opened.</summary>
    [Parameter]
    public SwitchParameter Deaf { get; set; }

    /// <summary>The number at which an error is written.</summary>
    [Parameter]
    public int ErrorAt { get; set; } = -1;

    /// <summary>Fails while it unwinds.</summary>
    [Parameter]
    public SwitchParameter FailToUnwind { get; set; }

    /// <summary>Reports a progress that it never completes.</summary>
    [Parameter]
    public SwitchParameter WithProgress { get; set; }

    protected override UnwindPatience Patience => Deaf
        ? new UnwindPatience(TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(200))
        : base.Patience;

    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        await File.WriteAllTextAsync(HalfDone, "half done", cancellationToken);
        Probe.PipelineThread = await pipeline.InvokeAsync(static _ => Environment.CurrentManagedThreadId);
        Probe.Started.Set();
        try
        {
            if (WithProgress)
            {
                pipeline.Progress(new("Outer", "begun"));
                pipeline.Progress(new("Inner", "begun") { Parent = "Outer" });
            }

            if (Deaf)
            {
                Probe.Gate.Wait(CancellationToken.None);
            }

            if (Silent)
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
            }

            for (int number = 1; ; number++)
            {
                Probe.Beat();
                if (number == ErrorAt)
                {
                    await pipeline.WriteErrorAsync(
                        new SmcException(SmcErrorCode.ChecksumMismatch, "Pack 7 is damaged."), "pack-000007");
                }

                await pipeline.WriteObjectAsync(number);
            }
        }
        catch (Exception e)
        {
            Probe.Seen = e;
            throw;
        }
        finally
        {
            await UnwindAsync();
        }
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        Probe.Disposed = true;
    }

    private async Task UnwindAsync()
    {
        // Long enough that a bridge that does not wait is found out, with work that goes on meanwhile.
        for (int i = 0; i < 10; i++)
        {
            await Task.Delay(20, CancellationToken.None);
            Probe.Beat();
        }

        File.Delete(HalfDone);
        Probe.Unwound = true;
        if (FailToUnwind)
        {
            throw new SmcException(SmcErrorCode.StorageUnavailable, "An upload could not be aborted.");
        }
    }
}
