using System.CommandLine;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;
using SmcDr.Core.Systems.Restore;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr system restore</c>.</summary>
internal sealed class SystemRestoreCommand : PlanCommand
{
    private readonly Option<string?> _time = new("--target-time")
    {
        Description = "Go back to this instant, with Z or an offset, such as 2026-11-05T10:00:00Z. Default: as late as can be.",
        HelpName = "TIME",
    };

    private readonly Option<Component[]> _components = SystemArguments.NewComponents("Restore only this. Can be given again.");

    public SystemRestoreCommand(CliHost host)
        : base(host, "restore", "Restores configuration, database, Redis and file stores as one plan, and checks the system.", isNew: true)
    {
        Options.Add(_time);
        Options.Add(_components);
    }

    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        SystemRestoreOptions options = new()
        {
            TargetTime = context.Parsed.GetValue(_time) is { } time ? InstantText.Parse(time) : null,
            Components = context.Parsed.GetValue(_components)!,
        };
        return CarryOutAsync(
            context,
            plan => SitePlans.PrepareAsync(plan, SystemRestore.CreateRequest(options), Plan.Options(context.Parsed), cancellationToken),
            isUndo: false,
            cancellationToken);
    }
}
