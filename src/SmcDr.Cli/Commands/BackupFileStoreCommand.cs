using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.FileStores;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr backup filestore</c>.</summary>
internal sealed class BackupFileStoreCommand : CliCommand
{
    private readonly Argument<string[]> _names = new("name")
    {
        Description = "The file stores, as the site file names them. Default: all of them.",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<string?> _label = new("--label") { Description = "A label for people.", HelpName = "TEXT" };
    private readonly Option<bool> _full = new("--full") { Description = "Read every file, also those that an earlier backup has." };
    private readonly Option<string[]> _exclude = new("--exclude")
    {
        Description = "Leave out what matches, such as '*.log' or 'cache/**'. Can be given again.",
        HelpName = "PATTERN",
        DefaultValueFactory = static _ => [],
    };

    public BackupFileStoreCommand(CliHost host)
        : base(host, "filestore", "Backs up directories of this host: the site's file stores.")
    {
        Arguments.Add(_names);
        Options.Add(_label);
        Options.Add(_full);
        Options.Add(_exclude);
        Options.Add(GlobalOptions.Json);
    }

    protected override IReadOnlyCollection<Component>? BacksUp => [Component.FileStore];

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        IReadOnlyList<FileStoreSettings> stores = site.GetFileStores(context.Parsed.GetValue(_names)!);
        Repository repository = await site.OpenOrCreateRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        List<BackupInfo> backups = [];
        SmcException? failure = await BackupFinish.ForEachAsync(
            context,
            stores,
            static store => $"The file store '{store.Name}' is not backed up",
            async store =>
            {
                FileStoreBackupOptions options = site.CreateBackupOptions(store);
                options = options with
                {
                    Label = context.Parsed.GetValue(_label),
                    Full = context.Parsed.GetValue(_full),
                    Exclude = [.. options.Exclude, .. context.Parsed.GetValue(_exclude)!],
                };
                BackupInfo backup = await context.ObserveAsync(observer => FileStoreBackup.RunAsync(
                    store.Name, store.Path, repository, options, observer, cancellationToken)).ConfigureAwait(false);
                await BackupFinish.RunAsync(context, site, repository, backup, backups.Add, cancellationToken).ConfigureAwait(false);
            },
            cancellationToken).ConfigureAwait(false);
        if (failure is null || backups.Count > 0)
        {
            context.WriteList(backups, BackupListCommand.Columns, "There are no file stores.");
        }

        BackupFinish.ThrowIf(failure);
        return BackupFinish.ExitCodeOf(backups);
    }
}
