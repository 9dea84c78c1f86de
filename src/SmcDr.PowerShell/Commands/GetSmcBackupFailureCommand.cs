using System.Management.Automation;
using SmcDr.Core.Failures;
using SmcDr.Core.Notifications;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets why backups of the site failed, newest first: what went wrong, where, and what to do about it.</summary>
/// <remarks>
/// <para>
/// Every command that backs up notes in the repository why it failed, whoever ran it: a schedule, a Job of the cluster, an automation account or a person. What the
/// repository did not take, because it was that which failed, is noted on the host that ran it, for the account that ran it.
/// </para>
/// <para>
/// A backup that was begun and never finished is among them when nothing of it was stored for an hour: its process was ended from outside, or its host
/// was lost.
/// </para>
/// <para>
/// NextBackupId is the backup that has made up for it; where it is empty, there is none since. A backup of several components at once (Backup-SmcSystem) has no
/// Component, and its Problem names the parts.
/// </para>
/// </remarks>
/// <example>
/// <code>Get-SmcBackupFailure -First 1 | Format-List</code>
/// Why the last backup that failed did so, and what to do about it.
/// </example>
/// <example>
/// <code>Get-SmcBackupFailure -After -24h</code>
/// What failed since yesterday.
/// </example>
/// <example>
/// <code>Get-SmcBackupFailure -Component Database | Where-Object NextBackupId -eq $null | Send-SmcAlert</code>
/// Tells the site's channels of failures that no backup of the database has made up for.
/// </example>
/// <example>
/// <code>Get-SmcBackupFailure -After -30d | Group-Object ErrorId | Sort-Object Count -Descending</code>
/// What has failed most often in the last month.
/// </example>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso cref="TestSmcBackupCommand"/>
/// <seealso cref="TestSmcSiteCommand"/>
/// <seealso cref="RegisterSmcScheduleCommand"/>
/// <seealso href="about_SmcDr_Errors"/>
[Cmdlet(VerbsCommon.Get, "SmcBackupFailure")]
[OutputType(typeof(BackupFailure))]
public sealed class GetSmcBackupFailureCommand : SiteCmdlet
{
    /// <summary>Only those of these components. Without it, of all, and of commands that back up several.</summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    public Component[] Component { get; set; } = [];

    /// <summary>Only those after this instant, such as -24h.</summary>
    [Parameter]
    [SmcInstant]
    public Instant? After { get; set; }

    /// <summary>At most how many, the newest.</summary>
    [Parameter]
    [ValidateRange(1, int.MaxValue)]
    public int First { get; set; } = int.MaxValue;

    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        DateTimeOffset? after = After?.Resolve();
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        IReadOnlyList<BackupFailure> failures = await BackupFailures.ListAsync(
            site,
            SiteArguments.CreateSecrets(pipeline),
            new BackupFailureQuery
            {
                Components = Component,
                After = after,
                First = First,
                StateDirectory = AlertSendOptions.FindStateDirectory(Environment.GetEnvironmentVariable),
            },
            pipeline,
            cancellationToken).ConfigureAwait(false);
        await pipeline.WriteObjectAsync(failures, enumerateCollection: true).ConfigureAwait(false);
    }
}
