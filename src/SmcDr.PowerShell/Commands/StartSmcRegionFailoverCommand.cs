using System.Management.Automation;
using SmcDr.Core.Regions.Failover;
using SmcDr.Core.Sites.Plans;
using SmcDr.PowerShell.Arguments;

namespace SmcDr.PowerShell.Commands;

/// <summary>Leads the site to another region: fences the old one, replays all that there is, promotes the standby, and brings writers and clients
/// over.</summary>
/// <remarks>
/// <para>
/// Without -Planned it is for a region that is lost. The primary is looked for from several sides first, directly, by its standby, on its host and in its
/// cluster; where it gives a sign of life the command refuses, and -Force does it all the same. The repository then takes no WAL of the old region any more,
/// the standby replays what it has received and what the repository has, and is promoted. The last step says how long it took and what was lost; its
/// property Failover has both as numbers, beside the objectives of the site's database.
/// </para>
/// <para>
/// With -Planned nothing is lost: writers are stopped, the old primary is shut down cleanly, all of its WAL is replayed, and only then the region is fenced
/// and the standby promoted. The old primary becomes a standby where it is on this host. Run it there: on another host there is SQL alone, and a server
/// cannot be shut down by that.
/// </para>
/// <para>
/// It is a plan with a journal in the repository. Interrupted, the same command goes on, also run by somebody else elsewhere. Up to the promotion it can be
/// taken back by Undo-SmcPlan. Which region leads is recorded in the repository, and commands go by that from then on; the same command once more finds that
/// it leads, and changes nothing. Start-SmcRegionFailback leads back.
/// </para>
/// </remarks>
/// <example>
/// <code>Start-SmcRegionFailover -Region west -WhatIf</code>
/// Rehearses it: shows the steps, and how long each is expected to take, also while the primary is well.
/// </example>
/// <example>
/// <code>Start-SmcRegionFailover -Region west -Planned</code>
/// Leads the site to the region west without a loss.
/// </example>
/// <example>
/// <code>Get-SmcRegion west | Where-Object CanTakeOver | ForEach-Object { Start-SmcRegionFailover $_.Name -Confirm:$false }</code>
/// For a runbook with an approval before it: leads the site there without asking, and only if the region can take over.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.PrimaryAlive"/>: The primary gives a sign of life: look at it, lead away by -Planned, or leave it behind by -Force.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.RegionUnsuitable"/>: The region cannot take over as it is.</exception>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.PlanUnfinished"/>: Another plan of the site was not finished: resume it, take it back or give it up first.
/// </exception>
/// <seealso cref="GetSmcRegionCommand"/>
/// <seealso cref="StartSmcRegionFailbackCommand"/>
/// <seealso cref="InitializeSmcRegionReplicaCommand"/>
/// <seealso cref="SetSmcDnsRecordCommand"/>
/// <seealso cref="GetSmcPlanCommand"/>
/// <seealso cref="ResumeSmcPlanCommand"/>
/// <seealso cref="UndoSmcPlanCommand"/>
/// <seealso href="about_SmcDr_Failover"/>
[Cmdlet(VerbsLifecycle.Start, "SmcRegionFailover", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(PlanStepResult))]
public sealed class StartSmcRegionFailoverCommand : NewPlanCmdlet
{
    /// <summary>The region that is to lead. Without it, the only one that the site file calls standby.</summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RegionCompleter))]
    public string? Region { get; set; }

    /// <summary>Loses nothing: stops the writers, shuts the old primary down cleanly, and promotes when all of it is replayed.</summary>
    [Parameter]
    public SwitchParameter Planned { get; set; }

    /// <summary>Does it although the primary gives signs of life, and without WAL that cannot be brought to the standby.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>
    /// What starts smcdr on this host, with further words where it needs some, for the restore_command of an old primary that becomes a standby. Without it,
    /// that standby has no second source until Initialize-SmcRegionReplica gives it one.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] Program { get; set; } = [];

    /// <inheritdoc/>
    private protected override SitePlanRequest CreateRequest(bool isWhatIf) =>
        RegionFailover.CreateRequest(Region, Planned, Force, Program, isWhatIf);
}
