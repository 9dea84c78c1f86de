using System.Management.Automation;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
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
/// <example>
/// <code>Remove-SmcRepositoryKey old-laptop -Confirm:$false
/// Update-SmcRepositoryKey</code>
/// Shuts a lost key file out of what is written from now on, where the site's own key is the only other recipient.
/// </example>
/// <example>
/// <code>Get-SmcRepositoryKey | Where-Object Kind -eq Passphrase | Select-Object -Property Name -Unique | Remove-SmcRepositoryKey -WhatIf</code>
/// Says which passphrases would be removed.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.KeyNeeded"/>: It is the last recipient, or the one that the site opens the repository with.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.KeyNotFound"/>: There is no recipient of this name.</exception>
/// <seealso cref="GetSmcRepositoryKeyCommand"/>
/// <seealso cref="NewSmcRepositoryKeyCommand"/>
/// <seealso cref="UpdateSmcRepositoryKeyCommand"/>
/// <seealso href="about_SmcDr_Security"/>
[Cmdlet(VerbsCommon.Remove, "SmcRepositoryKey", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(void))]
public sealed class RemoveSmcRepositoryKeyCommand : SiteCmdlet
{
    /// <summary>The recipient's name, as Get-SmcRepositoryKey shows it.</summary>
    [Parameter(Position = 0, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(RepositoryKeyCompleter))]
    public string? Name { get; set; }

    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        using RepositoryKeySource opener = await KeyArguments.ResolveSiteKeyAsync(pipeline, site, cancellationToken).ConfigureAwait(false);
        IObjectStore store = ObjectStoreFactory.Open(site.Repository.Location);
        await using (store.ConfigureAwait(false))
        {
            await RepositoryRecipients.RemoveAsync(
                store,
                opener,
                Name!,
                () => pipeline.ShouldProcessAsync(site.Repository.Location, $"Let '{Name}' no longer open the repository"),
                cancellationToken).ConfigureAwait(false);
        }
    }
}
