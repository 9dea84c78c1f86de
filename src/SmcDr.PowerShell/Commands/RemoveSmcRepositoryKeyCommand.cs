using System.Management.Automation;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Removes a recipient from the site's encrypted repository.</summary>
/// <remarks>
/// <para>
/// The last recipient is refused, and so is the one that the site itself opens the repository with: whoever removes a recipient
/// proves that another one works.
/// </para>
/// <para>
/// A removed recipient opens nothing from this repository's envelopes any more. Who has opened it before may have kept its key, and an old copy
/// of the bucket keeps the envelope: where somebody is to be shut out for certain, renew the key as well with Update-SmcRepositoryKey, and
/// know that what was written before stays readable with the old key.
/// </para>
/// </remarks>
/// <example>
/// <code>Remove-SmcRepositoryKey old-laptop</code>
/// Removes a recipient from the repository of the session's current site, after asking.
/// </example>
[Cmdlet(VerbsCommon.Remove, "SmcRepositoryKey", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
public sealed class RemoveSmcRepositoryKeyCommand : SiteCmdlet
{
    /// <summary>The recipient's name, as Get-SmcRepositoryKey shows it.</summary>
    [Parameter(Position = 0, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    public string? Name { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        if (!await pipeline.ShouldProcessAsync(
            site.Repository.Location, $"Let '{Name}' no longer open the repository").ConfigureAwait(false))
        {
            return;
        }

        using RepositoryKeySource opener = await KeyArguments.ResolveSiteKeyAsync(pipeline, site, cancellationToken).ConfigureAwait(false);
        IObjectStore store = ObjectStoreFactory.Open(site.Repository.Location);
        await using (store.ConfigureAwait(false))
        {
            await RepositoryRecipients.RemoveAsync(store, opener, Name!, cancellationToken).ConfigureAwait(false);
        }
    }
}
