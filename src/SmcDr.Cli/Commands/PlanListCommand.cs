using System.CommandLine;
using System.Globalization;
using SmcDr.Cli.Output;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr plan list</c>.</summary>
internal sealed class PlanListCommand : CliCommand
{
    private static readonly Column<PlanInfo>[] s_columns =
    [
        new("Plan", static plan => plan.PlanId),
        new("State", static plan => plan.State),
        new("Steps", static plan => string.Create(CultureInfo.InvariantCulture, $"{plan.DoneCount}/{plan.StepCount}"), IsNumber: true),
        new("Started", static plan => DisplayText.Time(plan.StartTime)),
        new("Took", static plan => DisplayText.Duration(plan.Elapsed), IsNumber: true),
        new("By", static plan => plan.By),
        new("Title", static plan => plan.Title),
    ];

    private readonly Option<int> _last = new("--last")
    {
        Description = "At most how many; 20 without it.",
        DefaultValueFactory = static _ => 20,
    };

    public PlanListCommand(CliHost host)
        : base(host, "list", "Lists the plans in the repository's journal, newest first.")
    {
        Options.Add(_last);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        Repository repository = await site.OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        context.WriteList(
            await PlanJournals.ListAsync(repository, site.Name, context.Parsed.GetValue(_last), cancellationToken).ConfigureAwait(false),
            s_columns,
            "There are no plans.");
        return ExitCodes.Success;
    }
}
