using System.Management.Automation;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Starts the workloads again that Suspend-SmcWorkload, or a recovery, has stopped, as they were.</summary>
/// <remarks>
/// <para>
/// They are started from the last to the first of the site's order. What SmcDr has not stopped is left as it is, with a warning where it is stopped.
/// </para>
/// </remarks>
/// <example>
/// <code>Resume-SmcWorkload -Wait</code>
/// Starts all writers of the session's current site, and returns when they are ready.
/// </example>
/// <example>
/// <code>Resume-SmcWorkload deployment/api-gateway -Wait -Timeout 10m</code>
/// Starts one of them, which may take ten minutes to become ready.
/// </example>
/// <example>
/// <code>Get-SmcWorkload -Region west | Where-Object State -eq Suspended | Resume-SmcWorkload -WhatIf</code>
/// Says which workloads of the other region would be started, and as what.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.OperationTimedOut"/>: A workload did not become ready in time.</exception>
/// <seealso cref="SuspendSmcWorkloadCommand"/>
/// <seealso cref="GetSmcWorkloadCommand"/>
[Cmdlet(VerbsLifecycle.Resume, "SmcWorkload", SupportsShouldProcess = true)]
[OutputType(typeof(WorkloadInfo))]
public sealed class ResumeSmcWorkloadCommand : WorkloadCmdlet
{
    /// <summary>Waits for each until all of it is ready, before the next one is started.</summary>
    [Parameter]
    public SwitchParameter Wait { get; set; }

    /// <summary>With -Wait, how long each may take to become ready, such as 2m. Without it, five minutes.</summary>
    [Parameter]
    [SmcDuration]
    public TimeSpan? Timeout { get; set; }

    /// <inheritdoc/>
    private protected override bool IsReversed => true;

    /// <inheritdoc/>
    private protected override TimeSpan? TimeLimit => Timeout;

    /// <inheritdoc/>
    private protected override async Task<WorkloadInfo?> WorkAsync(
        SmcPipeline pipeline, ClusterWorkloads workloads, WorkloadName workload, CancellationToken cancellationToken)
    {
        WorkloadInfo now = await workloads.GetAsync(workload, cancellationToken).ConfigureAwait(false);
        if (now.SuspendedTime is not null &&
            !await pipeline.ShouldProcessAsync(Describe(now), ClusterWorkloads.DescribeResumption(now)).ConfigureAwait(false))
        {
            return null;
        }

        // Also where there is nothing to start: it may be waited for, and of one that stays stopped there is a warning.
        return await workloads.ResumeAsync(workload, Wait, cancellationToken).ConfigureAwait(false);
    }
}
