using System.Management.Automation;
using SmcDr.Core.Sites.Plans;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gives an unfinished plan of the site up.</summary>
/// <remarks>
/// <para>
/// What the plan has done stays as it is, and what it has not done is not done: look at its steps first (Get-SmcPlan). After it another plan can begin. A
/// plan that somebody is carrying out is not given up; stop the command that does.
/// </para>
/// </remarks>
/// <example>
/// <code>Get-SmcPlan | Where-Object State -eq Unfinished | Stop-SmcPlan</code>
/// Gives up what was not finished, after a question for each.
/// </example>
/// <example>
/// <code>(Get-SmcPlan 20261122T081500Z-restore-system).Steps | Format-Table Title, State, Detail
/// Stop-SmcPlan 20261122T081500Z-restore-system -WhatIf</code>
/// Shows what a plan has done and left undone, before it is given up.
/// </example>
/// <example>
/// <code>Stop-SmcPlan 20261122T081500Z-restore-system -Confirm:$false</code>
/// Gives up a plan that another one is to replace.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.PlanUnsuitable"/>: There is no such plan, or it has ended.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.OperationInProgress"/>: Somebody is carrying the plan out.</exception>
/// <seealso cref="GetSmcPlanCommand"/>
/// <seealso cref="ResumeSmcPlanCommand"/>
/// <seealso cref="UndoSmcPlanCommand"/>
[Cmdlet(VerbsLifecycle.Stop, "SmcPlan", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(PlanInfo))]
public sealed class StopSmcPlanCommand : PlanCmdlet
{
    /// <summary>The plan, as Get-SmcPlan shows it.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(PlanIdCompleter))]
    public string PlanId { get; set; } = "";

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        SitePlanContext context = await OpenContextAsync(pipeline, cancellationToken).ConfigureAwait(false);
        string state = await SitePlans.DescribeUnfinishedAsync(context, PlanId, cancellationToken).ConfigureAwait(false);
        if (await pipeline.ShouldProcessAsync(
            $"The plan '{PlanId}' of the site '{context.Site.Name}': {state}", "Give up; what it has done stays as it is").ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(
                await SitePlans.AbandonAsync(context, PlanId, BreakLease, cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        }
    }
}
