using System.Management.Automation;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Ends the holds on backups.</summary>
/// <remarks>
/// <para>
/// Locks are not ended: they end by themselves, at their time. Where one is left, a warning says until when.
/// </para>
/// </remarks>
/// <example>
/// <code>Unprotect-SmcBackup 20261122T081500Z-full</code>
/// Lets the next Invoke-SmcRetention decide about the backup again.
/// </example>
/// <example>
/// <code>Get-SmcBackup -State Complete | Where-Object Label -eq 'year end' | Unprotect-SmcBackup -Confirm:$false</code>
/// Ends the holds on backups by their label.
/// </example>
/// <example>
/// <code>Unprotect-SmcBackup 20261122T081500Z-full -WhatIf</code>
/// Says which holds would be ended.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.BackupNotFound"/>: There is no backup of this id.</exception>
/// <seealso cref="ProtectSmcBackupCommand"/>
/// <seealso cref="InvokeSmcRetentionCommand"/>
/// <seealso cref="RemoveSmcBackupCommand"/>
[Cmdlet(VerbsSecurity.Unprotect, "SmcBackup", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(void))]
public sealed class UnprotectSmcBackupCommand : BackupCmdlet
{
    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository repository = await site.OpenRepositoryAsync(SiteArguments.CreateSecrets(pipeline), cancellationToken).ConfigureAwait(false);
        BackupProtections protections = new(repository);
        foreach (string id in Id)
        {
            Component component = await repository.FindComponentAsync(id, Component, cancellationToken).ConfigureAwait(false);
            ProtectionState state = await protections.GetAsync(component, id, cancellationToken).ConfigureAwait(false);
            if (!await pipeline.ShouldProcessAsync(
                $"{component} backup {id} in {repository.Location}",
                state.Hold is { } hold ? $"End all holds: {hold}" : "End all holds, of which there is none").ConfigureAwait(false))
            {
                continue;
            }

            int released = await protections.ReleaseAsync(component, id, cancellationToken).ConfigureAwait(false);
            pipeline.WriteVerbose(released == 0 ? $"The backup '{id}' was not held." : $"The backup '{id}' is not held any more.");
            if (state.LockedUntil is { } until && state.IsActive(DateTimeOffset.UtcNow))
            {
                pipeline.WriteWarning($"The backup '{id}' is locked until {DisplayText.Time(until)}.");
            }
        }
    }
}
