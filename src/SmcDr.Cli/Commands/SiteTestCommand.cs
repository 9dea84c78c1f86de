using SmcDr.Cli.Output;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr site test</c>.</summary>
internal sealed class SiteTestCommand : CliCommand
{
    private static readonly Column<CheckResult>[] s_columns =
    [
        new("Outcome", static check => check.Outcome),
        new("Check", static check => check.Name),
        new("Target", static check => check.Target),
        new("Message", static check => check.Recommendation is { Length: > 0 } advice ? $"{check.Message} {advice}" : check.Message),
    ];

    public SiteTestCommand(CliHost host)
        : base(host, "test", "Checks whether repository, database and Redis are as backups and recoveries need them.")
    {
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        SiteChecks checks = new(await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false), context.Secrets, ObjectStoreFactory.Open);
        List<CheckResult> results = [];
        await foreach (CheckResult result in checks.RunAsync(cancellationToken).ConfigureAwait(false))
        {
            results.Add(result);
        }

        context.WriteList(results, s_columns, "Nothing was checked.");
        return results.Any(static result => result.Outcome == "Failed")
            ? SmcErrors.Get(SmcErrorCode.VerificationFailed).ExitCode
            : ExitCodes.Success;
    }
}
