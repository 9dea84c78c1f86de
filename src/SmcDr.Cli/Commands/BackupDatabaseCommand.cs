using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr backup database</c>.</summary>
internal sealed class BackupDatabaseCommand : CliCommand
{
    private readonly Option<string?> _label = new("--label") { Description = "A label for people.", HelpName = "TEXT" };
    private readonly Option<int?> _parallelism = new("--parallelism", "-j")
    {
        Description = "How many connections read files. Default: what fits this machine.",
        HelpName = "N",
    };

    private readonly Option<bool> _newCluster = new("--new-cluster")
    {
        Description = "Accept a database cluster that the repository does not know yet: after pg_upgrade or initdb.",
    };

    private readonly Option<bool> _full = new("--full")
    {
        Description = "Read and store everything. Default: what has changed since the backup before, where there is one.",
    };

    public BackupDatabaseCommand(CliHost host)
        : base(host, "database", "Takes a base backup of the primary region's database.")
    {
        _parallelism.Validators.Add(static result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1)
            {
                result.AddError("--parallelism must be 1 or more.");
            }
        });
        Options.Add(_full);
        Options.Add(_label);
        Options.Add(_parallelism);
        Options.Add(_newCluster);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        Repository repository = await site.OpenOrCreateRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        BaseBackupOptions options = site.CreateBackupOptions() with
        {
            Full = context.Parsed.GetValue(_full),
            Label = context.Parsed.GetValue(_label),
            Parallelism = context.Parsed.GetValue(_parallelism),
            NewCluster = context.Parsed.GetValue(_newCluster),
        };
        BackupInfo backup = await context.ObserveAsync(observer => BaseBackup.RunAsync(
            site.CreateConnector(context.Secrets), repository, options, observer, cancellationToken)).ConfigureAwait(false);
        backup = await BackupFinish.RunAsync(
            context, site, repository, backup, result => context.Write(result, WriteText), cancellationToken).ConfigureAwait(false);
        return BackupFinish.ExitCodeOf([backup]);
    }

    private static void WriteText(TextWriter writer, BackupInfo backup) => TableOutput.WriteProperties(
        writer,
        ("Backup", backup.Id),
        ("State", backup.State),
        ("Kind", backup.Kind),
        ("Built on", backup.Parent),
        ("Size", DisplayText.Size(backup.SizeBytes)),
        ("Unchanged files", backup.Parent is null ? null : FormattableString.Invariant($"{backup.UnchangedFileCount}")),
        ("Compared", backup.Parent is null ? null : DisplayText.Size(backup.ComparedBytes)),
        ("Sent", DisplayText.Size(backup.SentBytes)),
        ("Stored", DisplayText.Size(backup.StoredBytes)),
        ("Took", DisplayText.Duration(backup.Duration)),
        ("Consistent at", DisplayText.Time(backup.StopTime)),
        ("Damaged pages", backup.PageChecksumErrors is > 0 and { } pages ? FormattableString.Invariant($"{pages}") : null),
        ("Copies", backup.CopyState));
}
