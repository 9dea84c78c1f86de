using System.CommandLine;
using SmcDr.Core.Runbooks;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr runbook run</c>.</summary>
internal sealed class RunbookRunCommand : PlanCommand
{
    private readonly Argument<IncidentScenario> _scenario = new("scenario") { Description = RunbookShowCommand.ScenarioText };
    private readonly Option<string?> _time = new("--target-time")
    {
        Description = "Go back to this instant, with Z or an offset, such as 2026-11-05T10:00:00Z. Default: as late as can be; needed after an attack.",
        HelpName = "TIME",
    };

    private readonly Option<string?> _region = new("--region") { Description = "Where a region has failed, the one that is to lead.", HelpName = "REGION" };
    private readonly Option<bool> _force = new("--force")
    {
        Description = "Say yes to all that has to be decided, and leave a region although its primary gives signs of life.",
    };

    private RunbookRequest? _request;

    public RunbookRunCommand(CliHost host)
        : base(host, "run", "Carries out what is to be done in a scenario, as one plan.", isNew: true)
    {
        Arguments.Add(_scenario);
        foreach (Option option in new Option[] { _time, _region, _force })
        {
            Options.Add(option);
        }
    }

    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        RunbookOptions options = new()
        {
            Scenario = context.Parsed.GetValue(_scenario),
            TargetTime = context.Parsed.GetValue(_time) is { } time ? InstantText.Parse(time) : null,
            Region = context.Parsed.GetValue(_region),
            Force = context.Parsed.GetValue(_force),
        };
        RunbookRequest request = _request = new RunbookRequest(
            Plan.IsDryRun(context.Parsed) ? options with { IsPreview = true, Patience = TimeSpan.Zero } : options);
        return CarryOutAsync(
            context,
            plan => SitePlans.PrepareAsync(plan, request.Plan, Plan.Options(context.Parsed), cancellationToken),
            isUndo: false,
            cancellationToken);
    }

    protected override IReadOnlyList<string> FindQuestions(CliContext context) => context.Parsed.GetValue(_force) ? [] : _request!.Questions;
}
