using System.Management.Automation;

namespace SmcDr.PowerShell.TestCmdlets;

[Cmdlet(VerbsCommon.New, "TestProbe")]
public sealed class NewTestProbeCommand : PSCmdlet
{
    protected override void ProcessRecord() => WriteObject(new TestProbe());
}
