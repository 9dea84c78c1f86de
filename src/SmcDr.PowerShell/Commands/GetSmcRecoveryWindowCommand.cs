using System.Management.Automation;
using SmcDr.Core.Postgres.Wal;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets the intervals that the database can truly be recovered to.</summary>
/// <remarks>
/// <para>
/// A window begins where a base backup became consistent and ends where the unbroken WAL behind it does. Where the archive goes on
/// behind a missing segment, Gap names it.
/// </para>
/// </remarks>
/// <example>
/// <code>Get-SmcRecoveryWindow | Select-Object -Last 1 EarliestTime, LatestTime</code>
/// Shows from when to when the newest base backup leads.
/// </example>
[Cmdlet(VerbsCommon.Get, "SmcRecoveryWindow")]
[OutputType(typeof(RecoveryWindow))]
public sealed class GetSmcRecoveryWindowCommand : SiteCmdlet
{
    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        Repository repository = await site.OpenForReadingAsync(SiteArguments.CreateSecrets(pipeline), pipeline, cancellationToken).ConfigureAwait(false);
        await foreach (RecoveryWindow window in WalWindows.ListAsync(repository, cancellationToken).ConfigureAwait(false))
        {
            await pipeline.WriteObjectAsync(window).ConfigureAwait(false);
        }
    }
}
