using System.Management.Automation;
using SmcDr.Core.FileStores;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;
using SmcDr.PowerShell.Bridge;
using SmcDr.PowerShell.Session;

namespace SmcDr.PowerShell.Commands;

/// <summary>Backs up the Kubernetes configuration of the site's primary region: everything that its namespace has, and what of the cluster that needs.</summary>
/// <remarks>
/// <para>
/// All kinds that the cluster has are read, and each object is kept as a document of its own without what the cluster itself put into it: extracted, kubectl apply
/// takes them. Of the cluster come along the definitions of kinds, classes, volumes, roles and webhooks that the namespace uses. Releases of Helm are listed.
/// </para>
/// <para>
/// Secrets go into an encrypted repository only: into another one nothing is stored, unless -SkipSecret leaves them out. What cannot be read does not stop the
/// rest: it is warned of, and the backup has the state Partial and says in Missing what it lacks.
/// </para>
/// <para>
/// File stores that the site file marks with withConfiguration, such as /etc/smc-trading, are backed up behind it, each as a backup of its own.
/// </para>
/// <para>
/// With -AsKubernetesJob it runs as a Job in the cluster of the site's primary region, by the image that the site file names (kubernetes.job), and is
/// followed from here. Several sites from the pipeline run at once. Ctrl+C stops the following; the Job goes on, unless -CancelOnStop ends it. File
/// stores are on this host and are not backed up by it.
/// </para>
/// </remarks>
/// <example>
/// <code>Backup-SmcConfiguration -Label 'before the upgrade'</code>
/// Backs up the namespace that the site file names.
/// </example>
/// <example>
/// <code>Backup-SmcConfiguration smc-trading, smc-shared | Format-List Id, State, Namespaces, HelmReleases, Missing</code>
/// Backs up two namespaces as one, and shows what is in it and what is not.
/// </example>
/// <example>
/// <code>Backup-SmcConfiguration -AsKubernetesJob -CancelOnStop</code>
/// Backs it up by a Job in the cluster, with the rights of the pod's own account; Ctrl+C ends the Job as well.
/// </example>
/// <example>
/// <code>$backup = Backup-SmcConfiguration -Label 'nightly'
/// if ($backup.State -ne 'Complete') { Send-SmcAlert 'The configuration is not backed up as a whole' -Text ($backup.Missing -join "`n") }</code>
/// For a schedule: tells the site's channels what the backup lacks.
/// </example>
/// <exception cref="SmcException">
/// <see cref="SmcErrorCode.SecretsUnprotected"/>: The repository is not encrypted, and -SkipSecret is not given: nothing is stored.
/// </exception>
/// <exception cref="SmcException"><see cref="SmcErrorCode.ClusterUnavailable"/>: The API server does not answer.</exception>
/// <seealso cref="CompareSmcConfigurationCommand"/>
/// <seealso cref="RestoreSmcConfigurationCommand"/>
/// <seealso cref="BackupSmcSystemCommand"/>
/// <seealso cref="GetSmcBackupCommand"/>
/// <seealso href="about_SmcDr_Security"/>
[Cmdlet(VerbsData.Backup, "SmcConfiguration", SupportsShouldProcess = true)]
[OutputType(typeof(BackupInfo))]
public sealed class BackupSmcConfigurationCommand : BackupJobCmdlet
{
    /// <summary>The namespaces. Without it, the one that the site file names.</summary>
    [Parameter(Position = 0)]
    [ValidateNotNullOrEmpty]
    public string[] Namespace { get; set; } = [];

    /// <summary>Leaves Secrets out, which go into an encrypted repository only.</summary>
    [Parameter]
    public SwitchParameter SkipSecret { get; set; }

    /// <summary>A label by which people recognize the backup.</summary>
    [Parameter]
    [ValidateNotNullOrEmpty]
    public string? Label { get; set; }

    /// <inheritdoc/>
    protected override async Task ProcessRecordAsync(SmcPipeline pipeline, CancellationToken cancellationToken)
    {
        Site site = await LoadInputAsync(pipeline).ConfigureAwait(false);
        if (AsKubernetesJob)
        {
            await AddJobsAsync(
                pipeline,
                site,
                JobCommand.BackupConfiguration,
                Options(("--namespace", Namespace), ("--skip-secrets", SkipSecret), ("--label", Label)),
                []).ConfigureAwait(false);
            return;
        }

        SecretResolver secrets = SiteArguments.CreateSecrets(pipeline);
        ConfigurationBackupOptions options = site.CreateConfigurationBackupOptions(Namespace) with { SkipSecrets = SkipSecret, Label = Label };
        using KubernetesClient client = await site.ConnectPatientlyAsync(null, pipeline, cancellationToken).ConfigureAwait(false);
        IReadOnlyList<FileStoreSettings> stores = site.GetConfigurationFileStores();
        Repository? repository = null;
        if (await pipeline.ShouldProcessAsync(
            options.Describe(client), $"Back up to {site.Repository.Location}").ConfigureAwait(false))
        {
            Repository opened = repository = await site.OpenOrCreateRepositoryAsync(secrets, cancellationToken).ConfigureAwait(false);
            await DoOneOfAsync(
                pipeline,
                stores.Count + 1,
                site.Name,
                async () =>
                {
                    BackupInfo backup = await ConfigurationBackup.RunAsync(client, opened, options, pipeline, cancellationToken).ConfigureAwait(false);
                    await FinishBackupAsync(pipeline, site, secrets, opened, backup, cancellationToken).ConfigureAwait(false);
                },
                cancellationToken).ConfigureAwait(false);
        }

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
                stores.Count + 1,
                store.Name,
                async () =>
                {
                    BackupInfo files = await FileStoreBackup.RunAsync(
                        store.Name, store.Path, opened, site.CreateBackupOptions(store) with { Label = Label }, pipeline, cancellationToken)
                        .ConfigureAwait(false);
                    await FinishBackupAsync(pipeline, site, secrets, opened, files, cancellationToken).ConfigureAwait(false);
                },
                cancellationToken).ConfigureAwait(false);
        }
    }
}
