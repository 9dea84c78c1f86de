using System.CommandLine;
using SmcDr.Cli.Output;
using SmcDr.Core.Sites;
using SmcDr.Core.Sites.Plans;

namespace SmcDr.Cli.Commands;

/// <summary>The base of the commands that work on a plan of the site.</summary>
internal abstract class PlanCommand : CliCommand
{
    protected PlanCommand(CliHost host, string name, string description, bool isNew)
        : base(host, name, description)
    {
        foreach (Option option in isNew ? Plan.All : Plan.Common)
        {
            Options.Add(option);
        }
    }

    /// <summary>The options of plans.</summary>
    protected PlanArguments Plan { get; } = new();

    /// <summary>What only a person can decide, once the plan is ready: questions that --yes does not answer.</summary>
    protected virtual IReadOnlyList<string> FindQuestions(CliContext context) => [];

    /// <summary>Makes a plan ready, shows it, asks, and carries it out or takes it back.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="prepare">Makes it ready.</param>
    /// <param name="isUndo">Whether it is taken back.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    protected async Task<int> CarryOutAsync(
        CliContext context, Func<SitePlanContext, Task<SitePlan>> prepare, bool isUndo, CancellationToken cancellationToken)
    {
        Site site = await context.LoadSiteAsync(cancellationToken).ConfigureAwait(false);
        RelayObserver relay = new(context.CreatePlainObserver());
        (SitePlan plan, IReadOnlyList<PlanStepResult> steps) = await context.ObserveAsync(async observer =>
        {
            relay.Target = observer;
            SitePlan prepared = await prepare(
                await SitePlanContext.OpenAsync(site, context.Secrets, relay, cancellationToken).ConfigureAwait(false)).ConfigureAwait(false);
            return (prepared, await prepared.PreviewAsync(cancellationToken).ConfigureAwait(false));
        }).ConfigureAwait(false);
        IReadOnlyList<string> questions = FindQuestions(context);
        if (Plan.IsDryRun(context.Parsed))
        {
            foreach (string question in questions)
            {
                context.CreatePlainObserver().Warning($"It will be asked: {question}");
            }

            if (isUndo && !context.Json)
            {
                await context.Host.Out.WriteLineAsync(ErrorText.OneLine(plan.DescribeUndo())).ConfigureAwait(false);
            }
            else
            {
                PlanDisplay.WritePlanned(context, steps);
            }

            return ExitCodes.Success;
        }

        foreach (string line in (isUndo ? plan.DescribeUndo() : plan.Describe(steps)).Split(Environment.NewLine))
        {
            await context.Host.Error.WriteLineAsync(ErrorText.OneLine(line)).ConfigureAwait(false);
        }

        foreach (string question in questions)
        {
            if (!await context.DecideAsync(question, cancellationToken).ConfigureAwait(false))
            {
                await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
                return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
            }
        }

        if (!await context.ConfirmAsync(
            isUndo ? $"The plan '{plan.PlanId}' will be taken back." : $"{plan.Plan.Title}.",
            Plan.IsConfirmed(context.Parsed),
            cancellationToken).ConfigureAwait(false))
        {
            await context.Host.Error.WriteLineAsync("Nothing was changed.").ConfigureAwait(false);
            return SmcErrors.Get(SmcErrorCode.OperationStopped).ExitCode;
        }

        await PlanDisplay.WriteAsync(
            context, relay, isUndo ? plan.UndoAsync(cancellationToken) : plan.RunAsync(cancellationToken)).ConfigureAwait(false);
        return ExitCodes.Success;
    }
}
