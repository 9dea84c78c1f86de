using System.Management.Automation;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Protects backups from being removed: by a hold, until somebody ends it, or by a lock, until a time.</summary>
/// <remarks>
/// <para>
/// A hold is heeded by Invoke-SmcRetention and Remove-SmcBackup, and works on any storage. A lock is also enforced by the storage, with S3
/// Object Lock, on every object that the backup needs: nobody who has only this account's rights can remove them for good. Locks are made
/// longer, never shorter.
/// </para>
/// </remarks>
/// <example>
/// <code>Protect-SmcBackup 20261122T081500Z-full -Hold 'incident 4711'</code>
/// Keeps the backup until Unprotect-SmcBackup.
/// </example>
/// <example>
/// <code>Get-SmcBackup -State Complete | Select-Object -Last 1 | Protect-SmcBackup -For 90d</code>
/// Locks the newest backup for ninety days.
/// </example>
/// <example>
/// <code>Get-SmcBackup -Component Database -State Complete | Where-Object StartTime -lt '2026-11-05T10:00Z' |
///     Select-Object -Last 1 | Protect-SmcBackup -Hold 'last before the attack'</code>
/// Keeps the last backup from before an attack, whatever retention says.
/// </example>
/// <example>
/// <code>Get-SmcBackup -State Complete | Where-Object Label -eq 'year end' | Protect-SmcBackup -Until 2033-01-01T00:00:00Z -Compliance -WhatIf</code>
/// Says which backups would be locked so that nobody at all can end it.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.LockUnsupported"/>: The storage cannot lock objects: hold the backup, or use a bucket with Object Lock.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.BackupRemoved"/>: The backup was removed meanwhile.</exception>
/// <seealso cref="UnprotectSmcBackupCommand"/>
/// <seealso cref="InvokeSmcRetentionCommand"/>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso href="about_SmcDr_Security"/>
[Cmdlet(VerbsSecurity.Protect, "SmcBackup", SupportsShouldProcess = true, DefaultParameterSetName = ByHold)]
[OutputType(typeof(ProtectionInfo))]
public sealed class ProtectSmcBackupCommand : BackupCmdlet
{
    private const string ByHold = "Hold";
    private const string ByTime = "Until";
    private const string ByDuration = "For";

    /// <summary>Holds the backup, for this reason.</summary>
    [Parameter(Mandatory = true, ParameterSetName = ByHold)]
    [ValidateNotNullOrEmpty]
    public string? Hold { get; set; }

    /// <summary>Locks the backup until this instant, with Z or an offset.</summary>
    [Parameter(Mandatory = true, ParameterSetName = ByTime)]
    [SmcInstant]
    public Instant? Until { get; set; }

    /// <summary>Locks the backup for so long from now on, such as 90d.</summary>
    [Parameter(Mandatory = true, ParameterSetName = ByDuration)]
    [SmcDuration]
    public TimeSpan? For { get; set; }

    /// <summary>Locks so that nobody at all can end it, not even the owner of the storage.</summary>
    [Parameter(ParameterSetName = ByTime)]
    [Parameter(ParameterSetName = ByDuration)]
    public SwitchParameter Compliance { get; set; }

    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        DateTimeOffset? until = Until?.Resolve() ?? (For is { } duration ? DateTimeOffset.UtcNow + duration : null);
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository repository = await site.OpenRepositoryAsync(SiteArguments.CreateSecrets(pipeline), cancellationToken).ConfigureAwait(false);
        BackupProtections protections = new(repository);
        foreach (string id in Id)
        {
            Component component = await repository.FindComponentAsync(id, Component, cancellationToken).ConfigureAwait(false);
            await protections.CheckAsync(component, id, until, cancellationToken).ConfigureAwait(false);
            string action = until is null ? "Hold"
                : $"Lock until {DisplayText.Time(until)}{(Compliance ? ", so that nobody can end it before" : "")}";
            if (!await pipeline.ShouldProcessAsync($"{component} backup {id} in {repository.Location}", action).ConfigureAwait(false))
            {
                continue;
            }

            BackupProtection protection = until is { } end
                ? await protections.LockAsync(
                    component,
                    id,
                    end,
                    Compliance ? ObjectLockMode.Compliance : ObjectLockMode.Governance,
                    pipeline,
                    cancellationToken).ConfigureAwait(false)
                : await protections.HoldAsync(component, id, Hold!, cancellationToken).ConfigureAwait(false);
            await pipeline.WriteObjectAsync(protection.ToInfo(repository.Location)).ConfigureAwait(false);
        }
    }
}
