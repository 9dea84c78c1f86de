using System.Management.Automation;
using SmcDr.Core.Sites.Plans;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>The base of the cmdlets that begin a plan of the site.</summary>
public abstract class NewPlanCmdlet : PlanCmdlet
{
    /// <summary>
    /// Goes on with the newest unfinished plan of this command, whatever else is asked for here. Without it, a plan that was interrupted is gone on with
    /// where it was asked for in the same words, and stands in the way where it was not.
    /// </summary>
    [Parameter]
    public SwitchParameter Resume { get; set; }

    /// <summary>The unfinished plan to go on with, as Get-SmcPlan shows it.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(PlanIdCompleter))]
    public string? PlanId { get; set; }

    /// <summary>Gives up plans of the site that were not finished. What they have done stays as it is.</summary>
    [Parameter]
    public SwitchParameter AbandonUnfinished { get; set; }

    /// <summary>
    /// Keeps neither a journal nor the site's lease: for a repository that is full, or lost but for its copies. If the plan is interrupted it begins anew, and
    /// nothing keeps a second operation away.
    /// </summary>
    [Parameter]
    public SwitchParameter NoJournal { get; set; }

    /// <summary>How many steps are at work at a time, where one does not build on another. Without it, four.</summary>
    [Parameter]
    [ValidateRange(1, 16)]
    public int? Parallelism { get; set; }

    /// <summary>What is asked for.</summary>
    /// <param name="isWhatIf">Whether it is only looked at.</param>
    private protected abstract SitePlanRequest CreateRequest(bool isWhatIf);

    /// <summary>Asks what only a person can decide, once the plan is known and before it is shown; false where the answer is no.</summary>
    /// <param name="pipeline">Asks.</param>
    /// <param name="isWhatIf">Whether it is only told what would be asked.</param>
    private protected virtual Task<bool> ApproveAsync(SmcPipeline pipeline, bool isWhatIf) => Task.FromResult(true);

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        bool isWhatIf = await IsWhatIfAsync(pipeline).ConfigureAwait(false);
        SitePlanRequest request = CreateRequest(isWhatIf);
        SitePlanContext context = await OpenContextAsync(pipeline, cancellationToken).ConfigureAwait(false);
        SitePlanOptions options = new()
        {
            Resume = Resume,
            PlanId = PlanId,
            AbandonUnfinished = AbandonUnfinished,
            BreakLease = BreakLease,
            NoJournal = NoJournal,
            Parallelism = Parallelism,
        };
        SitePlan plan = await SitePlans.PrepareAsync(context, request, options, cancellationToken).ConfigureAwait(false);
        if (await ApproveAsync(pipeline, isWhatIf).ConfigureAwait(false))
        {
            await CarryOutAsync(pipeline, plan, cancellationToken).ConfigureAwait(false);
        }
    }
}
