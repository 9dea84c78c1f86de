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
[Cmdlet(VerbsCommon.Get, "SmcRepositoryKey")]
[OutputType(typeof(RepositoryKeyInfo))]
public sealed class GetSmcRepositoryKeyCommand : SiteCmdlet
{
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
