using System.Management.Automation;
using SmcDr.Core.Runbooks;
using SmcDr.Core.Sites.Plans;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Goes on with a plan of the site that was interrupted or failed.</summary>
/// <remarks>
/// <para>
/// All that was decided when the plan was begun stands in its journal, so it can be gone on with from any host that has the site file and reaches what
/// the plan is about. What is done is not done again, but for what does not hold any more.
/// </para>
/// <para>
/// -WhatIf writes the steps as they would be carried out, with predicted durations, and changes nothing.
/// </para>
/// </remarks>
/// <example>
/// <code>Resume-SmcPlan</code>
/// Goes on with the newest unfinished plan of the session's current site.
/// </example>
/// <example>
/// <code>Get-SmcPlan | Where-Object State -eq Unfinished | Select-Object -First 1 |
///     Resume-SmcPlan -WhatIf | Format-Table Title, State, PredictedSeconds</code>
/// Shows what is left of the newest unfinished plan, and how long it is expected to take.
/// </example>
/// <example>
/// <code>Resume-SmcPlan 20261122T081500Z-restore-system -BreakLease -Confirm:$false</code>
/// Goes on with a plan whose host is gone, without waiting for its lease to run out.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.PlanUnsuitable"/>: There is no unfinished plan, or this version would do something else by its steps.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.OperationInProgress"/>: Somebody is carrying the plan out.</exception>
/// <seealso cref="GetSmcPlanCommand"/>
/// <seealso cref="UndoSmcPlanCommand"/>
/// <seealso cref="StopSmcPlanCommand"/>
[Cmdlet(VerbsLifecycle.Resume, "SmcPlan", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(PlanStepResult), typeof(SystemRestoreResult))]
public sealed class ResumeSmcPlanCommand : PlanCmdlet
{
    /// <summary>The plan, as Get-SmcPlan shows it. Without it, the newest that was not finished.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(PlanIdCompleter))]
    public string? PlanId { get; set; }

    /// <summary>How many steps are at work at a time, where one does not build on another. Without it, four.</summary>
    [Parameter]
    [ValidateRange(1, 16)]
    public int? Parallelism { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        SitePlanContext context = await OpenContextAsync(pipeline, cancellationToken).ConfigureAwait(false);
        SitePlanOptions options = new() { PlanId = PlanId, BreakLease = BreakLease, Parallelism = Parallelism };
        await CarryOutAsync(
            pipeline, await SitePlans.ResumeAsync(context, SitePlanKinds.All, options, cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
    }
}
