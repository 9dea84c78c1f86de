using System.Management.Automation;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.TestCmdlets;

/// <summary>Gives its arguments back as they were read.</summary>
[Cmdlet(VerbsCommon.Get, "TestArgument")]
public sealed class GetTestArgumentCommand : PSCmdlet
{
    [Parameter]
    [SmcInstant]
    public Instant? Instant { get; set; }

    [Parameter]
    [SmcDuration]
    public TimeSpan? Duration { get; set; }

    [Parameter]
    [SmcSize]
    public long? Size { get; set; }

    [Parameter(ValueFromPipeline = true)]
    [SmcSite]
    [ArgumentCompleter(typeof(SiteCompleter))]
    public string? Site { get; set; }

    protected override void ProcessRecord()
    {
        foreach (object? value in new object?[] { Instant?.Resolve(), Duration, Size, Site })
        {
            if (value is not null)
            {
                WriteObject(value);
            }
        }
    }
}

/// <summary>Makes a site the runspace's current one.</summary>
[Cmdlet(VerbsOther.Use, "TestSite")]
public sealed class UseTestSiteCommand : PSCmdlet
{
    [Parameter(Mandatory = true)]
    public SiteInfo Site { get; set; } = null!;

    protected override void ProcessRecord() => SiteState.OfThisRunspace().Use(Site);
}

/// <summary>The sites that the runspace knows.</summary>
[Cmdlet(VerbsCommon.Get, "TestSite")]
public sealed class GetTestSiteCommand : PSCmdlet
{
    protected override void ProcessRecord() => WriteObject(SiteState.OfThisRunspace().Known, enumerateCollection: true);
}
