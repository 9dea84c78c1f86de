using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Sites;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr plan show</c>.</summary>
internal sealed class PlanShowCommand : CliCommand
{
    private static readonly Column<PlanStepResult>[] s_columns =
    [
        new("Step", static step => step.Step),
        new("State", static step => step.State.ToString()),
        new("Started", static step => DisplayText.Time(step.StartTime)),
        new("Took", static step => DisplayText.Duration(step.Elapsed), IsNumber: true),
        new("Target", static step => step.Target),
        new("Detail", static step => step.Detail),
    ];

    private readonly Argument<string> _plan = new("plan") { Description = "The plan's id." };

    public PlanShowCommand(CliHost host)
        : base(host, "show", "Shows a plan of the repository's journal, step by step.")
    {
        Arguments.Add(_plan);
        Options.Add(GlobalOptions.Json);
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        Repository repository = await site.OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        PlanInfo plan = await PlanJournals.GetAsync(
            repository, site.Name, context.Parsed.GetValue(_plan)!, cancellationToken).ConfigureAwait(false);
        context.Write(plan, (writer, info) =>
        {
            writer.WriteLine(ErrorText.OneLine($"{info.Title}: {info.State}, {info.DoneCount} of {info.StepCount} steps done, last by {info.By}."));
            TableOutput.Write(writer, info.Steps, s_columns, context.IsRichOut);
        });
        return ExitCodes.Success;
    }
}
