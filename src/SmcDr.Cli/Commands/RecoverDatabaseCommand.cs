using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Postgres;
using SmcDr.Core.Postgres.Logical;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr recover database</c>.</summary>
internal sealed class RecoverDatabaseCommand : CliCommand
{
    private readonly Argument<string> _database = new("name") { Description = "The database." };
    private readonly Option<string?> _backup = new("--backup")
    {
        Description = "The logical backup. Default: the newest complete one that holds the database.",
        HelpName = "ID",
    };

    private readonly Option<bool> _noEmergencyBackup = new("--no-emergency-backup")
    {
        Description = "Do not back the present state up first. It is kept under another name in any case.",
    };

    private readonly Option<int> _parallelism = new("--parallelism", "-j")
    {
        Description = "How many tables and indexes are restored at a time.",
        HelpName = "N",
        DefaultValueFactory = static _ => 1,
    };

    private readonly Option<bool> _noOwner = new("--no-owner") { Description = "Give everything to the user that restores." };
    private readonly Option<bool> _leaveWriters = new("--leave-writers") { Description = "Do not stop the site's writers in Kubernetes." };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be done, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public RecoverDatabaseCommand(CliHost host)
        : base(host, "database", "Brings one database back from a logical backup and keeps the present one under another name.")
    {
        Arguments.Add(_database);
        foreach (Option option in new Option[] { _backup, _noEmergencyBackup, _parallelism, _noOwner, _leaveWriters, _dryRun, _yes, GlobalOptions.Json })
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        Repository repository = await context.OpenForReadingAsync(site, cancellationToken).ConfigureAwait(false);
        PostgresConnector connector = site.CreateConnector(context.Secrets);
        string database = context.Parsed.GetValue(_database)!;
        DatabaseRecoveryOptions options = new()
        {
            Database = database,
            BackupId = context.Parsed.GetValue(_backup),
            SkipEmergencyBackup = context.Parsed.GetValue(_noEmergencyBackup),
            Parallelism = context.Parsed.GetValue(_parallelism),
            NoOwner = context.Parsed.GetValue(_noOwner),
            Writers = context.Parsed.GetValue(_leaveWriters) ? null : site.CreateWriters(context.CreatePlainObserver()),
            Site = site.Name,
            BinDirectory = site.GetDatabase().BinDirectory,
        };
        DatabaseRecoveryPlan plan = await context.ObserveAsync(
            observer => DatabaseOnlyRecovery.PlanAsync(connector, repository, options, observer, cancellationToken)).ConfigureAwait(false);
        bool isDryRun = context.Parsed.GetValue(_dryRun);
        string[] lines = [.. plan.Describe()];
        if (isDryRun && context.Json)
        {
            JsonOutput.Write(
                context.Host.Out, new { plan.Restore.BackupId, Database = database, plan.PreviousDatabase, Steps = lines }, indent: context.Host.IsOutTerminal);
            return ExitCodes.Success;
        }

        foreach (string line in lines)
        {
            await (isDryRun ? context.Host.Out : context.Host.Error).WriteLineAsync(ErrorText.OneLine(line)).ConfigureAwait(false);
        }

        if (isDryRun)
        {
            return ExitCodes.Success;
        }

        if (!await context.ConfirmAsync(
            $"The database '{ErrorText.OneLine(database)}' will be replaced.", context.Parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
        {
            await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
            return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
        }

        DatabaseRestoreResult result = await context.ObserveAsync(observer => DatabaseOnlyRecovery.RunAsync(
            plan, connector, token => site.OpenRepositoryAsync(context.Secrets, token), observer, cancellationToken)).ConfigureAwait(false);
        context.Write(result, DatabaseRestoreDisplay.Write);
        return ExitCodes.Success;
    }
}
