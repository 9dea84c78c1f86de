using System.CommandLine;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr remove backup</c>.</summary>
internal sealed class RemoveBackupCommand : CliCommand
{
    private readonly Argument<string> _id = BackupArguments.NewId();
    private readonly Option<Component?> _component = BackupArguments.NewComponent();
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what would be freed, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };
    private readonly Option<bool> _force = new("--force")
    {
        Description = "Also the newest backup, one that is damaged, and one that seems to be running.",
    };

    public RemoveBackupCommand(CliHost host)
        : base(host, "backup", "Removes a backup for good.")
    {
        Arguments.Add(_id);
        Options.Add(_component);
        Options.Add(_force);
        Options.Add(_dryRun);
        Options.Add(_yes);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Repository repository = await context.LoadSite().OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        string id = context.Parsed.GetValue(_id)!;
        Component component = await repository
            .FindComponentAsync(id, context.Parsed.GetValue(_component), cancellationToken).ConfigureAwait(false);
        RetentionPlan plan = await context.ObserveAsync(observer => new BackupRetention(repository, null, observer)
            .PlanRemovalAsync(component, id, context.Parsed.GetValue(_force), cancellationToken)).ConfigureAwait(false);
        if (context.Parsed.GetValue(_dryRun))
        {
            context.WriteList(plan.Items, RetentionColumns.All, "Nothing would be removed.");
            return ExitCodes.Success;
        }

        string what = $"The {component} backup '{id}' goes for good, which frees {DisplayText.Size(plan.Removals.Sum(static item => item.FreedBytes))}.";
        if (!await context.ConfirmAsync(what, context.Parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
        {
            await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
            return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
        }

        IReadOnlyList<RetentionResult> removed = await context.ObserveAsync(observer => new BackupRetention(repository, null, observer)
            .ExecuteAsync(plan, cancellationToken)).ConfigureAwait(false);
        context.WriteList(removed, RetentionColumns.All, "Nothing was removed.");
        return ExitCodes.Success;
    }
}
