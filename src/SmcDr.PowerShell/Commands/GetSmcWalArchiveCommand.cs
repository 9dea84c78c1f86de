using System.Management.Automation;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets the write-ahead log in the site's repository.</summary>
/// <remarks>
/// <para>
/// Each object is a segment, the part of a segment that is stored so far, or the history of a timeline. What can be recovered from
/// them is what Get-SmcRecoveryWindow tells.
/// </para>
/// </remarks>
/// <example>
/// <code>Get-SmcWalArchive | Select-Object -Last 5</code>
/// Shows the newest entries.
/// </example>
/// <example>
/// <code>Get-SmcWalArchive | Measure-Object -Property StoredBytes -Sum</code>
/// Counts what the write-ahead log takes in the repository.
/// </example>
/// <example>
/// <code>Get-SmcWalArchive | Where-Object Kind -eq History | Format-Table Name, SystemId, StoredTime</code>
/// Shows when the database was promoted or recovered: each timeline has a history.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.RepositoryNotFound"/>: There is no repository yet.</exception>
/// <seealso cref="GetSmcRecoveryWindowCommand"/>
/// <seealso cref="StartSmcWalStreamCommand"/>
/// <seealso cref="ImportSmcWalCommand"/>
/// <seealso href="about_SmcDr_PointInTimeRecovery"/>
[Cmdlet(VerbsCommon.Get, "SmcWalArchive")]
[OutputType(typeof(WalSegmentInfo))]
public sealed class GetSmcWalArchiveCommand : SiteCmdlet
{
    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository repository = await site.OpenForReadingAsync(SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
        await foreach (ulong system in WalArchive.ListSystemsAsync(repository, cancellationToken).ConfigureAwait(false))
        {
            await foreach (WalSegmentInfo entry in new WalArchive(repository, system).ListAsync(cancellationToken).ConfigureAwait(false))
            {
                await pipeline.WriteObjectAsync(entry).ConfigureAwait(false);
            }
        }
    }
}
