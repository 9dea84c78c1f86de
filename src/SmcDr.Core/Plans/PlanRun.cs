using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Threading.Channels;
using SmcDr.Core.Leases;
using SmcDr.Core.Operations;
using SmcDr.Core.Repositories;

namespace SmcDr.Core.Plans;

/// <summary>
/// Carries a plan out, or takes it back: under the site's lease, each step journaled before it begins and when it ends, so that anybody can go on
/// after whatever interruption.
/// </summary>
/// <remarks>
/// A step that fails stops what comes after it, and nothing else: what does not build on it goes on, since the plan will be resumed.
/// When the run is stopped, or its lease lost, the steps that are at work are stopped and waited for.
/// </remarks>
public sealed class PlanRun
{
    private const int TakeUpAttempts = 5;

    private readonly Repository _repository;
    private readonly Plan _plan;
    private readonly PlanOptions _options;
    private readonly IOperationObserver _observer;
    private PlanHistory _history = PlanHistory.Empty;
    private PlanJournal? _journal;
    private SiteLease? _lease;
    private StepOutputs _outputs = new();

    /// <summary>Prepares a run. Nothing happens until it is begun.</summary>
    /// <param name="repository">Where journal and lease are kept: the repository alone, without copies.</param>
    /// <param name="plan">What is done.</param>
    /// <param name="options">How.</param>
    /// <param name="observer">Hears of the steps' work.</param>
    public PlanRun(Repository repository, Plan plan, PlanOptions options, IOperationObserver observer)
    {
        ArgumentNullException.ThrowIfNull(repository);
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(observer);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Parallelism, 1);
        if (options is { Unjournaled: true, Resume: not null })
        {
            throw new ArgumentException("What is resumed has a journal.", nameof(options));
        }

        (_repository, _plan, _options, _observer) = (repository, plan, options, observer);
    }

    /// <summary>The plan's id, once the run has begun; null where it keeps no journal.</summary>
    public string? PlanId => _journal?.PlanId;

    /// <summary>What would be done, in order, with predicted durations: for -WhatIf. Changes nothing.</summary>
    public async Task<IReadOnlyList<PlanStepResult>> PreviewAsync(CancellationToken cancellationToken)
    {
        PlanHistory history = await PlanHistory.LoadAsync(_repository, _plan.Site, cancellationToken).ConfigureAwait(false);
        PlanJournal? journal = null;
        if (_options.Resume is { } id)
        {
            journal = await PlanJournal.LoadAsync(_repository, _plan.Site, id, cancellationToken).ConfigureAwait(false);
            EnsureSame(journal);
        }

        IReadOnlyDictionary<string, StepRecord> records = journal?.Steps ?? new Dictionary<string, StepRecord>();
        PlanStep[] left = [.. _plan.Steps.Where(step => records.GetValueOrDefault(step.Key)?.IsDone != true)];
        IReadOnlyDictionary<string, double> starts = PlanForecast.FindStarts(
            left,
            left.ToDictionary(static step => step.Key, step => history.Predict(step.Key, step.SizeBytes) ?? 0, StringComparer.Ordinal),
            _options.Parallelism);
        return
        [
            .. _plan.Steps.Select(step => starts.TryGetValue(step.Key, out double start)
                ? NewResult(step, PlanStepState.Pending, step.Describe()) with
                {
                    PlanId = journal?.PlanId,
                    PredictedSeconds = history.Predict(step.Key, step.SizeBytes),
                    PredictedStartSeconds = start,
                }
                : NewResult(step, PlanStepState.AlreadyDone, DescribeDone(records[step.Key])) with { PlanId = journal?.PlanId }),
        ];
    }

    /// <summary>Carries the plan out; each step comes as it ends. Left before its end, it is stopped as if cancelled.</summary>
    /// <exception cref="SmcException">
    /// What the first step failed with; <see cref="SmcErrorCode.OperationInProgress"/>, <see cref="SmcErrorCode.LeaseLost"/>,
    /// <see cref="SmcErrorCode.PlanUnfinished"/> or <see cref="SmcErrorCode.PlanUnsuitable"/>.
    /// </exception>
    public IAsyncEnumerable<PlanStepResult> RunAsync(CancellationToken cancellationToken) => StreamAsync(CarryOutAsync, cancellationToken);

    /// <summary>
    /// Takes back what the resumed plan has done, the last first; each step comes as it ends. A step is taken back only when all that built on it is.
    /// </summary>
    /// <exception cref="SmcException"><see cref="SmcErrorCode.PlanUnsuitable"/>: a step of it cannot be taken back; or what one failed with.</exception>
    public IAsyncEnumerable<PlanStepResult> UndoAsync(CancellationToken cancellationToken) => _options.Resume is null
        ? throw new InvalidOperationException("Only a plan that has a journal can be taken back.")
        : StreamAsync(TakeBackAsync, cancellationToken);

    private async IAsyncEnumerable<PlanStepResult> StreamAsync(
        Func<ChannelWriter<PlanStepResult>, CancellationToken, Task> work, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        Channel<PlanStepResult> results = Channel.CreateUnbounded<PlanStepResult>(new UnboundedChannelOptions { SingleReader = true });
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task running = Task.Run(
            async () =>
            {
                try
                {
                    await HoldLeaseAsync(token => work(results.Writer, token), stop.Token).ConfigureAwait(false);
                }
                finally
                {
                    results.Writer.Complete();
                }
            },
            CancellationToken.None);
        try
        {
            await foreach (PlanStepResult result in results.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
            {
                yield return result;
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await running.ConfigureAwait(false);
    }

    private async Task HoldLeaseAsync(Func<CancellationToken, Task> work, CancellationToken cancellationToken)
    {
        if (_options.Unjournaled)
        {
            _observer.Warning(
                $"The plan keeps no journal and takes no lease in {_repository.Location}: if it is interrupted, it begins anew, and nothing keeps a " +
                "second operation away.");
            await work(cancellationToken).ConfigureAwait(false);
            return;
        }

        SiteLease lease = await SiteLease.TakeAsync(
            _repository, _plan.Site, _plan.Operation, _options.Resume, _options.Lease, _observer, cancellationToken).ConfigureAwait(false);
        await using (lease.ConfigureAwait(false))
        {
            _lease = lease;
            using CancellationTokenSource held = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lease.Lost);
            try
            {
                await OpenJournalAsync(held.Token).ConfigureAwait(false);
                await work(held.Token).ConfigureAwait(false);
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested && lease.Lost.IsCancellationRequested)
            {
                lease.ThrowIfLost();
                throw;
            }
        }
    }

    private async Task OpenJournalAsync(CancellationToken cancellationToken)
    {
        await EnsureAloneAsync(cancellationToken).ConfigureAwait(false);
        _history = await PlanHistory.LoadAsync(_repository, _plan.Site, cancellationToken).ConfigureAwait(false);
        if (_options.Resume is not { } id)
        {
            _journal = await PlanJournal.BeginAsync(_repository, _plan, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            for (int attempt = 1; _journal is null; attempt++)
            {
                PlanJournal journal = await PlanJournal.LoadAsync(_repository, _plan.Site, id, cancellationToken).ConfigureAwait(false);
                EnsureSame(journal);
                try
                {
                    await journal.TakeUpAsync(cancellationToken).ConfigureAwait(false);
                    _journal = journal;
                }
                catch (SmcException e) when (e.Code == SmcErrorCode.LeaseLost && attempt < TakeUpAttempts)
                {
                    // Who had the lease before has noted something at this moment.
                }
            }
        }

        _outputs = _journal.Outputs;
        _observer.Verbose($"The plan '{_journal.PlanId}' is journaled in {_repository.Location}.");
    }

    /// <summary>A plan that was not finished is not to be forgotten over another.</summary>
    private async Task EnsureAloneAsync(CancellationToken cancellationToken)
    {
        foreach (string id in await PlanJournals.FindOpenAsync(_repository, _plan.Site, cancellationToken).ConfigureAwait(false))
        {
            if (id == _options.Resume)
            {
                continue;
            }

            PlanJournal other;
            try
            {
                other = await PlanJournal.LoadAsync(_repository, _plan.Site, id, cancellationToken).ConfigureAwait(false);
            }
            catch (SmcException e) when (_options.AbandonOthers && SmcErrors.IsDamage(e.Code))
            {
                await PlanJournal.AbandonDamagedAsync(_repository, _plan.Site, id, cancellationToken).ConfigureAwait(false);
                _observer.Warning($"The plan '{id}' is given up, and how far it was is not known: {e.Message}");
                continue;
            }

            if (!_options.AbandonOthers)
            {
                throw PlanJournals.Unfinished(_plan.Site, PlanJournals.ToOpen(other));
            }

            await other.EndAsync(PlanEnd.Abandoned, cancellationToken).ConfigureAwait(false);
            _observer.Warning($"The plan '{id}' ({other.Begin.Title}) is given up, unfinished: {PlanJournals.DescribeState(other)}");
        }
    }

    /// <summary>What is resumed must be what was begun, or steps that are done would be taken for others.</summary>
    private void EnsureSame(PlanJournal journal)
    {
        journal.ThrowIfEnded();
        static string Shape(IEnumerable<(string Key, IReadOnlyList<string> After)> steps) => string.Join(
            '\n',
            steps.Select(static step => $"{step.Key} after {string.Join(' ', step.After.Order(StringComparer.Ordinal))}").Order(StringComparer.Ordinal));
        if (journal.Begin.Operation != _plan.Operation ||
            Shape(journal.Begin.Steps.Select(static step => (step.Key, step.After))) != Shape(_plan.Steps.Select(static step => (step.Key, step.After))))
        {
            throw new SmcException(
                SmcErrorCode.PlanUnsuitable,
                $"The plan '{journal.PlanId}' was begun by {journal.Begin.Operation} of SmcDr {journal.Begin.Tool} with other steps than this version " +
                    $"({Repository.ToolVersion}) would take.",
                recommendation: $"Go on with the version that began it ({journal.Begin.Tool}), or give the plan up and begin a new one.",
                target: journal.PlanId);
        }
    }

    private async Task CarryOutAsync(ChannelWriter<PlanStepResult> results, CancellationToken cancellationToken)
    {
        List<PlanStep> waiting = [.. _plan.Steps];
        Dictionary<Task<StepEnd>, PlanStep> running = [];
        HashSet<string> done = new(StringComparer.Ordinal);
        Exception? failure = null;
        try
        {
            while (true)
            {
                foreach (PlanStep step in waiting.ToList())
                {
                    if (!cancellationToken.IsCancellationRequested && running.Count < _options.Parallelism && step.After.All(done.Contains))
                    {
                        waiting.Remove(step);
                        running.Add(Task.Run(() => RunStepAsync(step, cancellationToken), CancellationToken.None), step);
                        Report(done.Count, running.Values);
                    }
                }

                if (running.Count == 0)
                {
                    break;
                }

                Task<StepEnd> ended = await Task.WhenAny(running.Keys).ConfigureAwait(false);
                running.Remove(ended);
                StepEnd end = await ended.ConfigureAwait(false);
                results.TryWrite(end.Result);
                failure ??= end.Failure is OperationCanceledException ? null : end.Failure;
                if (end.Failure is null)
                {
                    done.Add(end.Result.Step);
                }

                Report(done.Count, running.Values);
            }
        }
        finally
        {
            _observer.Progress(new OperationProgress(_plan.Title, "", Unit: ProgressUnit.Items) { IsCompleted = true });
        }

        foreach (PlanStep step in waiting)
        {
            results.TryWrite(NewResult(step, PlanStepState.NotReached, cancellationToken.IsCancellationRequested
                ? "The plan was stopped before."
                : $"It comes after {string.Join(", ", step.After.Where(key => !done.Contains(key)))}."));
        }

        if (failure is not null)
        {
            throw Explain(failure);
        }

        if (done.Count < _plan.Steps.Count)
        {
            cancellationToken.ThrowIfCancellationRequested();
        }

        await (_journal?.EndAsync(PlanEnd.Succeeded, cancellationToken) ?? Task.CompletedTask).ConfigureAwait(false);
    }

    private void Report(int done, IEnumerable<PlanStep> running) => _observer.Progress(new OperationProgress(
        _plan.Title, string.Join(", ", running.Select(static step => step.Title)), done, _plan.Steps.Count, ProgressUnit.Items));

    private async Task<StepEnd> RunStepAsync(PlanStep step, CancellationToken cancellationToken)
    {
        StepRecord? record = _journal?.Steps.GetValueOrDefault(step.Key);
        DateTimeOffset start = DateTimeOffset.UtcNow;
        StepContext context = NewContext(step, record, start);
        PlanStepResult result = NewResult(step, PlanStepState.Running, step.Describe()) with { StartTime = start };
        long clock = Stopwatch.GetTimestamp();
        bool begun = false;
        PlanStepResult Ended(PlanStepState state, string detail) => result with
        {
            State = state,
            Detail = detail,
            Elapsed = Stopwatch.GetElapsedTime(clock),
            SizeBytes = context.SizeBytes,
            Recovery = context.Recovery,
            Failover = context.Failover,
        };

        try
        {
            await (_lease?.CheckAsync(cancellationToken) ?? Task.CompletedTask).ConfigureAwait(false);
            if (record?.IsDone == true && await StillHoldsAsync(step, context, cancellationToken).ConfigureAwait(false))
            {
                return new StepEnd(Ended(PlanStepState.AlreadyDone, DescribeDone(record)) with { Elapsed = null }, null);
            }

            StepCheck check = await step.CheckAsync(context, cancellationToken).ConfigureAwait(false);
            if (check.State is { } state)
            {
                PlanStepResult decided = Ended(state, check.Detail);
                await NoteAsync(decided, null, cancellationToken).ConfigureAwait(false);
                return new StepEnd(decided, null);
            }

            _observer.Verbose($"{step.Title} ({step.Target}): {result.Detail}");
            await NoteAsync(result, null, cancellationToken).ConfigureAwait(false);
            begun = true;
            string detail = await step.ActAsync(context, cancellationToken).ConfigureAwait(false);
            await step.VerifyAsync(context, cancellationToken).ConfigureAwait(false);
            PlanStepResult succeeded = Ended(PlanStepState.Succeeded, detail);

            await NoteDoneAsync(succeeded, isWhole: record is not { HasActed: true }, cancellationToken).ConfigureAwait(false);
            return new StepEnd(succeeded, null);
        }
        catch (OperationCanceledException e) when (cancellationToken.IsCancellationRequested)
        {
            PlanStepResult stopped = Ended(begun ? PlanStepState.Interrupted : PlanStepState.NotReached, "It was stopped.");
            await (begun ? TryNoteAsync(stopped) : Task.CompletedTask).ConfigureAwait(false);
            return new StepEnd(stopped, e);
        }
        catch (Exception e)
        {
            SmcException known = e as SmcException ?? new SmcException(
                SmcErrorCode.InternalError, $"{e.GetType().Name}: {e.Message}", e, target: step.Target);
            PlanStepResult failed = Ended(PlanStepState.Failed, known.Message) with { ErrorId = known.ErrorId };
            await TryNoteAsync(failed).ConfigureAwait(false);
            return new StepEnd(failed, known);
        }
    }

    private StepContext NewContext(PlanStep step, StepRecord? record, DateTimeOffset start) => new(
        step.Key,
        PlanId,
        record is { HasActed: true },
        _outputs,
        (output, token) => _journal?.AppendAsync(
            NewResult(step, PlanStepState.Running, "It has saved where it stands.") with { StartTime = start }, null, output, token) ?? Task.CompletedTask,
        new StepObserver(_plan.Title, _observer)) { SizeBytes = step.SizeBytes };

    private async Task<bool> StillHoldsAsync(PlanStep step, StepContext context, CancellationToken cancellationToken)
    {
        if (!step.VerifiesAgain)
        {
            return true;
        }

        try
        {
            await step.VerifyAsync(context, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (SmcException e)
        {
            _observer.Warning($"{step.Title} ({step.Target}) was done by an earlier run, does not hold any more, and is done again: {e.Message}");
            return false;
        }
    }

    private Task NoteAsync(PlanStepResult result, bool? isWhole, CancellationToken cancellationToken) =>
        _journal?.AppendAsync(result, isWhole, output: null, cancellationToken) ?? Task.CompletedTask;

    /// <summary>
    /// Notes what is done, whatever stops the run now. A slow store is waited for: only from when the run is stopped on there is an end to that, and what is
    /// done must not be called a failure because it took long to say so.
    /// </summary>
    private async Task NoteDoneAsync(PlanStepResult result, bool? isWhole, CancellationToken cancellationToken)
    {
        using CancellationTokenSource limit = new();
        CancellationTokenRegistration stopped = cancellationToken.Register(() => limit.CancelAfter(_options.NoteTime));
        await using (stopped.ConfigureAwait(false))
        {
            await NoteAsync(result, isWhole, limit.Token).ConfigureAwait(false);
        }
    }

    /// <summary>Notes how a step ended. Where that cannot be, the journal says that it was at work, which is as good for who resumes.</summary>
    private async Task TryNoteAsync(PlanStepResult result)
    {
        using CancellationTokenSource limit = new(_options.NoteTime);
        try
        {
            await NoteAsync(result, null, limit.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SmcException or OperationCanceledException)
        {
            _observer.Verbose($"How '{result.Step}' ended could not be journaled: {e.Message}");
        }
    }

    private async Task TakeBackAsync(ChannelWriter<PlanStepResult> results, CancellationToken cancellationToken)
    {
        string? blocker = null;
        IReadOnlyDictionary<string, StepRecord> records = _journal!.Steps;
        IReadOnlyDictionary<string, string[]> kept = _plan.FindKept(key => records.GetValueOrDefault(key) is { HasActed: true });
        foreach (PlanStep step in _plan.Steps.Reverse())
        {
            if (records.GetValueOrDefault(step.Key) is not { HasActed: true } record)
            {
                continue;
            }

            if (kept.TryGetValue(step.Key, out string[]? above))
            {
                blocker ??= step.CanUndo ? null : step.Title;
                results.TryWrite(NewResult(step, record.State, above.Length > 0
                    ? $"It stays, since {string.Join(", ", above)} builds on it and stays."
                    : "It cannot be taken back."));
                continue;
            }

            cancellationToken.ThrowIfCancellationRequested();
            await _lease!.CheckAsync(cancellationToken).ConfigureAwait(false);
            results.TryWrite(await TakeBackAsync(step, record, cancellationToken).ConfigureAwait(false));
        }

        if (kept.Count > 0)
        {
            throw new SmcException(
                SmcErrorCode.PlanUnsuitable,
                $"The plan '{PlanId}' cannot be taken back wholly: {blocker} cannot, and what it builds on stays.",
                recommendation: $"Run {_plan.Operation} again to go on with it, or begin another plan that leads where you want to be.",
                target: PlanId);
        }

        await _journal.EndAsync(PlanEnd.Undone, cancellationToken).ConfigureAwait(false);
    }

    private async Task<PlanStepResult> TakeBackAsync(PlanStep step, StepRecord record, CancellationToken cancellationToken)
    {
        DateTimeOffset start = DateTimeOffset.UtcNow;
        PlanStepResult result = NewResult(step, PlanStepState.Running, "It is being taken back.") with { StartTime = start };
        long clock = Stopwatch.GetTimestamp();

        // From here on it is not done any more, for who goes on after an interruption.
        await NoteAsync(result, null, cancellationToken).ConfigureAwait(false);
        try
        {
            string detail = await step.UndoAsync(NewContext(step, record, start), cancellationToken).ConfigureAwait(false);
            result = result with { State = PlanStepState.Undone, Detail = detail, Elapsed = Stopwatch.GetElapsedTime(clock) };
        }
        catch (SmcException e)
        {
            throw new SmcException(
                e.Code,
                $"{step.Title} ({step.Target}) could not be taken back: {e.Message}",
                e,
                recommendation: $"{e.Recommendation} Then take the plan '{PlanId}' back again: what is taken back already stays so.",
                target: e.Target);
        }

        await NoteDoneAsync(result, null, cancellationToken).ConfigureAwait(false);
        return result;
    }

    private SmcException Explain(Exception failure)
    {
        SmcException cause = (SmcException)failure;
        return PlanId is null || cause.Code == SmcErrorCode.LeaseLost ? cause : new SmcException(
            cause.Code,
            cause.Message,
            cause,
            recommendation: $"{cause.Recommendation} Then run {_plan.Operation} again: the plan '{PlanId}' goes on with what is not done.",
            target: cause.Target);
    }

    private PlanStepResult NewResult(PlanStep step, PlanStepState state, string detail) => new()
    {
        PlanId = PlanId,
        Step = step.Key,
        Title = step.Title,
        Target = step.Target,
        State = state,
        After = step.After,
        PredictedSeconds = _history.Predict(step.Key, step.SizeBytes),
        SizeBytes = step.SizeBytes,
        Detail = detail,
    };

    private static string DescribeDone(StepRecord record) =>
        $"Done by {record.Last.User} on {record.Last.Host} at {DisplayText.Time(record.Last.Time)}: {record.Last.Detail}";

    /// <summary>How a step ended. A step that was stopped has a failure as well.</summary>
    private sealed record StepEnd(PlanStepResult Result, Exception? Failure);
}
