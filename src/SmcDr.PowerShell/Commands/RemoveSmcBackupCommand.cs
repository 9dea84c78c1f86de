using System.Management.Automation;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Removes backups for good.</summary>
/// <remarks>
/// <para>
/// A backup that is held or locked is refused, and so is one on which a running backup builds. What other backups use of it stays in
/// the repository. The write-ahead log behind it stays as well; Invoke-SmcRetention removes what no backup needs. The newest backup of its kind is
/// removed with -Force only; an emergency backup without.
/// </para>
/// </remarks>
/// <example>
/// <code>Remove-SmcBackup 20261122T081500Z-full -WhatIf</code>
/// Shows what would be freed.
/// </example>
/// <example>
/// <code>Get-SmcBackup -State Damaged | Remove-SmcBackup -Force</code>
/// Removes what cannot be restored, after a question for each.
/// </example>
/// <example>
/// <code>Get-SmcBackup | Where-Object { $_.Kind -eq 'Emergency' -and $_.StartTime -lt (Get-Date).AddMonths(-6) } | Remove-SmcBackup -Confirm:$false</code>
/// Removes emergency backups that are older than half a year, which no rule does.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.BackupProtected"/>: The backup is held, locked, damaged, or the newest complete one of its kind.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.OperationInProgress"/>: The backup seems to be running, or a running one builds on it.</exception>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso cref="InvokeSmcRetentionCommand"/>
/// <seealso cref="UnprotectSmcBackupCommand"/>
[Cmdlet(VerbsCommon.Remove, "SmcBackup", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(RetentionResult))]
public sealed class RemoveSmcBackupCommand : BackupCmdlet
{
    /// <summary>Removes also the newest backup, one that is damaged, and one that seems to be running. It does not answer the question.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository repository = await site.OpenRepositoryAsync(SiteArguments.CreateSecrets(pipeline), cancellationToken).ConfigureAwait(false);
        foreach (string id in Id)
        {
            try
            {
                await RemoveAsync(pipeline, repository, id, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (e.Code is SmcErrorCode.BackupNotFound or SmcErrorCode.BackupProtected or SmcErrorCode.OperationInProgress)
            {
                await pipeline.WriteErrorAsync(e).ConfigureAwait(false);
            }
        }
    }

    private async Task RemoveAsync(SmcPipeline pipeline, Repository repository, string id, CancellationToken cancellationToken)
    {
        Component component = await repository.FindComponentAsync(id, Component, cancellationToken).ConfigureAwait(false);
        BackupRetention retention = new(repository, null, pipeline);
        RetentionPlan plan = await retention.PlanRemovalAsync(component, id, Force, cancellationToken).ConfigureAwait(false);
        long freed = plan.Removals.Sum(static item => item.FreedBytes);
        if (!await pipeline.ShouldProcessAsync(
            $"{component} backup {id} in {repository.Location}", $"Remove for good, which frees {DisplayText.Size(freed)}").ConfigureAwait(false))
        {
            return;
        }

        foreach (RetentionResult item in await retention.ExecuteAsync(plan, cancellationToken).ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(item).ConfigureAwait(false);
        }
    }
}
