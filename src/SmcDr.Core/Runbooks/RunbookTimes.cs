using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;
using SmcDr.Core.Systems.Restore;

namespace SmcDr.Core.Runbooks;

/// <summary>How long a site's runbooks took, and the steps of all its plans.</summary>
internal sealed class RunbookTimes
{
    private const int Plans = 20;

    private readonly PlanHistory _steps;
    private readonly Dictionary<IncidentScenario, List<double>> _runs = [];

    private RunbookTimes(PlanHistory steps) => _steps = steps;

    /// <summary>Nothing is known.</summary>
    public static RunbookTimes None { get; } = new(PlanHistory.Empty);

    /// <summary>Reads the journals of the newest runbooks. What cannot be read teaches nothing.</summary>
    public static async Task<RunbookTimes> LoadAsync(Repository repository, string site, CancellationToken cancellationToken)
    {
        RunbookTimes times = new(await PlanHistory.LoadAsync(repository, site, cancellationToken).ConfigureAwait(false));
        IReadOnlyList<string> ids = await PlanJournal.ListIdsAsync(repository, site, cancellationToken).ConfigureAwait(false);
        foreach (string id in ids.Where(static id => PlanJournal.IsOf(id, RunbookPlan.Operation)).Take(Plans))
        {
            try
            {
                PlanJournal journal = await PlanJournal.LoadAsync(repository, site, id, cancellationToken).ConfigureAwait(false);
                // One that found nothing to restore says nothing of one that does, and a pause is none of the runbook's own.
                if (journal is { End: { Outcome: PlanEnd.Succeeded, Runs: 1 } end, Begin.Intent: { } json } &&
                    RunbookPlan.Read(json) is var intent &&
                    (intent.Kind != SystemRestore.Kind.Operation || end.Steps.Any(IsRestore)))
                {
                    times._runs.TryAdd(intent.Scenario, []);
                    times._runs[intent.Scenario].Add((end.EndTime - end.StartTime).TotalSeconds);
                }
            }
            catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
            {
                // An estimate that lacks one of its samples is still one.
            }
        }

        return times;
    }

    /// <summary>What the runs of a scenario took, in seconds, the newest first.</summary>
    public IReadOnlyList<double> Of(IncidentScenario scenario) => _runs.GetValueOrDefault(scenario) ?? [];

    /// <summary>What a step takes, in seconds; null where no plan has had it.</summary>
    public double? OfStep(string step) => _steps.Predict(step, null);

    private static bool IsRestore(EndedStep step) => step.Key.StartsWith(SystemRestore.RestorePrefix, StringComparison.Ordinal);
}
