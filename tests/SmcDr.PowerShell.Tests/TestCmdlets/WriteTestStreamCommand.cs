using System.Management.Automation;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Commands;

namespace SmcDr.PowerShell.TestCmdlets;

/// <summary>Writes to every stream, from several threads at once and in each of the three phases.</summary>
[Cmdlet(VerbsCommunications.Write, "TestStream")]
public sealed class WriteTestStreamCommand : SmcCmdlet
{
    [Parameter(ValueFromPipeline = true)]
    public int Number { get; set; }

    protected override async Task BeginProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken) =>
        await pipeline.WriteObjectAsync("begin");

    protected override Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken) =>
        Parallel.ForEachAsync(Enumerable.Range(0, 20), cancellationToken, async (i, _) =>
        {
            pipeline.WriteVerbose($"verbose {i}");
            pipeline.WriteDebug($"debug {i}");
            pipeline.WriteWarning($"warning {i}");
            pipeline.WriteInformation($"information {i}", "SmcDr", "Audit");
            await pipeline.WriteErrorAsync(new SmcException(SmcErrorCode.BackupNotFound, $"error {i}"), i);
            await pipeline.WriteObjectAsync(i);
        });

    protected override async Task EndProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken) =>
        await pipeline.WriteObjectAsync("end");
}
