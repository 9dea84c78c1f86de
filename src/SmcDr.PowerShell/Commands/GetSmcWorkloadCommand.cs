using System.Management.Automation;
using SmcDr.Core.Kubernetes.Workloads;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets the workloads in Kubernetes that write to the site's database, in the order in which they are stopped.</summary>
/// <remarks>
/// <para>
/// State is Running, NotReady, Stopping, Suspended or Stopped. Suspended is what SmcDr has stopped: it remembers the number of replicas, and
/// Resume-SmcWorkload starts it again with as many. Stopped is what somebody else has scaled to none.
/// </para>
/// </remarks>
/// <example>
/// <code>Get-SmcWorkload</code>
/// Shows the writers of the session's current site.
/// </example>
/// <example>
/// <code>Get-SmcWorkload *gateway* | Suspend-SmcWorkload</code>
/// Stops some of them.
/// </example>
/// <example>
/// <code>Get-SmcWorkload | Where-Object State -eq Suspended | Format-Table Name, RememberedReplicas, SuspendedTime, SuspendedBy</code>
/// Shows what a recovery or a person has stopped, and as what it would be started again.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.ClusterUnavailable"/>: The API server does not answer.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.ResourceNotFound"/>: The cluster has no such workload.</exception>
/// <seealso cref="SuspendSmcWorkloadCommand"/>
/// <seealso cref="ResumeSmcWorkloadCommand"/>
/// <seealso cref="RestoreSmcSystemCommand"/>
[Cmdlet(VerbsCommon.Get, "SmcWorkload")]
[OutputType(typeof(WorkloadInfo))]
public sealed class GetSmcWorkloadCommand : WorkloadCmdlet
{
    /// <inheritdoc/>
    private protected override async Task<WorkloadInfo?> WorkAsync(
        SmcPipeline pipeline, ClusterWorkloads workloads, WorkloadName workload, CancellationToken cancellationToken) =>
        await workloads.GetAsync(workload, cancellationToken).ConfigureAwait(false);
}
