using System.Management.Automation;
using SmcDr.Core.Regions;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets the regions of the site: what each is, how far it is behind, and whether it could take over now.</summary>
/// <remarks>
/// <para>
/// Databases, Redis servers, clusters, the repository and DNS are asked at once, each for five seconds at most; what does not answer is part of the result and
/// no error. Which region leads is what the repository says: the one of the present epoch, and where no region was ever led to another, the one that the
/// site file calls primary.
/// </para>
/// <para>
/// LossBytes is what a failover would lose now: WAL that the primary has flushed and that neither the standby nor, where the standby can fetch from it, the
/// repository has. Obstacles says what stands in the way of taking over, Problems what else is not as it should be.
/// </para>
/// </remarks>
/// <example>
/// <code>Get-SmcRegion | Format-Table Name, ActualRole, LagBytes, LagSeconds, LossBytes, CanTakeOver</code>
/// Shows the regions, and whether each could take over.
/// </example>
/// <example>
/// <code>(Get-SmcRegion west).Obstacles</code>
/// Says what keeps the region west from taking over.
/// </example>
/// <example>
/// <code>Get-SmcRegion | Where-Object CanTakeOver -eq $false | Send-SmcAlert 'A region could not take over' -Key standby -Severity Warning</code>
/// For a schedule: tells the site's channels while there is nowhere to go.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.ArgumentInvalid"/>: The site has no region of this name.</exception>
/// <seealso cref="StartSmcRegionFailoverCommand"/>
/// <seealso cref="StartSmcRegionFailbackCommand"/>
/// <seealso cref="InitializeSmcRegionReplicaCommand"/>
/// <seealso cref="GetSmcDnsRecordCommand"/>
/// <seealso href="about_SmcDr_Failover"/>
[Cmdlet(VerbsCommon.Get, "SmcRegion")]
[OutputType(typeof(RegionInfo))]
public sealed class GetSmcRegionCommand : SiteCmdlet
{
    /// <summary>The region. Without it, all.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RegionCompleter))]
    public string? Name { get; set; }

    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        foreach (RegionInfo region in await RegionInspection.LookAsync(
            site, SiteArguments.CreateSecrets(pipeline), Name, pipeline, cancellationToken).ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(region).ConfigureAwait(false);
        }
    }
}
