using System.Management.Automation;
using SmcDr.Core.Regions.Failback;
using SmcDr.Core.Sites.Plans;
using SmcDr.PowerShell.Arguments;

namespace SmcDr.PowerShell.Commands;

/// <summary>Leads the site back to the region that led before a failover: makes its former primary a standby, and switches over without a loss.</summary>
/// <remarks>
/// <para>
/// Run it on the host of the former primary. That is stopped where it runs. Before anything of it is overwritten, what it committed and the region that leads
/// never saw is listed from its own WAL, one transaction a line with its time, position, tables and numbers of rows, in a directory beside its data directory,
/// in which its WAL and its settings are kept as well, and what its Redis had as a master of its own. The rows that those transactions inserted or updated are
/// exported there, too, of each table a CSV file as COPY reads it: for that the former primary is started once more, reachable by nobody else. Deleted
/// rows are counted by table.
/// </para>
/// <para>
/// Then it is rewound by pg_rewind, and where that cannot be or fails, restored from the repository; what is right in its directory stays. When it has caught up,
/// a planned failover leads the site to it, with writers, Redis and DNS. Where the primary that leads is on another host, the plan stops before its writers are
/// stopped, and is gone on with there by Resume-SmcPlan.
/// </para>
/// <para>
/// It is a plan with a journal in the repository. Interrupted, the same command goes on. Up to the promotion it can be taken back by Undo-SmcPlan: the former
/// primary then stays a standby.
/// </para>
/// </remarks>
/// <example>
/// <code>Start-SmcRegionFailback -WhatIf</code>
/// Shows the steps, and how long each is expected to take.
/// </example>
/// <example>
/// <code>Start-SmcRegionFailback</code>
/// Leads the site back to the region that the site file calls primary.
/// </example>
/// <example>
/// <code>Start-SmcRegionFailback east -NoRewind -Program /opt/smcdr/smcdr</code>
/// Restores the former primary from the repository instead of rewinding it, and gives the standby that it leaves a second source.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.RegionUnsuitable"/>: The former primary is not on this host, or cannot follow as it is.</exception>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.PlanUnfinished"/>: Another plan of the site was not finished: resume it, take it back or give it up first.
/// </exception>
/// <seealso cref="StartSmcRegionFailoverCommand"/>
/// <seealso cref="GetSmcRegionCommand"/>
/// <seealso cref="GetSmcPlanCommand"/>
/// <seealso cref="ResumeSmcPlanCommand"/>
/// <seealso cref="UndoSmcPlanCommand"/>
/// <seealso href="about_SmcDr_Failover"/>
[Cmdlet(VerbsLifecycle.Start, "SmcRegionFailback", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(PlanStepResult))]
public sealed class StartSmcRegionFailbackCommand : NewPlanCmdlet
{
    /// <summary>The region that is to lead again. Without it, the one that the site file calls primary.</summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RegionCompleter))]
    public string? Region { get; set; }

    /// <summary>Goes on where what the former primary committed, and nobody else has, cannot be listed, or its rows not be exported.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>Does not try pg_rewind: restores the former primary from the repository, keeping what is right in it.</summary>
    [Parameter]
    public SwitchParameter NoRewind { get; set; }

    /// <summary>
    /// What starts smcdr on this host, with further words where it needs some, for the restore_command of what becomes a standby. Without it, that standby has no
    /// second source until Initialize-SmcRegionReplica gives it one.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] Program { get; set; } = [];

    /// <inheritdoc/>
    private protected override SitePlanRequest CreateRequest(bool isWhatIf) => RegionFailback.CreateRequest(Region, Force, NoRewind, Program);
}
