using System.Management.Automation;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>The base of the cmdlets that carry out a plan of the site, or take it back.</summary>
public abstract class PlanCmdlet : SiteCmdlet
{
    /// <summary>
    /// Takes the site's lease from an operation that still has it, such as one on a host that cannot be reached. That stops before its next step; make sure
    /// that it does.
    /// </summary>
    [Parameter]
    public SwitchParameter BreakLease { get; set; }

    /// <summary>Opens what a plan of the site works with.</summary>
    private protected async Task<SitePlanContext> OpenContextAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        return await SitePlanContext.OpenAsync(site, SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Shows the plan, asks, carries it out and writes each step as it ends. With -WhatIf the steps are written as they are planned.</summary>
    private protected static async Task CarryOutAsync(SmcPipeline pipeline, SitePlan plan, CancellationToken cancellationToken)
    {
        IReadOnlyList<PlanStepResult> steps = await plan.PreviewAsync(cancellationToken).ConfigureAwait(false);
        if (await IsWhatIfAsync(pipeline).ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(steps, enumerateCollection: true).ConfigureAwait(false);
            return;
        }

        string description = plan.Describe(steps);
        if (await pipeline.ShouldProcessAsync(
            description, $"{description}{Environment.NewLine}Carry this plan out?", plan.Plan.Title).ConfigureAwait(false))
        {
            await WriteAsync(pipeline, plan.RunAsync(cancellationToken)).ConfigureAwait(false);
        }
    }

    /// <summary>Writes each step as it comes, and behind them what a restore of the system has come to.</summary>
    private protected static async Task WriteAsync(SmcPipeline pipeline, IAsyncEnumerable<PlanStepResult> steps)
    {
        SystemRestoreResult? recovery = null;
        await foreach (PlanStepResult step in steps.ConfigureAwait(false))
        {
            recovery = step.Recovery ?? recovery;
            await pipeline.WriteObjectAsync(step).ConfigureAwait(false);
        }

        if (recovery is not null)
        {
            await pipeline.WriteObjectAsync(recovery).ConfigureAwait(false);
        }
    }
}
