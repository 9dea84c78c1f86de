using System.CommandLine;
using SmcDr.Core.Regions.Failover;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr region failover</c>.</summary>
internal sealed class RegionFailoverCommand : PlanCommand
{
    private readonly Option<string?> _region = new("--region")
    {
        Description = "The region that is to lead. Default: the only one that the site file calls standby.",
        HelpName = "NAME",
    };

    private readonly Option<bool> _planned = new("--planned")
    {
        Description = "Lose nothing: stop the writers, shut the old primary down cleanly, and promote when all of it is replayed.",
    };

    private readonly Option<bool> _force = new("--force")
    {
        Description = "Do it although the primary gives signs of life, and without WAL that cannot be brought.",
    };

    private readonly Option<string[]> _program = RegionArguments.NewProgram();

    public RegionFailoverCommand(CliHost host)
        : base(host, "failover", "Leads the site to another region.", isNew: true)
    {
        Options.Add(_region);
        Options.Add(_planned);
        Options.Add(_force);
        Options.Add(_program);
        Validators.Add(result =>
        {
            if (result.GetValue(_planned) && result.GetValue(_force))
            {
                result.AddError("--planned and --force cannot be given together: a planned failover loses nothing, and a forced one may.");
            }
        });
    }

    protected override Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        ParseResult parsed = context.Parsed;
        SitePlanRequest request = RegionFailover.CreateRequest(
            parsed.GetValue(_region),
            parsed.GetValue(_planned),
            parsed.GetValue(_force),
            RegionArguments.GetProgram(parsed, _program),
            Plan.IsDryRun(parsed));
        return CarryOutAsync(
            context, plan => SitePlans.PrepareAsync(plan, request, Plan.Options(parsed), cancellationToken), isUndo: false, cancellationToken);
    }
}
