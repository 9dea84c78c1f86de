using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.BaseBackups;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr backup database</c>.</summary>
internal sealed class BackupDatabaseCommand : CliCommand
{
    private readonly Option<BackupMethod> _method = new("--method")
    {
        Description = "physical copies the files of the whole cluster; logical dumps databases.",
        HelpName = "METHOD",
        DefaultValueFactory = static _ => BackupMethod.Physical,
    };

    private readonly Option<bool> _emergency = new("--emergency")
    {
        Description = "Save all that can be read, at once, and keep it until somebody removes it.",
    };

    private readonly Option<string[]> _databases = new("--database")
    {
        Description = "A database of a logical or emergency backup. Can be given again. Default: all that are no templates.",
        HelpName = "NAME",
        DefaultValueFactory = static _ => [],
    };

    private readonly Option<bool> _exactRowCount = new("--exact-row-count")
    {
        Description = "Let the server count the rows of a logical backup's tables, and compare.",
    };

    private readonly Option<bool> _noRolePassword = new("--no-role-password") { Description = "Leave roles' passwords out of a logical backup." };
    private readonly Option<string?> _label = new("--label") { Description = "A label for people.", HelpName = "TEXT" };
    private readonly Option<int?> _parallelism = new("--parallelism", "-j")
    {
        Description = "How many connections read files, or databases are dumped, at a time. Default: what fits this machine.",
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

    private readonly Option<bool> _fromStandby = new("--from-standby") { Description = "Read the files from the site's standby." };

    public BackupDatabaseCommand(CliHost host)
        : base(host, "database", "Takes a base backup of the primary region's database, or dumps databases.")
    {
        _parallelism.Validators.Add(static result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1)
            {
                result.AddError("--parallelism must be 1 or more.");
            }
        });
        foreach (Option option in new Option[]
        {
            _method, _emergency, _full, _fromStandby, _databases, _exactRowCount, _noRolePassword, _label, _parallelism, _newCluster,
        }.Concat(JobArguments.Options))
        {
            Options.Add(option);
        }

        Validators.Add(JobArguments.Validate);
        Validators.Add(result =>
        {
            bool isLogical = result.GetValue(_emergency) || result.GetValue(_method) == BackupMethod.Logical;
            if (!isLogical && (result.GetValue(_databases)!.Length > 0 || result.GetValue(_exactRowCount) || result.GetValue(_noRolePassword)))
            {
                result.AddError("--database, --exact-row-count and --no-role-password are for logical backups: add --method logical.");
            }

            if (isLogical && result.GetValue(_fromStandby))
            {
                result.AddError("--from-standby is for physical backups.");
            }

            if (isLogical && result.GetValue(_full))
            {
                result.AddError("--full is for physical backups: a logical backup always holds everything.");
            }

            if (result.GetValue(_emergency) && result.GetResult(_method) is { Implicit: false })
            {
                result.AddError("--emergency and --method cannot be given together.");
            }
        });
    }

    protected override IReadOnlyCollection<Component>? BacksUp => [Component.Database];

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        if (JobArguments.IsJob(context))
        {
            return await JobArguments.BackUpAsync(
                context,
                await JobArguments.CreateJobsAsync(context, JobCommand.BackupDatabase, _databases, cancellationToken).ConfigureAwait(false),
                backups => context.WriteEach(backups, WriteText),
                cancellationToken).ConfigureAwait(false);
        }

        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        Repository repository = await site.OpenOrCreateRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        PostgresConnector primary = site.CreateConnector(context.Secrets);
        bool fromStandby = context.Parsed.GetValue(_fromStandby);
        PostgresConnector connector = fromStandby ? site.CreateStandbyConnector(context.Secrets) : primary;
        bool isLogical = context.Parsed.GetValue(_emergency) || context.Parsed.GetValue(_method) == BackupMethod.Logical;
        BackupInfo backup = await context.ObserveAsync(observer => isLogical
            ? LogicalBackup.RunAsync(connector, repository, LogicalOptions(context, site), observer, cancellationToken)
            : BaseBackup.RunAsync(connector, repository, PhysicalOptions(context, site) with { Primary = fromStandby ? primary : null }, observer, cancellationToken)).ConfigureAwait(false);
        backup = await BackupFinish.RunAsync(
            context, site, repository, backup, result => context.Write(result, WriteText), cancellationToken).ConfigureAwait(false);
        return BackupFinish.ExitCodeOf([backup]);
    }

    private BaseBackupOptions PhysicalOptions(CliContext context, Site site) => site.CreateBackupOptions() with
    {
        Full = context.Parsed.GetValue(_full),
        Label = context.Parsed.GetValue(_label),
        Parallelism = context.Parsed.GetValue(_parallelism),
        NewCluster = context.Parsed.GetValue(_newCluster),
    };

    private LogicalBackupOptions LogicalOptions(CliContext context, Site site) => site.CreateLogicalBackupOptions() with
    {
        Databases = context.Parsed.GetValue(_databases)!,
        Emergency = context.Parsed.GetValue(_emergency),
        ExactRowCount = context.Parsed.GetValue(_exactRowCount),
        RolePasswords = !context.Parsed.GetValue(_noRolePassword),
        Label = context.Parsed.GetValue(_label),
        Parallelism = context.Parsed.GetValue(_parallelism),
        NewCluster = context.Parsed.GetValue(_newCluster),
    };

    private static void WriteText(TextWriter writer, BackupInfo backup) => TableOutput.WriteProperties(
        writer,
        ("Backup", backup.Id),
        ("State", backup.State),
        ("Kind", backup.Kind),
        ("Built on", backup.Parent),
        ("Databases", backup.Databases.Count > 0 ? string.Join(", ", backup.Databases.Select(ErrorText.OneLine)) : null),
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
