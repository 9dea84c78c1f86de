using System.CommandLine;
using SmcDr.Core.Regions.Failback;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr region failback</c>.</summary>
internal sealed class RegionFailbackCommand : PlanCommand
{
    private readonly Option<string?> _region = new("--region")
    {
        Description = "The region that is to lead again. Default: the one that the site file calls primary.",
        HelpName = "NAME",
    };

    private readonly Option<bool> _force = new("--force")
    {
        Description = "Go on where what the former primary committed, and nobody else has, cannot be listed or its rows not be exported.",
    };

    private readonly Option<bool> _noRewind = new("--no-rewind")
    {
        Description = "Do not try pg_rewind: restore the former primary from the repository, keeping what is right in it.",
    };

    private readonly Option<string[]> _program = RegionArguments.NewProgram();

    public RegionFailbackCommand(CliHost host)
        : base(host, "failback", "Makes the former primary, on this host, a standby, and leads the site back to it without a loss.", isNew: true)
    {
        Options.Add(_region);
        Options.Add(_force);
        Options.Add(_noRewind);
        Options.Add(_program);
    }

    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        ParseResult parsed = context.Parsed;
        SitePlanRequest request = RegionFailback.CreateRequest(
            parsed.GetValue(_region), parsed.GetValue(_force), parsed.GetValue(_noRewind), RegionArguments.GetProgram(parsed, _program));
        return CarryOutAsync(
            context, plan => SitePlans.PrepareAsync(plan, request, Plan.Options(parsed), cancellationToken), isUndo: false, cancellationToken);
    }
}
