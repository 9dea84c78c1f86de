using System.Management.Automation;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Systems.Restore;
using SmcDr.PowerShell.Arguments;

namespace SmcDr.PowerShell.Commands;

/// <summary>Restores the whole system of the site's primary region from its backups: configuration, database, Redis and file stores.</summary>
/// <remarks>
/// <para>
/// It is one plan: look at the backups and the cluster; stop the writers, in the site's order; restore the configuration, where the database, Redis and the
/// writers are not started by it; restore database, Redis and file stores beside each other; start the writers; check the system as Test-SmcSystem does;
/// and say how long it took and what is lost, beside the site's objectives. Each step is written as it ends. One that fails stops what builds on it, and
/// nothing else. The last object has the measured time and loss of each component with the verdict.
/// </para>
/// <para>
/// What is restored is decided at the beginning, and stands in the plan: the backups by their ids, the timeline, the instant. Interrupted at whatever
/// moment, the same command goes on, also on another host. -WhatIf writes the steps with predicted durations, and says what would be lost.
/// </para>
/// <para>
/// Data of the database is moved aside, not deleted. A server of this host that still runs in the data directory is refused: stop it first. A running Redis
/// of this host is emptied and written to; one that does not answer, or is in Kubernetes, gets its file. Files that a file store's backup does not have
/// stay.
/// </para>
/// </remarks>
/// <example>
/// <code>Restore-SmcSystem -WhatIf | Format-Table Title, PredictedStartSeconds, PredictedSeconds, Detail -Wrap</code>
/// Shows what would be done, how long each step is expected to take, and what would be lost.
/// </example>
/// <example>
/// <code>Restore-SmcSystem -TargetTime 2026-11-05T10:00:00Z</code>
/// Goes back to an instant: the database by its WAL, all else to the newest backup from before it.
/// </example>
/// <example>
/// <code>Restore-SmcSystem -Component Configuration, Database</code>
/// Leaves Redis and the file stores as they are.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.PlanUnfinished"/>: Another plan of the site was not finished: resume it, take it back or give it up first.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.TargetOutsideWindow"/>: The instant lies in no recovery window of the database.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.TargetInUse"/>: A database server of this host still runs in its data directory.</exception>
/// <seealso cref="BackupSmcSystemCommand"/>
/// <seealso cref="TestSmcSystemCommand"/>
/// <seealso cref="GetSmcPlanCommand"/>
/// <seealso cref="ResumeSmcPlanCommand"/>
/// <seealso cref="UndoSmcPlanCommand"/>
/// <seealso cref="InvokeSmcRunbookCommand"/>
[Cmdlet(VerbsData.Restore, "SmcSystem", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(PlanStepResult), typeof(SystemRestoreResult))]
public sealed class RestoreSmcSystemCommand : NewPlanCmdlet
{
    /// <summary>
    /// The instant to go back to: with Z or an offset, such as 2026-11-05T10:00:00Z, or relative to now, such as -10m. Without a zone it is refused. One
    /// relative to now is another one each time: go on with what was interrupted by -Resume.
    /// </summary>
    [Parameter]
    [SmcInstant]
    public Instant? TargetTime { get; set; }

    /// <summary>What is restored. Without it, all that the site has.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public Component[] Component { get; set; } = [];

    /// <inheritdoc/>
    private protected override SitePlanRequest CreateRequest(bool isWhatIf) =>
        SystemRestore.CreateRequest(new SystemRestoreOptions { TargetTime = TargetTime?.Resolve(), Components = Component });
}
