using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Cli.Commands;

/// <summary><c>smcdr plan stop</c>.</summary>
internal sealed class PlanStopCommand : CliCommand
{
    private readonly Argument<string> _plan = new("plan") { Description = "The plan's id." };
    private readonly Option<bool> _breakLease = new("--break-lease") { Description = "Take the site's lease from an operation that still has it." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Do not ask." };

    public PlanStopCommand(CliHost host)
        : base(host, "stop", "Gives an unfinished plan up. What it has done stays as it is.")
    {
        Arguments.Add(_plan);
        foreach (Option option in new Option[] { _breakLease, _yes, GlobalOptions.Json })
        {
            Options.Add(option);
        }
    }

    protected override async Task<int> RunAsync(CliContext context, CancellationToken cancellationToken)
    {
        Site site = context.LoadSite();
        string id = context.Parsed.GetValue(_plan)!;
        SitePlanContext plans = await SitePlanContext
            .OpenAsync(site, context.Secrets, context.CreatePlainObserver(), cancellationToken).ConfigureAwait(false);
        if (!await context.ConfirmAsync(
            $"The plan '{id}' will be given up; what it has done stays as it is.", context.Parsed.GetValue(_yes), cancellationToken).ConfigureAwait(false))
        {
            await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
            return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
        }

        PlanInfo plan = await SitePlans.AbandonAsync(plans, id, context.Parsed.GetValue(_breakLease), cancellationToken).ConfigureAwait(false);
        context.Write(plan, static (writer, info) => writer.WriteLine(ErrorText.OneLine($"{info.PlanId}: {info.State}.")));
        return ExitCodes.Success;
    }
}
