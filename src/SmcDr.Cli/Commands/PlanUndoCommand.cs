using System.CommandLine;
using SmcDr.Core.Systems;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr plan undo</c>.</summary>
internal sealed class PlanUndoCommand : PlanCommand
{
    private readonly Argument<string?> _plan = new("plan")
    {
        Description = "The plan's id. Default: the newest that was not finished.",
        DefaultValueFactory = static _ => null,
    };

    public PlanUndoCommand(CliHost host)
        : base(host, "undo", "Takes back what an unfinished plan has done, the last step first, as far as that can be.", isNew: false) => Arguments.Add(_plan);

    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken) => CarryOutAsync(
        context,
        plan => SitePlans.ResumeAsync(plan, null, Plan.Options(context.Parsed, context.Parsed.GetValue(_plan)), cancellationToken),
        isUndo: true,
        cancellationToken);
}
