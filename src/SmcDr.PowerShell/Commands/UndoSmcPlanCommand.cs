using System.Management.Automation;
using SmcDr.Core.Systems;
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
[Cmdlet(VerbsCommon.Undo, "SmcPlan", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(PlanStepResult))]
public sealed class UndoSmcPlanCommand : PlanCmdlet
{
    /// <summary>The plan, as Get-SmcPlan shows it. Without it, the newest that was not finished.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    public string? PlanId { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        SitePlanContext context = await OpenContextAsync(pipeline, cancellationToken).ConfigureAwait(false);
        SitePlanOptions options = new() { PlanId = PlanId, BreakLease = BreakLease };
        SitePlan plan = await SitePlans.ResumeAsync(context, null, options, cancellationToken).ConfigureAwait(false);
        string description = plan.DescribeUndo();
        if (await pipeline.ShouldProcessAsync(
            description, $"{description}{Environment.NewLine}Take it back?", $"Take back the plan '{plan.PlanId}'").ConfigureAwait(false))
        {
            await WriteAsync(pipeline, plan.UndoAsync(cancellationToken)).ConfigureAwait(false);
        }
    }
}
