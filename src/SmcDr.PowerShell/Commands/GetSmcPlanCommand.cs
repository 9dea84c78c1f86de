using System.Management.Automation;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets the plans of the site in the repository's journal: what was done with the whole system, by whom, and how far it is.</summary>
/// <example>
/// <code>(Get-SmcPlan -First 1).Steps</code>
/// Shows the steps of the newest plan.
/// </example>
/// <example>
/// <code>Get-SmcPlan | Where-Object State -eq Unfinished</code>
/// Shows what was begun and stands in the way of another plan.
/// </example>
/// <example>
/// <code>(Get-SmcPlan 20261122T081500Z-restore-system).Steps | Where-Object State -eq Failed | Format-List Title, Detail, ErrorId</code>
/// Shows why a plan did not get further.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.PlanUnsuitable"/>: There is no plan of this id.</exception>
/// <seealso cref="ResumeSmcPlanCommand"/>
/// <seealso cref="UndoSmcPlanCommand"/>
/// <seealso cref="StopSmcPlanCommand"/>
/// <seealso cref="RestoreSmcSystemCommand"/>
/// <seealso cref="StartSmcRegionFailoverCommand"/>
[Cmdlet(VerbsCommon.Get, "SmcPlan", DefaultParameterSetName = ListSet)]
[OutputType(typeof(PlanInfo))]
public sealed class GetSmcPlanCommand : SiteCmdlet
{
    private const string ListSet = "List";
    private const string IdSet = "Id";

    /// <summary>The plan's id.</summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = IdSet, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(PlanIdCompleter))]
    public string PlanId { get; set; } = "";

    /// <summary>At most how many, the newest first.</summary>
    [Parameter(ParameterSetName = ListSet)]
    [ValidateRange(1, int.MaxValue)]
    public int First { get; set; } = 20;

    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository repository = await site.OpenRepositoryAsync(SiteArguments.CreateSecrets(pipeline), cancellationToken).ConfigureAwait(false);
        if (ParameterSetName == IdSet)
        {
            await pipeline.WriteObjectAsync(
                await PlanJournals.GetAsync(repository, site.Name, PlanId, cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
            return;
        }

        await pipeline.WriteObjectAsync(
            await PlanJournals.ListAsync(repository, site.Name, First, cancellationToken).ConfigureAwait(false),
            enumerateCollection: true).ConfigureAwait(false);
    }
}
