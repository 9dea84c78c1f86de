using System.Management.Automation;
using SmcDr.Core.Runbooks;
using SmcDr.Core.Sites.Plans;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Takes back what an unfinished plan of the site has done, the last step first.</summary>
/// <remarks>
/// <para>
/// A step is taken back only when all that builds on it is. Where one cannot be, as a database that was put in its place, it and what it builds on stay,
/// and the command says so; what was taken back stays taken back.
/// </para>
/// </remarks>
/// <example>
/// <code>Undo-SmcPlan -WhatIf</code>
/// Says which plan would be taken back, and how far it is.
/// </example>
/// <example>
/// <code>Undo-SmcPlan 20261122T081500Z-start-regionfailover</code>
/// Takes back a failover that has not promoted the standby yet.
/// </example>
/// <example>
/// <code>Get-SmcPlan | Where-Object State -eq Unfinished | Undo-SmcPlan -BreakLease</code>
/// Takes back what a host that is gone has begun, after a question for each.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.PlanUnsuitable"/>: There is no unfinished plan, or a step cannot be taken back.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.OperationInProgress"/>: Somebody is carrying the plan out.</exception>
/// <seealso cref="GetSmcPlanCommand"/>
/// <seealso cref="ResumeSmcPlanCommand"/>
/// <seealso cref="StopSmcPlanCommand"/>
[Cmdlet(VerbsCommon.Undo, "SmcPlan", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(PlanStepResult))]
public sealed class UndoSmcPlanCommand : PlanCmdlet
{
    /// <summary>The plan, as Get-SmcPlan shows it. Without it, the newest that was not finished.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(PlanIdCompleter))]
    public string? PlanId { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        SitePlanContext context = await OpenContextAsync(pipeline, cancellationToken).ConfigureAwait(false);
        SitePlanOptions options = new() { PlanId = PlanId, BreakLease = BreakLease };
        SitePlan plan = await SitePlans.ResumeAsync(context, SitePlanKinds.All, options, cancellationToken).ConfigureAwait(false);
        string description = plan.DescribeUndo();
        if (await pipeline.ShouldProcessAsync(
            description, $"{description}{Environment.NewLine}Take it back?", $"Take back the plan '{plan.PlanId}'").ConfigureAwait(false))
        {
            await WriteAsync(pipeline, plan.UndoAsync(cancellationToken)).ConfigureAwait(false);
        }
    }
}
