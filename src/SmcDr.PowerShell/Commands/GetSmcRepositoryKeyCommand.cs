using System.Management.Automation;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Gets who can open the site's encrypted repository, and whether the site's key does.</summary>
/// <remarks>
/// <para>
/// There is one line for each recipient and key: a repository whose key was renewed has several keys, and a recipient needs all of
/// them to read all backups. Opens says of each line whether the site's key has opened it just now.
/// </para>
/// </remarks>
/// <example>
/// <code>Get-SmcRepositoryKey | Where-Object Opens</code>
/// Shows which recipient the session's current site is.
/// </example>
/// <example>
/// <code>Get-SmcRepositoryKey | Format-Table Name, Kind, KeyId, Current, Opens, CreatedTime</code>
/// Shows who can open the repository, and with which of its keys new backups are written.
/// </example>
/// <example>
/// <code>if (@(Get-SmcRepositoryKey | Select-Object -Property Name -Unique).Count -lt 2) {
///     Send-SmcAlert 'Only one key opens the backups' -Severity Warning -Key keys
/// }</code>
/// For monitoring: tells the site's channels where the loss of one key would be the loss of all backups.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.KeyMissing"/>: The site names no key.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.RepositoryNotEncrypted"/>: A key is named, and the repository is not encrypted.</exception>
/// <seealso cref="NewSmcRepositoryKeyCommand"/>
/// <seealso cref="RemoveSmcRepositoryKeyCommand"/>
/// <seealso cref="UpdateSmcRepositoryKeyCommand"/>
/// <seealso href="about_SmcDr_Security"/>
[Cmdlet(VerbsCommon.Get, "SmcRepositoryKey")]
[OutputType(typeof(RepositoryKeyInfo))]
public sealed class GetSmcRepositoryKeyCommand : SiteCmdlet
{
    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        using RepositoryKeySource? key = await site.ResolveKeyAsync(SiteArguments.CreateSecrets(pipeline), cancellationToken).ConfigureAwait(false);
        IObjectStore store = ObjectStoreFactory.Open(site.Repository.Location);
        await using (store.ConfigureAwait(false))
        {
            foreach (RepositoryKeyInfo info in await RepositoryRecipients.ListAsync(
                store, key, pipeline.WriteWarning, cancellationToken).ConfigureAwait(false))
            {
                await pipeline.WriteObjectAsync(info).ConfigureAwait(false);
            }
        }
    }
}
