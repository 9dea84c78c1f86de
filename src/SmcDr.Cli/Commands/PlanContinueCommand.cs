using System.CommandLine;
using SmcDr.Core.Runbooks;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr plan resume</c> and <c>smcdr plan undo</c>: what is done with a plan that was not finished.</summary>
internal sealed class PlanContinueCommand : PlanCommand
{
    private readonly Argument<string?> _plan = new("plan")
    {
        Description = "The plan's id. Default: the newest that was not finished.",
        DefaultValueFactory = static _ => null,
    };

    private readonly bool _isUndo;

    private PlanContinueCommand(CliHost host, string name, string description, bool isUndo)
        : base(host, name, description, isNew: false)
    {
        Arguments.Add(_plan);
        _isUndo = isUndo;
    }

    public static PlanContinueCommand Resume(CliHost host) =>
        new(host, "resume", "Goes on with a plan that was interrupted or failed, whatever command began it.", isUndo: false);

    public static PlanContinueCommand Undo(CliHost host) =>
        new(host, "undo", "Takes back what an unfinished plan has done, the last step first, as far as that can be.", isUndo: true);

    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken) => CarryOutAsync(
        context,
        plan => SitePlans.ResumeAsync(plan, SitePlanKinds.All, Plan.Options(context.Parsed, context.Parsed.GetValue(_plan)), cancellationToken),
        _isUndo,
        cancellationToken);
}
