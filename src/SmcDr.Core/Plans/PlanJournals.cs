using SmcDr.Core.Leases;
using SmcDr.Core.ObjectStores;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Plans;

/// <summary>The journals of a site's plans in a repository: for who resumes one, and who looks.</summary>
public static class PlanJournals
{
    // A plan does not begin while another is unfinished, so that only the newest can be; clocks of several hosts blur which that is.
    private const int Newest = 16;

    /// <summary>The unfinished plan of an operation: its id, and from what its steps are built again. Null where there is none.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="site">The site's name.</param>
    /// <param name="operation">The command that began it.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<OpenPlan?> FindOpenAsync(
        Repository repository, string site, string operation, CancellationToken cancellationToken)
    {
        foreach (string id in await FindOpenAsync(repository, site, cancellationToken).ConfigureAwait(false))
        {
            PlanJournal journal = await PlanJournal.LoadAsync(repository, site, id, cancellationToken).ConfigureAwait(false);
            if (journal.Begin.Operation == operation)
            {
                return new OpenPlan(id, journal.Begin.Title, journal.Begin.Intent, DescribeState(journal));
            }
        }

        return null;
    }

    /// <summary>A site's plans, newest first.</summary>
    /// <param name="repository">The repository.</param>
    /// <param name="site">The site's name.</param>
    /// <param name="count">At most how many.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<IReadOnlyList<PlanInfo>> ListAsync(Repository repository, string site, int count, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        IReadOnlyList<LeaseHolder> holders = await SiteLease.ListHoldersAsync(repository, site, cancellationToken).ConfigureAwait(false);
        List<PlanInfo> plans = [];
        foreach (string id in (await PlanJournal.ListIdsAsync(repository, site, cancellationToken).ConfigureAwait(false)).Take(count))
        {
            try
            {
                plans.Add(ToInfo(await PlanJournal.LoadAsync(repository, site, id, cancellationToken).ConfigureAwait(false), holders, repository.Location));
            }
            catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
            {
                plans.Add(new PlanInfo { PlanId = id, Site = site, State = "Damaged", Title = e.Message, Repository = repository.Location });
            }
        }

        return plans;
    }

    /// <summary>One plan.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.PlanUnsuitable"/>: there is none of that id.</exception>
    public static async Task<PlanInfo> GetAsync(Repository repository, string site, string planId, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        PlanJournal journal = await PlanJournal.LoadAsync(repository, site, planId, cancellationToken).ConfigureAwait(false);
        return ToInfo(
            journal, await SiteLease.ListHoldersAsync(repository, site, cancellationToken).ConfigureAwait(false), repository.Location);
    }

    /// <summary>The ids of the plans that were not ended, newest first.</summary>
    internal static async Task<IReadOnlyList<string>> FindOpenAsync(Repository repository, string site, CancellationToken cancellationToken)
    {
        List<string> open = [];
        foreach (string id in (await PlanJournal.ListIdsAsync(repository, site, cancellationToken).ConfigureAwait(false)).Take(Newest))
        {
            if (!await PlanJournal.IsEndedAsync(repository, site, id, cancellationToken).ConfigureAwait(false))
            {
                open.Add(id);
            }
        }

        return open;
    }

    /// <summary>How far a plan is, as a sentence.</summary>
    internal static string DescribeState(PlanJournal journal)
    {
        IReadOnlyDictionary<string, StepRecord> steps = journal.Steps;
        string[] problems =
        [
            .. journal.Begin.Steps.Select(step => (step.Title, steps.GetValueOrDefault(step.Key)?.State))
                .Where(static step => step.State is PlanStepState.Failed or PlanStepState.Interrupted or PlanStepState.Running)
                .Select(static step => $"{step.Title} ({step.State})"),
        ];
        return $"{steps.Values.Count(static step => step.IsDone)} of {journal.Begin.Steps.Count} steps are done" +
            (problems.Length == 0 ? "" : $", not {string.Join(", ", problems)}") +
            $"; last heard of from {journal.Last.User} on {journal.Last.Host} at {DisplayText.Time(journal.Last.Time)}.";
    }

    private static PlanInfo ToInfo(PlanJournal journal, IReadOnlyList<LeaseHolder> holders, string location)
    {
        IReadOnlyDictionary<string, StepRecord> records = journal.Steps;
        bool isHeld = holders.Any(holder => holder.Operation == journal.Begin.Operation);
        return new PlanInfo
        {
            PlanId = journal.PlanId,
            Site = journal.Begin.Site,
            Operation = journal.Begin.Operation,
            Title = journal.Begin.Title,
            State = journal.End?.Outcome ?? (isHeld ? "Running" : "Unfinished"),
            StartTime = journal.First.Time,
            EndTime = journal.End?.EndTime,
            LastTime = journal.Last.Time,
            By = $"{journal.Last.User}@{journal.Last.Host}",
            Runs = journal.Runs,
            DoneCount = records.Values.Count(static record => record.IsDone),
            StepCount = journal.Begin.Steps.Count,
            Steps =
            [
                .. journal.Begin.Steps.Select(step => records.GetValueOrDefault(step.Key) is { Last: var last }
                    ? ToResult(journal, step) with
                    {
                        State = last.State!.Value,
                        StartTime = last.StartTime,
                        Elapsed = last.ElapsedSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null,
                        SizeBytes = last.SizeBytes,
                        Detail = last.Detail ?? "",
                        ErrorId = last.ErrorId,
                    }
                    : ToResult(journal, step)),
            ],
            Repository = location,
        };
    }

    private static PlanStepResult ToResult(PlanJournal journal, PlannedStep step) => new()
    {
        PlanId = journal.PlanId,
        Step = step.Key,
        Title = step.Title,
        Target = step.Target,
        After = step.After,
        State = journal.End is null ? PlanStepState.Pending : PlanStepState.NotReached,
        SizeBytes = step.SizeBytes,
        Detail = step.Description,
    };
}
