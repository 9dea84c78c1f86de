using System.Management.Automation;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>The base of the cmdlets that back up what a site has, here or in its cluster.</summary>
public abstract class BackupJobCmdlet : JobCmdlet
{
    /// <summary>
    /// Sites from the pipeline, as Get-SmcSite or Get-ChildItem gives them: one after the other, or with -AsKubernetesJob all at once. Without it, the one
    /// of -Site.
    /// </summary>
    [Parameter(ValueFromPipeline = true)]
    [SmcSite]
    [ValidateNotNullOrEmpty]
    public string? InputObject { get; set; }

    /// <inheritdoc/>
    protected sealed override Task EndProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken) =>
        RunJobsAsync<BackupInfo>(pipeline, backup => pipeline.WriteObjectAsync(backup), cancellationToken);

    /// <summary>Loads the site that is meant: of this turn of the pipeline, or of all.</summary>
    private protected Task<Site> LoadInputAsync(SmcPipeline pipeline) => LoadSiteAsync(pipeline, InputObject ?? Site);
}
