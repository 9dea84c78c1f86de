using System.Management.Automation;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets the intervals that the database can truly be recovered to.</summary>
/// <remarks>
/// <para>
/// A window begins where a base backup became consistent and ends where the unbroken WAL behind it does. Where the archive goes on
/// behind a missing segment, Gap names it. What the key that was given does not open has no window: it is warned of.
/// </para>
/// <para>
/// The newest window also says what would be lost if the server and its disk were gone at this moment. LossBytes is the WAL that the server has flushed
/// and the window does not have. LossSeconds is how long ago the oldest transaction was committed that is in those bytes, by the server's clock; it is 0
/// where they hold no commit. Where there are more than 64 MiB of them, and none of the first 64 MiB is a commit, it is the age of the newest
/// transaction that is in the window: never less than the truth. Where the server does not answer within five seconds, both are empty, and LossProblem says why.
/// </para>
/// </remarks>
/// <example>
/// <code>Get-SmcRecoveryWindow | Select-Object -Last 1 EarliestTime, LatestTime</code>
/// Shows from when to when the newest base backup leads.
/// </example>
/// <example>
/// <code>(Get-SmcRecoveryWindow | Select-Object -Last 1).LossSeconds</code>
/// Gives, for monitoring, how old the oldest commit is that is not in the repository.
/// </example>
/// <example>
/// <code>Get-SmcRecoveryWindow -Offline | Where-Object Gap | Format-Table BackupId, LatestTime, Gap</code>
/// Shows where write-ahead log is missing, while the server is away.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.RepositoryNotFound"/>: There is no repository yet.</exception>
/// <seealso cref="InvokeSmcPointInTimeRecoveryCommand"/>
/// <seealso cref="GetSmcWalArchiveCommand"/>
/// <seealso cref="StartSmcWalStreamCommand"/>
/// <seealso cref="MeasureSmcObjectiveCommand"/>
/// <seealso href="about_SmcDr_PointInTimeRecovery"/>
[Cmdlet(VerbsCommon.Get, "SmcRecoveryWindow")]
[OutputType(typeof(RecoveryWindow))]
public sealed class GetSmcRecoveryWindowCommand : SiteCmdlet
{
    /// <summary>Asks no server what would be lost now.</summary>
    [Parameter]
    public SwitchParameter Offline { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        SecretResolver secrets = SiteArguments.CreateSecrets(pipeline);
        Repository repository = await site.OpenForReadingAsync(secrets, pipeline, cancellationToken).ConfigureAwait(false);
        foreach (RecoveryWindow window in await site
            .ListWindowsAsync(repository, secrets, Offline, pipeline, cancellationToken).ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(window).ConfigureAwait(false);
        }
    }
}
