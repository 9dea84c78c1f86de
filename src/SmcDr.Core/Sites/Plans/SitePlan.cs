using System.Runtime.CompilerServices;
using SmcDr.Core.Plans;

namespace SmcDr.Core.Sites.Plans;

/// <summary>A plan of a site that is ready to be shown, carried out or taken back.</summary>
public sealed class SitePlan
{
    private readonly PlanRun _run;
    private readonly OpenPlan? _resumed;

    internal SitePlan(Plan plan, PlanRun run, OpenPlan? resumed) => (Plan, _run, _resumed) = (plan, run, resumed);

    /// <summary>What is done.</summary>
    public Plan Plan { get; }

    /// <summary>The plan's id; null before it has begun, and where it keeps no journal.</summary>
    public string? PlanId => _run.PlanId ?? _resumed?.Id;

    /// <summary>The steps with what they will do and how long they are expected to take. Changes nothing.</summary>
    public Task<IReadOnlyList<PlanStepResult>> PreviewAsync(CancellationToken cancellationToken) => _run.PreviewAsync(cancellationToken);

    /// <summary>Carries it out; each step comes as it ends.</summary>
    /// <exception cref="SmcException">What the first step failed with, or why it could not begin.</exception>
    public IAsyncEnumerable<PlanStepResult> RunAsync(CancellationToken cancellationToken) => ExplainAsync(_run.RunAsync(cancellationToken), cancellationToken);

    /// <summary>Takes back what it has done, the last step first; each comes as it is taken back.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.PlanUnsuitable"/>: a step cannot be taken back; or what one failed with.</exception>
    public IAsyncEnumerable<PlanStepResult> UndoAsync(CancellationToken cancellationToken) =>
        ExplainAsync(_run.UndoAsync(cancellationToken), cancellationToken);

    /// <summary>The plan in lines, for an operator to read before saying yes.</summary>
    /// <param name="steps">What <see cref="PreviewAsync"/> gives.</param>
    public string Describe(IReadOnlyList<PlanStepResult> steps)
    {
        ArgumentNullException.ThrowIfNull(steps);
        List<string> lines = [$"{Plan.Title}."];
        if (_resumed is { } open)
        {
            lines.Add($"It goes on with the plan '{open.Id}': {open.State}");
        }

        foreach (PlanStepResult step in steps)
        {
            string duration = step is { PredictedSeconds: { } seconds, State: PlanStepState.Pending } ? $" About {DisplayText.Seconds(seconds)}." : "";
            lines.Add($"  - {step.Title} ({step.Target}): {step.Detail}{duration}");
        }

        return string.Join(Environment.NewLine, lines);
    }

    /// <summary>What taking it back is about, in lines.</summary>
    public string DescribeUndo()
    {
        List<string> lines = [$"Take back what the plan '{PlanId}' has done ({Plan.Title}): {_resumed?.State}"];
        bool HasActed(string key) => _resumed?.Acted.Contains(key) == true;
        IReadOnlyDictionary<string, string[]> kept = Plan.FindKept(HasActed);
        foreach (PlanStep step in Plan.Steps.Reverse().Where(step => HasActed(step.Key)))
        {
            lines.Add(
                $"  - {step.Title} ({step.Target}) " +
                (!step.CanUndo ? "cannot be taken back, and stays."
                    : kept.ContainsKey(step.Key) ? "stays, since what builds on it stays."
                    : "is taken back."));
        }

        if (kept.Count > 0)
        {
            lines.Add("So the plan stays unfinished.");
        }

        return string.Join(Environment.NewLine, lines);
    }

    private async IAsyncEnumerable<PlanStepResult> ExplainAsync(
        IAsyncEnumerable<PlanStepResult> results, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        IAsyncEnumerator<PlanStepResult> steps = results.GetAsyncEnumerator(cancellationToken);
        await using (steps.ConfigureAwait(false))
        {
            while (true)
            {
                try
                {
                    if (!await steps.MoveNextAsync().ConfigureAwait(false))
                    {
                        break;
                    }
                }
                catch (SmcException e) when (_run.PlanId is null && SitePlans.IsOfStore(e))
                {
                    throw SitePlans.WithoutJournal(e);
                }

                yield return steps.Current;
            }
        }
    }
}
