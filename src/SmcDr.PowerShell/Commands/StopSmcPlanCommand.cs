using System.Management.Automation;
using SmcDr.Core.Systems;
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
[Cmdlet(VerbsLifecycle.Stop, "SmcPlan", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(PlanInfo))]
public sealed class StopSmcPlanCommand : PlanCmdlet
{
    /// <summary>The plan, as Get-SmcPlan shows it.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    public string PlanId { get; set; } = "";

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        SitePlanContext context = await OpenContextAsync(pipeline, cancellationToken).ConfigureAwait(false);
        if (await pipeline.ShouldProcessAsync(
            $"The plan '{PlanId}' of the site '{context.Site.Name}'", "Give up; what it has done stays as it is").ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(
                await SitePlans.AbandonAsync(context, PlanId, BreakLease, cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
        }
    }
}
