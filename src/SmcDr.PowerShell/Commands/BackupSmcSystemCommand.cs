using System.Management.Automation;
using SmcDr.Core.Sites;
using SmcDr.Core.Systems;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Backs up the whole system of the site's primary region: database, Redis, configuration and file stores, beside each other.</summary>
/// <remarks>
/// <para>
/// Each backup is written as it is complete, and behind them the whole, with how far the instants lie apart that the parts hold (SkewSeconds). Nothing
/// holds the parts at one instant; with WAL, the database can be recovered to that of another part (Restore-SmcSystem -TargetTime).
/// </para>
/// <para>
/// A part that fails does not stop the others. The whole is Partial then, and the command ends with an error, so that a schedule notices.
/// </para>
/// </remarks>
/// <example>
/// <code>Backup-SmcSystem -Label 'before the release'</code>
/// Backs up all that the session's current site has, under one label.
/// </example>
/// <example>
/// <code>Backup-SmcSystem -Component Database, Redis | Where-Object { $_ -is [SmcDr.SystemBackupResult] } |
///     Format-List State, SkewSeconds, Problems</code>
/// Backs up database and Redis beside each other, and shows how far they lie apart.
/// </example>
/// <example>
/// <code>Backup-SmcSystem -WhatIf</code>
/// Says what would be backed up to which repository, and does nothing.
/// </example>
/// <example>
/// <code>try { $null = Backup-SmcSystem -Label 'nightly' -ErrorAction Stop }
/// catch { Send-SmcAlert 'The nightly backup is not complete' -Text $_.Exception.Message -Key nightly; throw }</code>
/// For a scheduler that has no alerts of its own: tells the site's channels, and fails.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.SystemBackupPartial"/>: A part failed, or is not whole. The others are good, and written.</exception>
/// <seealso cref="RestoreSmcSystemCommand"/>
/// <seealso cref="TestSmcSystemCommand"/>
/// <seealso cref="TestSmcBackupCommand"/>
/// <seealso cref="BackupSmcDatabaseCommand"/>
/// <seealso cref="BackupSmcRedisCommand"/>
/// <seealso cref="BackupSmcConfigurationCommand"/>
/// <seealso cref="BackupSmcFileStoreCommand"/>
[Cmdlet(VerbsData.Backup, "SmcSystem", SupportsShouldProcess = true)]
[OutputType(typeof(BackupInfo), typeof(SystemBackupResult))]
public sealed class BackupSmcSystemCommand : SiteCmdlet
{
    /// <summary>What is backed up. Without it, all that the site has.</summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    public Component[] Component { get; set; } = [];

    /// <summary>The label that the backups share. Without it, one with the time.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Label { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        SystemBackup backup = new(
            site, SiteArguments.CreateSecrets(pipeline), new SystemBackupOptions { Label = Label, Components = Component }, pipeline);
        if (!await pipeline.ShouldProcessAsync($"The system '{site.Name}'", backup.Describe()).ConfigureAwait(false))
        {
            return;
        }

        SystemBackupResult result = await backup.RunAsync(one => pipeline.WriteObjectAsync(one), cancellationToken).ConfigureAwait(false);
        await pipeline.WriteObjectAsync(result).ConfigureAwait(false);
        if (SystemBackup.FindFailure(result) is { } failure)
        {
            await pipeline.WriteErrorAsync(failure, site.Name).ConfigureAwait(false);
        }
    }
}
