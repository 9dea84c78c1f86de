using System.Management.Automation;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Stops the workloads in Kubernetes that write to the site's database, and waits until their pods are gone.</summary>
/// <remarks>
/// <para>
/// They are stopped in the site's order, each after the one before is gone. Deployments, StatefulSets and ReplicaSets are scaled to none, DaemonSets get a node selector
/// that no node fits, CronJobs are suspended and the jobs that run are waited for. How it was is remembered in an annotation of the workload itself, which is
/// written by the same request that stops it. The command can be run again at any time, and goes on from what it finds.
/// </para>
/// <para>
/// An autoscaler does nothing while there are no replicas. Who scales a workload back while it is waited for, as GitOps and operators do, is an error that names
/// who did it; pause that first.
/// </para>
/// </remarks>
/// <example>
/// <code>Suspend-SmcWorkload -WhatIf</code>
/// Shows what would be stopped.
/// </example>
/// <example>
/// <code>Suspend-SmcWorkload deployment/trading-engine -Timeout 2m -Confirm:$false</code>
/// Stops one, whose pods have two minutes to go.
/// </example>
/// <example>
/// <code>Suspend-SmcWorkload -Confirm:$false; try { Invoke-SmcDatabaseRecovery smc_trading -Confirm:$false } finally { Resume-SmcWorkload -Wait }</code>
/// Stops all writers around something, and starts them again whatever becomes of it.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.WorkloadScaledBack"/>: Something scales a workload back; the message names who did.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.OperationTimedOut"/>: Pods did not go in time.</exception>
/// <seealso cref="ResumeSmcWorkloadCommand"/>
/// <seealso cref="GetSmcWorkloadCommand"/>
/// <seealso cref="InvokeSmcDatabaseRecoveryCommand"/>
[Cmdlet(VerbsLifecycle.Suspend, "SmcWorkload", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(WorkloadInfo))]
public sealed class SuspendSmcWorkloadCommand : WorkloadCmdlet
{
    /// <summary>How long the pods of each may take to go, such as 2m. Without it, five minutes.</summary>
    [Parameter]
    [SmcDuration]
    public TimeSpan? Timeout { get; set; }

    /// <inheritdoc/>
    private protected override TimeSpan? TimeLimit => Timeout;

    /// <inheritdoc/>
    private protected override async Task<WorkloadInfo?> WorkAsync(
        SmcPipeline pipeline, ClusterWorkloads workloads, WorkloadName workload, CancellationToken cancellationToken)
    {
        WorkloadInfo now = await workloads.GetAsync(workload, cancellationToken).ConfigureAwait(false);
        return now.State is "Suspended" or "Stopped" ? now
            : await pipeline.ShouldProcessAsync(Describe(now), ClusterWorkloads.DescribeSuspension(now)).ConfigureAwait(false)
                ? await workloads.SuspendAsync(workload, cancellationToken).ConfigureAwait(false)
                : null;
    }
}
