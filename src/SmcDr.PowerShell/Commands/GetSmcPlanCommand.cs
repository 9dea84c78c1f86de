using System.Management.Automation;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets the plans of the site in the repository's journal: what was done with the whole system, by whom, and how far it is.</summary>
/// <example>
/// <code>(Get-SmcPlan -First 1).Steps</code>
/// Shows the steps of the newest plan.
/// </example>
[Cmdlet(VerbsCommon.Get, "SmcPlan", DefaultParameterSetName = ListSet)]
[OutputType(typeof(PlanInfo))]
public sealed class GetSmcPlanCommand : SiteCmdlet
{
    private const string ListSet = "List";
    private const string IdSet = "Id";

    /// <summary>The plan's id.</summary>
    [Parameter(Mandatory = true, Position = 0, ParameterSetName = IdSet, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    public string PlanId { get; set; } = "";

    /// <summary>At most how many, the newest first.</summary>
    [Parameter(ParameterSetName = ListSet)]
    [ValidateRange(1, int.MaxValue)]
    public int First { get; set; } = 20;

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
