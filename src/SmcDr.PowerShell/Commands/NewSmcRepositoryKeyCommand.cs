using System.Management.Automation;
using System.Security;
using SmcDr.Core.Encryption;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Makes a key file, or adds a recipient to the site's encrypted repository.</summary>
/// <remarks>
/// <para>
/// With -Path, a new key file is made, readable by this account only. Name it by repository.encryptionKey in the site file, as
/// file:/path, before the first backup: that one creates the repository, encrypted, and the key opens it.
/// </para>
/// <para>
/// With -KeyFile, -Passphrase or -KmsKeyId, another recipient is added to the site's repository, which is opened with the site's own key.
/// Each recipient opens the repository by itself. Have at least two, and keep one where the site is not: without any recipient's
/// secret the backups cannot be read by anybody.
/// </para>
/// </remarks>
/// <example>
/// <code>New-SmcRepositoryKey /etc/smcdr/repository.key</code>
/// Makes a key file.
/// </example>
/// <example>
/// <code>New-SmcRepositoryKey -Passphrase (Read-Host -AsSecureString 'Passphrase') -Name safe</code>
/// Adds a passphrase, to be kept in a safe, to those who can open the repository of the session's current site.
/// </example>
/// <example>
/// <code>New-SmcRepositoryKey -KmsKeyId alias/orders-backup -Name cloud</code>
/// Adds a key of AWS KMS, so that hosts with a role instead of a file can open the repository.
/// </example>
/// <example>
/// <code>New-SmcRepositoryKey -Path ./second.key
/// New-SmcRepositoryKey -KeyFile ./second.key -Name offsite</code>
/// Makes a second key file and adds it: take the file to where the backups are not, and remove it here.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.KeyExists"/>: There is a recipient of this name.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.KeyInvalid"/>: The passphrase has fewer than 12 characters, or the file is no key file.</exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.TargetNotEmpty"/>: There is a file at -Path: a key is never replaced.</exception>
/// <seealso cref="GetSmcRepositoryKeyCommand"/>
/// <seealso cref="RemoveSmcRepositoryKeyCommand"/>
/// <seealso cref="UpdateSmcRepositoryKeyCommand"/>
/// <seealso href="about_SmcDr_Security"/>
[Cmdlet(VerbsCommon.New, "SmcRepositoryKey", SupportsShouldProcess = true, DefaultParameterSetName = FileSet)]
[OutputType(typeof(KeyFileInfo), ParameterSetName = [FileSet])]
[OutputType(typeof(RepositoryKeyInfo), ParameterSetName = [KeyFileSet, PassphraseSet, KmsSet])]
public sealed class NewSmcRepositoryKeyCommand : SiteCmdlet
{
    private const string FileSet = "Path";
    private const string KeyFileSet = "KeyFile";
    private const string PassphraseSet = "Passphrase";
    private const string KmsSet = "KmsKeyId";

    /// <summary>Where the new key file is made. What is there already is never replaced.</summary>
    [Parameter(Position = 0, Mandatory = true, ParameterSetName = FileSet)]
    [ValidateNotNullOrEmpty]
    public string? Path { get; set; }

    /// <summary>A key file that is to open the repository.</summary>
    [Parameter(Mandatory = true, ParameterSetName = KeyFileSet)]
    [ValidateNotNullOrEmpty]
    public string? KeyFile { get; set; }

    /// <summary>A passphrase that is to open the repository, of at least 12 characters.</summary>
    [Parameter(Mandatory = true, ParameterSetName = PassphraseSet)]
    [ValidateNotNull]
    public SecureString? Passphrase { get; set; }

    /// <summary>A KMS key that is to open the repository: its ARN, that of an alias, or alias/name.</summary>
    [Parameter(Mandatory = true, ParameterSetName = KmsSet)]
    [ValidateNotNullOrEmpty]
    public string? KmsKeyId { get; set; }

    /// <summary>The recipient's name. Without it, one by its kind.</summary>
    [Parameter(ParameterSetName = KeyFileSet)]
    [Parameter(ParameterSetName = PassphraseSet)]
    [Parameter(ParameterSetName = KmsSet)]
    [ValidateNotNullOrEmpty]
    public string? Name { get; set; }

    /// <inheritdoc/>
    private protected override bool GoesByLeader => false;

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        if (Path is not null)
        {
            string path = await FilePaths.ResolveAsync(pipeline, Path).ConfigureAwait(false);
            Core.Encryption.KeyFile.CheckFree(path);
            if (await pipeline.ShouldProcessAsync(path, "Make a key file").ConfigureAwait(false))
            {
                await pipeline.WriteObjectAsync(Core.Encryption.KeyFile.Create(path)).ConfigureAwait(false);
            }

            return;
        }

        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        using RepositoryKeySource added = KeyFile is not null
            ? await KeyArguments.ReadKeyFileAsync(pipeline, KeyFile, cancellationToken).ConfigureAwait(false)
            : Passphrase is not null
                ? KeyArguments.ReadPassphrase(Passphrase)
                : RepositoryKeySource.FromAwsKms(KmsKeyId!);
        using RepositoryKeySource opener = await KeyArguments.ResolveSiteKeyAsync(pipeline, site, cancellationToken).ConfigureAwait(false);
        IObjectStore store = ObjectStoreFactory.Open(site.Repository.Location);
        await using (store.ConfigureAwait(false))
        {
            string? name = await RepositoryRecipients.AddAsync(
                store,
                opener,
                added,
                Name,
                wanted => pipeline.ShouldProcessAsync(site.Repository.Location, $"Let '{wanted}', another {added.Kind}, open the repository"),
                cancellationToken).ConfigureAwait(false);
            if (name is null)
            {
                return;
            }

            foreach (RepositoryKeyInfo info in await RepositoryRecipients.ListAsync(
                store, opener, pipeline.WriteWarning, cancellationToken).ConfigureAwait(false))
            {
                if (info.Name == name)
                {
                    await pipeline.WriteObjectAsync(info).ConfigureAwait(false);
                }
            }
        }
    }
}
