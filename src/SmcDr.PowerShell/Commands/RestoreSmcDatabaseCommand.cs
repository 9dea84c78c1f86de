using System.Management.Automation;
using SmcDr.Core.Recovery;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;

namespace SmcDr.PowerShell.Commands;

/// <summary>Restores a database cluster on this host from a backup and all the WAL behind it.</summary>
/// <remarks>
/// <para>
/// Everything is read and checked first: the backup, the WAL, the room on the disks, and that no server runs in the directory. The plan
/// is then shown by -WhatIf, and by the question that only -Confirm:$false answers. What was in the directory is moved aside and never
/// deleted. The recovered server comes up on a new timeline: take a new base backup of it.
/// </para>
/// <para>
/// Interrupted at whatever moment, the same command continues where it stopped. To an instant instead of the end of the archive,
/// use Invoke-SmcPointInTimeRecovery.
/// </para>
/// </remarks>
/// <example>
/// <code>Restore-SmcDatabase -Force -WhatIf</code>
/// Shows what restoring from the newest backup to the end of the archive would do.
/// </example>
/// <example>
/// <code>Get-SmcBackup -State Complete | Select-Object -Last 1 | Restore-SmcDatabase -DataDirectory /srv/copy -Setting @{ port = 5433 } -Immediate</code>
/// Restores the newest backup beside the running server, as it was when it was taken.
/// </example>
[Cmdlet(VerbsData.Restore, "SmcDatabase", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(RecoveryResult))]
public sealed class RestoreSmcDatabaseCommand : RecoveryCmdlet
{
    private readonly HashSet<string> _ids = new(StringComparer.Ordinal);
    private bool _asked;

    /// <summary>The base backup to begin with, as Get-SmcBackup and Get-SmcRecoveryWindow give it. Without it, the newest.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(BackupIdCompleter))]
    public string? BackupId { get; set; }

    /// <summary>Stops as soon as the backup is consistent, instead of replaying all the WAL behind it.</summary>
    [Parameter]
    public SwitchParameter Immediate { get; set; }

    /// <inheritdoc/>
    protected override Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        _asked = true;
        if (BackupId is not null)
        {
            _ids.Add(BackupId);
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    protected override async Task EndProcessingAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        // A pipeline that brought nothing asks for nothing: the newest backup was not meant.
        if (!_asked)
        {
            pipeline.WriteWarning("No backup came through the pipeline, so nothing is restored.");
            return;
        }

        if (_ids.Count > 1)
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                $"{_ids.Count} backups were given, and a directory can hold only one.",
                recommendation: "Choose one, such as by 'Select-Object -Last 1' for the newest.");
        }

        RecoveryTarget target = Immediate ? RecoveryTarget.Immediate : RecoveryTarget.Latest;
        await RecoverAsync(pipeline, _ids.SingleOrDefault(), target, cancellationToken).ConfigureAwait(false);
    }
}
