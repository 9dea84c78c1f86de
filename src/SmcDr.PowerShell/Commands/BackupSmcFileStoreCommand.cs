using System.Management.Automation;
using SmcDr.Core.FileStores;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Arguments;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Backs up directories of this host: the site's file stores.</summary>
/// <remarks>
/// <para>
/// A file that has not changed since the last backup of the file store is not read again, and of a changed one only what is new is
/// stored; every backup restores by itself nonetheless. Permissions, owners, links, holes and extended attributes are kept.
/// </para>
/// <para>
/// A file that cannot be read, or changes each time that it is read, does not stop the others: it is warned of, and a backup that
/// lacks files has the state Partial.
/// </para>
/// </remarks>
/// <example>
/// <code>Backup-SmcFileStore</code>
/// Backs up all file stores of the session's current site.
/// </example>
/// <example>
/// <code>Backup-SmcFileStore config -Exclude '*.log', 'cache/**'</code>
/// Backs up one of them without its logs and without what is below cache.
/// </example>
/// <example>
/// <code>Backup-SmcFileStore -Label 'before the migration' | Where-Object State -eq Partial | Format-List Name, Missing</code>
/// Shows which of the file stores could not be backed up as a whole.
/// </example>
/// <example>
/// <code>'config', 'certificates' | Backup-SmcFileStore -Full -Verbose</code>
/// Reads every file of two file stores again, as after a doubt about the disk.
/// </example>
/// <exception cref="SmcException"><see cref="SmcErrorCode.StorageFull"/>: The repository has no room.</exception>
/// <seealso cref="RestoreSmcFileStoreCommand"/>
/// <seealso cref="BackupSmcSystemCommand"/>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso cref="InvokeSmcRetentionCommand"/>
[Cmdlet(VerbsData.Backup, "SmcFileStore", SupportsShouldProcess = true)]
[OutputType(typeof(BackupInfo))]
public sealed class BackupSmcFileStoreCommand : SiteCmdlet
{
    /// <summary>The names of the file stores, as the site file has them. Without it, all of them.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true)]
    [ValidateNotNullOrEmpty]
    [ArgumentCompleter(typeof(FileStoreCompleter))]
    public string[]? Name { get; set; }

    /// <summary>A label by which people recognize the backup.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Label { get; set; }

    /// <summary>
    /// What is left out, besides what the site file leaves out: patterns of paths, in which * stands for characters of a name and ** for
    /// any number of directories. A pattern without a slash is looked for at any depth.
    /// </summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string[] Exclude { get; set; } = [];

    /// <summary>Reads every file, also those that an earlier backup has.</summary>
    [Parameter]
    public SwitchParameter Full { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadSiteAsync(pipeline).ConfigureAwait(false);
        SecretResolver secrets = SiteArguments.CreateSecrets(pipeline);
        Repository? repository = null;
        IReadOnlyList<FileStoreSettings> stores = site.GetFileStores(Name ?? []);
        foreach (FileStoreSettings store in stores)
        {
            if (!await pipeline.ShouldProcessAsync(
                $"File store '{store.Name}' at {store.Path}", $"Back up to {site.Repository.Location}").ConfigureAwait(false))
            {
                continue;
            }

            Repository opened = repository ??= await site.OpenOrCreateRepositoryAsync(secrets, cancellationToken).ConfigureAwait(false);
            await DoOneOfAsync(
                pipeline,
                stores.Count,
                store.Name,
                async () =>
                {
                    FileStoreBackupOptions options = site.CreateBackupOptions(store);
                    BackupInfo backup = await FileStoreBackup.RunAsync(
                        store.Name,
                        store.Path,
                        opened,
                        options with { Label = Label, Full = Full, Exclude = [.. options.Exclude, .. Exclude] },
                        pipeline,
                        cancellationToken).ConfigureAwait(false);
                    await FinishBackupAsync(pipeline, site, secrets, opened, backup, cancellationToken).ConfigureAwait(false);
                },
                cancellationToken).ConfigureAwait(false);
        }
    }
}
