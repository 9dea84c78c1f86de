namespace SmcDr.Cli.Output;

/// <summary>The steps of a plan: as they are planned, and one line for each as it ends.</summary>
internal static class PlanDisplay
{
    private static readonly Column<PlanStepResult>[] s_planned =
    [
        new("Begins", static step => step.PredictedStartSeconds is { } start ? $"+{(start == 0 ? "0 s" : DisplayText.Seconds(start))}" : "", IsNumber: true),
        new("Takes", static step => DisplayText.Seconds(step.PredictedSeconds), IsNumber: true),
        new("State", static step => step.State.ToString()),
        new("Step", static step => step.Title),
        new("Target", static step => step.Target),
        new("What it does", static step => step.Detail),
    ];

    private static readonly Column<ComponentRecovery>[] s_recoveries =
    [
        new("Verdict", static part => part.Verdict),
        new("Component", static part => part.Subject is null ? part.Component : $"{part.Component} {part.Subject}"),
        new("Recovery", static part => DisplayText.Seconds(part.RecoverySeconds), IsNumber: true),
        new("RTO", static part => DisplayText.Duration(part.Rto), IsNumber: true),
        new("Loss", static part => $"{(part.LossIsBound ? "≤ " : "")}{DisplayText.Seconds(part.LossSeconds)}", IsNumber: true),
        new("RPO", static part => DisplayText.Duration(part.Rpo), IsNumber: true),
        new("Backup", static part => part.BackupId),
    ];

    public static void WritePlanned(CliContext context, IReadOnlyList<PlanStepResult> steps) => context.WriteList(steps, s_planned, "There are no steps.");

    /// <summary>Shows each step as it ends; as JSON all of them at the end, also where the plan fails or is stopped.</summary>
    public static async Task WriteAsync(CliContext context, RelayObserver relay, IAsyncEnumerable<PlanStepResult> run)
    {
        List<PlanStepResult> steps = [];
        try
        {
            await context.ObserveAsync(async observer =>
            {
                relay.Target = observer;
                await foreach (PlanStepResult step in run.ConfigureAwait(false))
                {
                    steps.Add(step);
                    if (!context.Json)
                    {
                        string took = DisplayText.Duration(step.Elapsed).PadLeft(12);
                        context.Host.Out.WriteLine(ErrorText.OneLine($"{took}  {step.State,-12}  {step.Title} ({step.Target}): {step.Detail}"));
                    }
                }

                return true;
            }).ConfigureAwait(false);
            if (!context.Json && steps.Select(static step => step.Recovery).LastOrDefault(static recovery => recovery is not null) is { } result)
            {
                context.Host.Out.WriteLine();
                TableOutput.Write(context.Host.Out, result.Components, s_recoveries, context.IsRichOut);
            }
        }
        finally
        {
            if (context.Json)
            {
                context.WriteList(steps, s_planned, "");
            }
        }
    }
}
