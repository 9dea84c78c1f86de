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
        Options.Add(_label);
        Options.Add(_parallelism);
        Options.Add(_newCluster);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        Repository repository = await site.OpenOrCreateRepositoryAsync(cancellationToken).ConfigureAwait(false);
        BaseBackupOptions options = site.CreateBackupOptions() with
        {
            Label = context.Parsed.GetValue(_label),
            Parallelism = context.Parsed.GetValue(_parallelism),
            NewCluster = context.Parsed.GetValue(_newCluster),
        };
        BackupInfo backup = await context.ObserveAsync(observer => BaseBackup.RunAsync(
            site.CreateConnector(context.Secrets), repository, options, observer, cancellationToken)).ConfigureAwait(false);
        context.Write(backup, static (writer, backup) => TableOutput.WriteProperties(
            writer,
            ("Backup", backup.Id),
            ("State", backup.State),
            ("Size", DisplayText.Size(backup.SizeBytes)),
            ("Stored", DisplayText.Size(backup.StoredBytes)),
            ("Took", DisplayText.Duration(backup.Duration)),
            ("Consistent at", DisplayText.Time(backup.StopTime)),
            ("Damaged pages", backup.PageChecksumErrors is > 0 and { } pages ? FormattableString.Invariant($"{pages}") : null)));
        await context.ObserveAsync(async observer =>
        {
            await site.LockNewBackupAsync(repository, backup, observer, cancellationToken).ConfigureAwait(false);
            return true;
        }).ConfigureAwait(false);
        return ExitCodes.Success;
    }
}
