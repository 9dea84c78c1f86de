using System.Management.Automation;
using SmcDr.Core.Runbooks;
using SmcDr.Core.Sites.Plans;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Carries a runbook out: what is to be done in a scenario, as one plan.</summary>
/// <remarks>
/// <para>
/// It is a plan as those of Restore-SmcSystem and Start-SmcRegionFailover, made of their steps and of what the scenario needs besides: with a journal in the
/// repository, resumed by the same command, shown by Get-SmcPlan. -WhatIf writes its steps with predicted durations, and warns of what will be asked. How long
/// it took is what Get-SmcRunbook shows as measured from then on.
/// </para>
/// <para>
/// PodFailure waits two minutes whether database and Redis come back by themselves, and restores what does not. DatabaseCorruption saves what can be read of
/// the present database, recovers it to -TargetTime and takes a full backup. RegionFailure leads the site to the other region; with one region it is
/// DataCenterFailure: all parts are restored. Ransomware needs -TargetTime, restores from the place alone whose backups are locked, a copy before the
/// repository, and only after every byte of them was read and the database was recovered to a server that is thrown away and looked at.
/// </para>
/// <para>
/// What only a person can decide is asked before anything is changed: to restore a pod's data, to recover without an instant, to replace a system that
/// answers, to restore from backups that nobody has locked. Where nobody can be asked the command fails; -Force says yes to all of it. -Confirm:$false alone
/// does not.
/// </para>
/// </remarks>
/// <example>
/// <code>Invoke-SmcRunbook DatabaseCorruption -TargetTime 2026-11-05T10:00:00Z -WhatIf | Format-Table Title, PredictedSeconds, Detail -Wrap</code>
/// Shows what would be done, and how long each step is expected to take.
/// </example>
/// <example>
/// <code>Invoke-SmcRunbook Ransomware -TargetTime 2026-11-05T10:00:00Z</code>
/// Brings the system back as it was before an attack, from locked backups.
/// </example>
/// <example>
/// <code>Invoke-SmcRunbook DataCenterFailure -Force -Confirm:$false</code>
/// Restores everything to what the site file names, and asks nothing.
/// </example>
/// <example>
/// <code>Invoke-SmcRunbook RegionFailure -Region west -Confirm:$false</code>
/// Leads the site to the region west; a primary that lives is refused all the same.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.PlanUnfinished"/>: Another plan of the site was not finished: resume it, take it back or give it up first.
/// </exception>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.PrimaryAlive"/>: The region that is to be left gives signs of life, and -Force is not given.
/// </exception>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.BackupTestFailed"/>: Backups from before an attack could not be relied on; nothing was restored.
/// </exception>
/// <seealso cref="GetSmcRunbookCommand"/>
/// <seealso cref="GetSmcPlanCommand"/>
/// <seealso cref="ResumeSmcPlanCommand"/>
/// <seealso cref="RestoreSmcSystemCommand"/>
/// <seealso cref="StartSmcRegionFailoverCommand"/>
/// <seealso cref="StartSmcIncidentCommand"/>
[Cmdlet(VerbsLifecycle.Invoke, "SmcRunbook", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(PlanStepResult), typeof(SystemRestoreResult))]
public sealed class InvokeSmcRunbookCommand : NewPlanCmdlet
{
    private RunbookRequest? _request;

    /// <summary>What has happened.</summary>
    [Parameter(Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    public IncidentScenario Scenario { get; set; }

    /// <summary>
    /// The instant to go back to: with Z or an offset, such as 2026-11-05T10:00:00Z, or relative to now, such as -10m. One relative to now is another one each
    /// time: go on with what was interrupted by -Resume.
    /// </summary>
    [Parameter]
    [SmcInstant]
    public Instant? TargetTime { get; set; }

    /// <summary>Where a region has failed, the one that is to lead. Without it, the only other one.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RegionCompleter))]
    public string? Region { get; set; }

    /// <summary>Says yes to all that would be asked, and leaves a region although its primary gives signs of life.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    private protected override SitePlanRequest CreateRequest(bool isWhatIf)
    {
        RunbookOptions options = new() { Scenario = Scenario, TargetTime = TargetTime?.Resolve(), Region = Region, Force = Force };
        // Whoever only wants to see it does not want to wait for it.
        _request = new RunbookRequest(isWhatIf ? options with { IsPreview = true, Patience = TimeSpan.Zero } : options);
        return _request.Plan;
    }

    /// <inheritdoc/>
    private protected override async Task<bool> ApproveAsync(SmcPipeline pipeline, bool isWhatIf)
    {
        foreach (string question in Force ? [] : _request!.Questions)
        {
            if (isWhatIf)
            {
                pipeline.WriteWarning($"It will be asked: {question}");
            }
            else if (!await pipeline.ShouldContinueAsync(question, $"Runbook {Scenario}").ConfigureAwait(false))
            {
                return false;
            }
        }

        return true;
    }
}
