using System.CommandLine;
using System.Globalization;
using SmcDr.Core.Repositories;
using SmcDr.Core.Retention;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr retention</c>.</summary>
internal sealed class RetentionCommand : CliCommand
{
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Show what becomes of everything and why, and change nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public RetentionCommand(CliHost host)
        : base(host, "retention", "Removes the backups that the site's retention does not keep, and what nothing needs any more.")
    {
        Options.Add(_dryRun);
        Options.Add(_yes);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        Repository repository = await site.OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        RetentionPlan plan = await context.ObserveAsync(observer => new BackupRetention(repository, null, observer)
            .PlanAsync(site.GetRetentionPolicy(), cancellationToken)).ConfigureAwait(false);
        RetentionResult[] removals = [.. plan.Removals];
        if (context.Parsed.GetValue(_dryRun) || removals.Length == 0)
        {
            context.WriteList(plan.Items, RetentionColumns.All, "There is nothing in the repository.");
            return ExitCodes.Success;
        }

        string what = string.Create(
            CultureInfo.InvariantCulture,
            $"{removals.Length} things go from {repository.Location}, {removals.Sum(static item => item.ObjectCount)} objects of {DisplayText.Size(removals.Sum(static item => item.FreedBytes))}.");
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
