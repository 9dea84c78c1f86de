using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Sites;
using SmcDr.Core.Systems;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr system test</c>.</summary>
internal sealed class SystemTestCommand : CliCommand
{
    private static readonly Column<CheckResult>[] s_columns =
    [
        new("Outcome", static result => result.Outcome),
        new("Check", static result => result.Name),
        new("Target", static result => result.Target),
        new("What was found", static result => result.Recommendation is { } next ? $"{result.Message} {next}" : result.Message),
    ];

    private readonly Option<Component[]> _components = SystemArguments.NewComponents("Check only this. Can be given again.");
    private readonly Option<bool> _skipBackups = new("--skip-backups") { Description = "Do not look whether backups and WAL are recent." };

    public SystemTestCommand(CliHost host)
        : base(host, "test", "Checks whether the system does what it is there for: cluster, database, Redis, the site's queries and URLs, and backups.")
    {
        foreach (Option option in new Option[] { _components, _skipBackups, GlobalOptions.Json })
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        List<CheckResult> results = [];
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        await foreach (CheckResult result in new SystemChecks(site, context.Secrets)
            .RunAsync(context.Parsed.GetValue(_components)!, !context.Parsed.GetValue(_skipBackups), cancellationToken).ConfigureAwait(false))
        {
            results.Add(result);
        }

        context.WriteList(results, s_columns, "Nothing was checked.");
        return results.Any(static result => result.Outcome == CheckOutcomes.Failed)
            ? SmcErrors.Get(SmcErrorCode.VerificationFailed).ExitCode
            : ExitCodes.Success;
    }
}
