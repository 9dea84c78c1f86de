using SmcDr.Core.Leases;
using SmcDr.Core.Operations;
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
    /// <param name="operation">The command that began it; null = any.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    public static async Task<OpenPlan?> FindOpenAsync(
        Repository repository, string site, string? operation, CancellationToken cancellationToken)
    {
        foreach (string id in await FindOpenAsync(repository, site, cancellationToken).ConfigureAwait(false))
        {
            PlanJournal journal = await PlanJournal.LoadAsync(repository, site, id, cancellationToken).ConfigureAwait(false);
            if (operation is null || journal.Begin.Operation == operation)
            {
                return ToOpen(journal);
            }
        }

        return null;
    }

    /// <summary>The plan of an id, for who goes on with it.</summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.PlanUnsuitable"/>: there is none of that id, or it has ended.</exception>
    public static async Task<OpenPlan> OpenAsync(Repository repository, string site, string planId, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        PlanJournal journal = await PlanJournal.LoadAsync(repository, site, planId, cancellationToken).ConfigureAwait(false);
        journal.ThrowIfEnded();
        return ToOpen(journal);
    }

    /// <summary>Gives an unfinished plan up: what it has done stays as it is, and nobody is kept from beginning another.</summary>
    /// <param name="repository">The repository alone, without copies.</param>
    /// <param name="site">The site's name.</param>
    /// <param name="planId">The plan's id. Its journal may be damaged.</param>
    /// <param name="lease">How the site's lease is taken: a plan that somebody is at is not given up behind his back.</param>
    /// <param name="observer">Hears of leases that are void.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.PlanUnsuitable"/>; <see cref="SmcErrorCode.OperationInProgress"/>: somebody is at work on the site.
    /// </exception>
    public static async Task<PlanInfo> AbandonAsync(
        Repository repository,
        string site,
        string planId,
        SiteLeaseOptions lease,
        IOperationObserver observer,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(repository);
        SiteLease held = await SiteLease.TakeAsync(
            repository, site, "Stop-SmcPlan", planId, lease, observer, cancellationToken).ConfigureAwait(false);
        await using (held.ConfigureAwait(false))
        {
            try
            {
                PlanJournal journal = await PlanJournal.LoadAsync(repository, site, planId, cancellationToken).ConfigureAwait(false);
                journal.ThrowIfEnded();
                await journal.EndAsync(PlanEnd.Abandoned, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
            {
                await PlanJournal.AbandonDamagedAsync(repository, site, planId, cancellationToken).ConfigureAwait(false);
                observer.Warning($"How far the plan '{planId}' was is not known: {e.Message}");
            }
        }

        return await DescribeAsync(repository, site, planId, [], cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What to say to who would begin a plan while another is unfinished.</summary>
    internal static SmcException Unfinished(string site, OpenPlan other) => new(
        SmcErrorCode.PlanUnfinished,
        $"The plan '{other.Id}' of the site '{site}' ({other.Title}) was not finished: {other.State}",
        recommendation: $"Run {other.Operation} again: it goes on where it stopped. To take it back, or to give it up for this one, see " +
            $"'Get-Help {other.Operation}'.",
        target: other.Id);

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
            plans.Add(await DescribeAsync(repository, site, id, holders, cancellationToken).ConfigureAwait(false));
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

    internal static OpenPlan ToOpen(PlanJournal journal) => new(
        journal.PlanId,
        journal.Begin.Operation,
        journal.Begin.Title,
        journal.Begin.Intent,
        DescribeState(journal),
        journal.Steps.Where(static step => step.Value.HasActed).Select(static step => step.Key).ToHashSet(StringComparer.Ordinal));

    private static async Task<PlanInfo> DescribeAsync(
        Repository repository, string site, string id, IReadOnlyList<LeaseHolder> holders, CancellationToken cancellationToken)
    {
        try
        {
            return ToInfo(await PlanJournal.LoadAsync(repository, site, id, cancellationToken).ConfigureAwait(false), holders, repository.Location);
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
        {
            return new PlanInfo { PlanId = id, Site = site, State = "Damaged", Title = e.Message, Repository = repository.Location };
        }
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
