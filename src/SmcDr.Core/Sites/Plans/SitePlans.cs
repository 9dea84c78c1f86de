using System.Text.Json;
using SmcDr.Core.Leases;
using SmcDr.Core.Plans;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Sites.Plans;

/// <summary>Begins plans of a site and goes on with unfinished ones, so that every front end means the same by it.</summary>
public static class SitePlans
{
    /// <summary>
    /// Makes the plan that is asked for ready. An unfinished plan that is the same is gone on with; another one stands in the way unless it is given up.
    /// </summary>
    /// <param name="context">What it is decided with.</param>
    /// <param name="request">What is asked for.</param>
    /// <param name="options">How it is begun or gone on with.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException">
    /// <see cref="SmcErrorCode.PlanUnfinished"/>, <see cref="SmcErrorCode.PlanUnsuitable"/>; or why the plan could not be carried out.
    /// </exception>
    public static async Task<SitePlan> PrepareAsync(
        SitePlanContext context, SitePlanRequest request, SitePlanOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(options);
        if (options.Resume || options.PlanId is not null)
        {
            return await ResumeAsync(context, [request.Kind], options, cancellationToken).ConfigureAwait(false);
        }

        Repository? journal = options.NoJournal ? null : await OpenJournalAsync(context, cancellationToken).ConfigureAwait(false);
        OpenPlan? open = journal is null || options.AbandonUnfinished ? null
            : await PlanJournals.FindOpenAsync(journal, context.Site.Name, null, cancellationToken).ConfigureAwait(false);
        if (open is { Intent: { } decided } && open.Operation == request.Kind.Operation && request.IsSame(decided))
        {
            context.Observer.Warning($"The plan '{open.Id}' was not finished and is gone on with: {open.State}");
            return Create(context, await request.Kind.BuildAsync(context, decided, cancellationToken).ConfigureAwait(false), open, journal!, options);
        }

        if (open is not null)
        {
            throw PlanJournals.Unfinished(context.Site.Name, open);
        }

        JsonElement intent = await request.DecideAsync(context, cancellationToken).ConfigureAwait(false);
        return Create(context, await request.Kind.BuildAsync(context, intent, cancellationToken).ConfigureAwait(false), null, journal ?? context.Repository, options);
    }

    /// <summary>Makes an unfinished plan ready to be gone on with, or to be taken back.</summary>
    /// <param name="context">What its steps work with.</param>
    /// <param name="kinds">Of which kinds it may be.</param>
    /// <param name="options">Which, and how.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.PlanUnsuitable"/>: there is none, or of another kind.</exception>
    public static async Task<SitePlan> ResumeAsync(
        SitePlanContext context, IReadOnlyList<SitePlanKind> kinds, SitePlanOptions options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(kinds);
        ArgumentNullException.ThrowIfNull(options);
        // Who names one kind means it; who names several takes what there is.
        SitePlanKind? kind = kinds is [var one] ? one : null;
        if (options is { NoJournal: true } or { AbandonUnfinished: true })
        {
            throw new SmcException(
                SmcErrorCode.ArgumentInvalid,
                "What is resumed has a journal, and is not given up.",
                recommendation: "Leave -NoJournal and -AbandonUnfinished (--no-journal, --abandon-unfinished) out.");
        }

        Repository journal = await OpenJournalAsync(context, cancellationToken).ConfigureAwait(false);
        OpenPlan open = options.PlanId is { } id
            ? await PlanJournals.OpenAsync(journal, context.Site.Name, id, cancellationToken).ConfigureAwait(false)
            : await PlanJournals.FindOpenAsync(journal, context.Site.Name, kind?.Operation, cancellationToken).ConfigureAwait(false)
                ?? throw new SmcException(
                    SmcErrorCode.PlanUnsuitable,
                    $"There is no unfinished plan{(kind is null ? "" : $" of {kind.Operation}")} of the site '{context.Site.Name}' in {journal.Location}.",
                    target: context.Site.Name);
        if (kind is not null && open.Operation != kind.Operation)
        {
            throw new SmcException(
                SmcErrorCode.PlanUnsuitable,
                $"The plan '{open.Id}' was begun by {open.Operation}, and not by {kind.Operation}.",
                recommendation: $"Go on with it by {open.Operation} or Resume-SmcPlan ('smcdr plan resume').",
                target: open.Id);
        }

        SitePlanKind found = kind ?? kinds.FirstOrDefault(known => known.Operation == open.Operation) ?? throw Unknown(open);
        return Create(context, await found.BuildAsync(context, open.Intent ?? throw Unknown(open), cancellationToken).ConfigureAwait(false), open, journal, options);
    }

    /// <summary>How far an unfinished plan is, as a sentence, for who is asked whether to give it up.</summary>
    /// <param name="context">What the plan works with.</param>
    /// <param name="planId">The plan's id. Its journal may be damaged.</param>
    /// <param name="cancellationToken">Stops the work.</param>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.PlanUnsuitable"/>: there is none of that id, or it has ended.</exception>
    public static async Task<string> DescribeUnfinishedAsync(SitePlanContext context, string planId, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);
        Repository journal = await OpenJournalAsync(context, cancellationToken).ConfigureAwait(false);
        try
        {
            return (await PlanJournals.OpenAsync(journal, context.Site.Name, planId, cancellationToken).ConfigureAwait(false)).State;
        }
        catch (SmcException e) when (SmcErrors.IsDamage(e.Code))
        {
            return $"How far it was is not known: {e.Message}";
        }
    }

    /// <summary>Gives an unfinished plan up: what it has done stays as it is.</summary>
    /// <inheritdoc cref="PlanJournals.AbandonAsync"/>
    public static async Task<PlanInfo> AbandonAsync(
        SitePlanContext context, string planId, bool breakLease, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);
        Repository journal = await OpenJournalAsync(context, cancellationToken).ConfigureAwait(false);
        return await PlanJournals.AbandonAsync(
            journal, context.Site.Name, planId, new SiteLeaseOptions { Break = breakLease }, context.Observer, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Whether a failure is one of the repository's store, without which a plan can still be carried out.</summary>
    internal static bool IsOfStore(SmcException failure) => failure.Code is SmcErrorCode.StorageUnavailable or SmcErrorCode.StorageAccessDenied
        or SmcErrorCode.StorageFull or SmcErrorCode.RepositoryNotFound;

    internal static SmcException WithoutJournal(SmcException failure) => new(
        failure.Code,
        $"The plan's journal cannot be kept: {failure.Message}",
        failure,
        $"{failure.Recommendation} Where there is no time for that, add -NoJournal (or --no-journal): the plan is carried out from a copy or by reading " +
            "alone, nobody can resume it, and nothing keeps a second operation away.",
        failure.Target);

    private static async Task<Repository> OpenJournalAsync(SitePlanContext context, CancellationToken cancellationToken)
    {
        try
        {
            return await context.Site.OpenRepositoryAsync(context.Secrets, cancellationToken).ConfigureAwait(false);
        }
        catch (SmcException e) when (IsOfStore(e))
        {
            throw WithoutJournal(e);
        }
    }

    private static SitePlan Create(SitePlanContext context, Plan plan, OpenPlan? resumed, Repository journal, SitePlanOptions options)
    {
        PlanOptions run = new()
        {
            Resume = resumed?.Id,
            AbandonOthers = options.AbandonUnfinished,
            Unjournaled = options.NoJournal,
            Lease = new SiteLeaseOptions { Break = options.BreakLease },
        };
        run = options.Parallelism is { } parallelism ? run with { Parallelism = parallelism } : run;
        return new SitePlan(plan, new PlanRun(journal, plan, run, context.Observer), resumed);
    }

    private static SmcException Unknown(OpenPlan open) => new(
        SmcErrorCode.PlanUnsuitable,
        $"This version of SmcDr ({Repository.ToolVersion}) does not know how to go on with the plan '{open.Id}' of {open.Operation}.",
        recommendation: "Go on with the version that began it, or give the plan up (Stop-SmcPlan, 'smcdr plan stop') and begin a new one.",
        target: open.Id);
}
