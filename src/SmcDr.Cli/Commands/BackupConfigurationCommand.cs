using System.CommandLine;
using System.Globalization;
using SmcDr.Cli.Output;
using SmcDr.Core.FileStores;
using SmcDr.Core.Kubernetes;
using SmcDr.Core.Kubernetes.Configuration;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr backup configuration</c>.</summary>
internal sealed class BackupConfigurationCommand : CliCommand
{
    private readonly Option<string[]> _namespaces = new("--namespace")
    {
        Description = "The namespaces. Default: the one that the site file names. Can be given again.",
        HelpName = "NAME",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<bool> _skipSecrets = new("--skip-secrets")
    {
        Description = "Leave Secrets out. With them the repository must be encrypted.",
    };

    private readonly Option<string?> _label = new("--label") { Description = "A label for people.", HelpName = "TEXT" };

    public BackupConfigurationCommand(CliHost host)
        : base(host, "configuration", "Backs up the Kubernetes configuration of the primary region, and the file stores that belong to it.")
    {
        foreach (Option option in new Option[] { _namespaces, _skipSecrets, _label }.Concat(JobArguments.Options))
        {
            Options.Add(option);
        }

        Validators.Add(JobArguments.Validate);
    }

    protected override IReadOnlyCollection<Component>? BacksUp => [Component.Configuration];

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        if (JobArguments.IsJob(context))
        {
            return await JobArguments.BackUpAsync(
                context,
                await JobArguments.CreateJobsAsync(context, JobCommand.BackupConfiguration, null, cancellationToken).ConfigureAwait(false),
                backups => Write(context, backups),
                cancellationToken).ConfigureAwait(false);
        }

        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        string? label = context.Parsed.GetValue(_label);
        ConfigurationBackupOptions options = site.CreateConfigurationBackupOptions(context.Parsed.GetValue(_namespaces)!) with
        {
            SkipSecrets = context.Parsed.GetValue(_skipSecrets),
            Label = label,
        };
        Repository repository = await site.OpenOrCreateRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        List<BackupInfo> backups = [];
        bool hasCluster = false;
        FileStoreSettings?[] parts = [null, .. site.GetConfigurationFileStores()];
        SmcException? failure = await BackupFinish.ForEachAsync(
            context,
            parts,
            static store => store is null ? "The cluster's configuration is not backed up" : $"The file store '{store.Name}' is not backed up",
            async store =>
            {
                BackupInfo backup = store is null
                    ? await BackUpClusterAsync(context, site, repository, options, cancellationToken).ConfigureAwait(false)
                    : await context.ObserveAsync(observer => FileStoreBackup.RunAsync(
                        store.Name, store.Path, repository, site.CreateBackupOptions(store) with { Label = label }, observer, cancellationToken))
                        .ConfigureAwait(false);
                await BackupFinish.RunAsync(context, site, repository, backup, Add, cancellationToken).ConfigureAwait(false);

                void Add(BackupInfo made)
                {
                    backups.Add(made);
                    hasCluster |= store is null;
                }
            },
            cancellationToken).ConfigureAwait(false);
        if (hasCluster)
        {
            Write(context, backups);
        }
        else if (backups.Count > 0)
        {
            context.WriteList(backups, BackupListCommand.Columns, "");
        }

        BackupFinish.ThrowIf(failure);
        return BackupFinish.ExitCodeOf(backups);
    }

    private static async Task<BackupInfo> BackUpClusterAsync(
        CliContext context, Site site, Repository repository, ConfigurationBackupOptions options, CancellationToken cancellationToken)
    {
        using KubernetesClient client = await site.ConnectPatientlyAsync(null, context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        return await context.ObserveAsync(
            observer => ConfigurationBackup.RunAsync(client, repository, options, observer, cancellationToken)).ConfigureAwait(false);
    }

    private static void Write(CliContext context, IReadOnlyList<BackupInfo> backups)
    {
        if (context.Json)
        {
            context.WriteList(backups, BackupListCommand.Columns, "");
        }
        else
        {
            WriteText(context.Host.Out, backups[0]);
            if (backups.Count > 1)
            {
                context.Host.Out.WriteLine();
                context.WriteList([.. backups.Skip(1)], BackupListCommand.Columns, "");
            }
        }
    }

    private static void WriteText(TextWriter writer, BackupInfo backup)
    {
        TableOutput.WriteProperties(
            writer,
            ("Backup", backup.Id),
            ("State", backup.State),
            ("Cluster", $"{backup.Source}, {backup.ServerVersion}"),
            ("Namespaces", string.Join(", ", backup.Namespaces)),
            ("Objects", backup.FileCount?.ToString("N0", CultureInfo.InvariantCulture)),
            ("Stored", DisplayText.Size(backup.StoredBytes)),
            ("Took", DisplayText.Duration(backup.Duration)),
            ("Missing", string.Join("; ", backup.Missing)),
            ("Helm", string.Join("; ", backup.HelmReleases)),
            ("Copies", backup.CopyState));
    }
}
