using System.CommandLine;
using SmcDr.Core.Systems;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr plan resume</c>.</summary>
internal sealed class PlanResumeCommand : PlanCommand
{
    private readonly Argument<string?> _plan = new("plan")
    {
        Description = "The plan's id. Default: the newest that was not finished.",
        DefaultValueFactory = static _ => null,
    };

    public PlanResumeCommand(CliHost host)
        : base(host, "resume", "Goes on with a plan that was interrupted or failed, whatever command began it.", isNew: false) => Arguments.Add(_plan);

    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken) => CarryOutAsync(
        context,
        plan => SitePlans.ResumeAsync(plan, null, Plan.Options(context.Parsed, context.Parsed.GetValue(_plan)), cancellationToken),
        isUndo: false,
        cancellationToken);
}
