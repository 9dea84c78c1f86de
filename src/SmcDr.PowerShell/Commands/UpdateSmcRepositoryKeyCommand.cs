using System.Management.Automation;
using System.Security;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Renews the key of the site's encrypted repository: what is written from now on is encrypted with a new one.</summary>
/// <remarks>
/// <para>
/// All present recipients open the new key as well, so all of them must be given: the site's own key is, the others by -KeyFile,
/// -Passphrase and -KmsKeyId. Where one is not at hand, remove it first with Remove-SmcRepositoryKey.
/// </para>
/// <para>
/// What is in the repository already is not encrypted anew. It needs the old key, which stays. Programs that have the repository open, such as
/// a WAL stream, write with the old key until they are started again.
/// </para>
/// </remarks>
/// <example>
/// <code>Update-SmcRepositoryKey -Passphrase (Read-Host -AsSecureString 'Passphrase in the safe')</code>
/// Renews the key of a repository that the session's current site and a passphrase open.
/// </example>
/// <example>
/// <code>Update-SmcRepositoryKey -KeyFile /mnt/safe/second.key -WhatIf</code>
/// Says for which recipients the key would be renewed.
/// </example>
/// <example>
/// <code>Update-SmcRepositoryKey -KmsKeyId alias/orders-backup -Confirm:$false
/// Get-SmcRepositoryKey | Where-Object Current</code>
/// Renews the key of a repository that the site and a KMS key open, and shows who opens what is written from now on. Start WAL streams again afterwards.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.KeyMissing"/>: A recipient is missing among those that were given; the message names it.</exception>
/// <seealso cref="GetSmcRepositoryKeyCommand"/>
/// <seealso cref="NewSmcRepositoryKeyCommand"/>
/// <seealso cref="RemoveSmcRepositoryKeyCommand"/>
/// <seealso href="about_SmcDr_Security"/>
[Cmdlet(VerbsData.Update, "SmcRepositoryKey", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High)]
[OutputType(typeof(RepositoryKeyInfo))]
public sealed class UpdateSmcRepositoryKeyCommand : SiteCmdlet
{
    /// <summary>Key files that are recipients, besides the site's own key.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] KeyFile { get; set; } = [];

    /// <summary>Passphrases that are recipients.</summary>
    [Parameter]
    [ValidateNotNull]
    public SecureString[] Passphrase { get; set; } = [];

    /// <summary>KMS keys that are recipients.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] KmsKeyId { get; set; } = [];

    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        List<RepositoryKeySource> sources = [];
        try
        {
            sources.Add(await KeyArguments.ResolveSiteKeyAsync(pipeline, site, cancellationToken).ConfigureAwait(false));
            foreach (string path in KeyFile)
            {
                sources.Add(await KeyArguments.ReadKeyFileAsync(pipeline, path, cancellationToken).ConfigureAwait(false));
            }

            sources.AddRange(Passphrase.Select(KeyArguments.ReadPassphrase));
            sources.AddRange(KmsKeyId.Select(RepositoryKeySource.FromAwsKms));
            IObjectStore store = ObjectStoreFactory.Open(site.Repository.Location);
            await using (store.ConfigureAwait(false))
            {
                string? keyId = await RepositoryRecipients.RenewAsync(
                    store,
                    sources,
                    () => pipeline.ShouldProcessAsync(site.Repository.Location, "Encrypt with a new key from now on"),
                    cancellationToken).ConfigureAwait(false);
                if (keyId is null)
                {
                    return;
                }

                foreach (RepositoryKeyInfo info in await RepositoryRecipients.ListAsync(
                    store, sources[0], pipeline.WriteWarning, cancellationToken).ConfigureAwait(false))
                {
                    if (info.KeyId == keyId)
                    {
                        await pipeline.WriteObjectAsync(info).ConfigureAwait(false);
                    }
                }
            }
        }
        finally
        {
            sources.ForEach(static source => source.Dispose());
        }
    }
}
